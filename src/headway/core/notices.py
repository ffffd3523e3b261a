"""What is said beside the train: holds, the message, words to everybody."""

from msgspec import structs

from headway.core.words import held
from headway.model.hold import Hold, Scope
from headway.model.rollout import PlaceHold
from headway.model.train import Decision, LiftHold, Message, Say, Stop, Tell, Train, Unhold


def post(train: Train, event: Stop | Unhold | Message | Say) -> Decision:
    """Hold the train or lift what holds it, set the message, or pass on what somebody says."""
    match event:
        case Stop(hold=hold):
            if any(_is_same(hold, known) for known in train.holds):
                return Decision(train, why=f"{hold.by} holds the train already: {hold.reason}")
            why = f"{hold.by} holds the train: {hold.reason}"
            stopped = structs.replace(train, holds=(*train.holds, hold))
            return Decision(stopped, (PlaceHold(hold),), why)
        case Unhold(by=by):
            return _unhold(train, by)
        case Message(by=by, text=text):
            if text == train.message:
                return Decision(train, why="the message is that already")
            why = f"{by} says beside the train: {text}" if text else f"{by} takes the message away"
            return Decision(structs.replace(train, message=text), why=why)
        case Say(by=by, text=text):
            why = f"{by} says: {text}"
            return Decision(train, (Tell(why),), why)


def _unhold(train: Train, by: str) -> Decision:
    lifted = [h for h in train.holds if h.scope in (Scope.TRAIN, Scope.APP)]
    if not lifted:
        tiers = "; ".join(held(h) for h in train.holds)
        return Decision(train, why=tiers or train.frozen or "nothing is held")
    kept = tuple(h for h in train.holds if h not in lifted)
    why = f"{by} lifts the hold of " + "; ".join(f"{h.by}: {h.reason}" for h in lifted)
    if train.frozen:
        why += f"; the freeze stays: {train.frozen}"
    free = structs.replace(train, holds=kept)
    return Decision(free, tuple(LiftHold(h) for h in lifted), why)


def _is_same(hold: Hold, known: Hold) -> bool:
    """Whether somebody says again what they have said."""
    same = (hold.scope, hold.on, hold.by, hold.reason, hold.until)
    return same == (known.scope, known.on, known.by, known.reason, known.until)
