"""What follows from a signal in the store that the control plane has not decided.

It is a fact: the fleet acts on it already. So it is taken over as it is and never written over.
One that takes everybody back, as ``headway emergency revert`` writes, makes the rollout one that
is going back; any other stops the rollout where it stands, for a person to look at.
"""

from msgspec import structs

from headway.core.emergency import goes_back
from headway.core.signalling import signalled
from headway.model.hold import Hold, Scope
from headway.model.journal import HEADWAY
from headway.model.rollout import LIVE, Behind, Decision, Overtaken, Phase, PlaceHold, Rollout

_WHO = "somebody wrote it directly, or the database is an older copy"


def take_over(state: Rollout, event: Overtaken, now: float) -> Decision:
    """Take over a signal from outside; nothing is written unless nodes would not act on it."""
    signal = event.signal
    told = f"the signal was changed outside the control plane, to epoch {signal.epoch}"
    noted = structs.replace(
        state, epoch=max(signal.epoch, event.reached), overtaken=signal.epoch, since=now
    )
    if not goes_back(signal):
        why = f"{told}, beyond this rollout's {state.epoch}: {_WHO}"
        if state.phase is Phase.REVERTING:
            why += "; retry tells the fleet again to go back"
        elif state.phase in LIVE - {Phase.PAUSED}:
            why = f"paused: {why}"
            noted = structs.replace(noted, phase=Phase.PAUSED, resume_to=state.phase, objections=())
        noted = structs.replace(noted, why=why)
        return Decision(noted, () if state.phase in LIVE else (_hold(noted, why, now),), why)
    assert signal.base is not None  # noqa: S101 - goes_back has seen to it
    why = f"{told}: {signal.why}"
    turned = structs.replace(
        noted,
        phase=Phase.REVERTING,
        base=signal.base,
        resume_to=None,
        objections=(),
        ended_at=None,
        attempt=signal.attempt,
        turned=signal.turned,
        fractions={},
        layer=None,
        retry=signal.retry,
        why=why,
    )
    hold = _hold(turned, why, now)
    if signal.epoch > event.reached:
        return Decision(turned, (hold,), why)
    why += f"; nodes have passed it, so they are told again with epoch {turned.epoch + 1}"
    again = structs.replace(turned, attempt=turned.epoch + 1, turned=turned.epoch + 1)
    decision = signalled(again, signal.by, why, now)
    return structs.replace(decision, effects=(hold, *decision.effects))


def say_again(state: Rollout, event: Behind, now: float) -> Decision:
    """The store has lost what it was told: say the same again, above all that nodes have seen."""
    there = f"an older copy, of epoch {event.epoch}" if event.epoch else "nothing any more"
    why = f"the signal store held {there}; what epoch {state.epoch} said is said again"
    return signalled(state, HEADWAY, why, now)


def _hold(state: Rollout, reason: str, now: float) -> PlaceHold:
    return PlaceHold(
        Hold(
            id=f"outside-{state.app}-{state.overtaken}",
            scope=Scope.APP,
            on=state.app,
            by=HEADWAY,
            reason=reason[:500],
            at=now,
        )
    )
