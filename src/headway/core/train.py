"""The train's state machine: everything that decides how people deploy together.

People get into cars; the head of the first car leads. The leader takes the car from tier to tier,
and each step that waits for a person (gate ``manual``) waits for all of its riders too: they look
at the build where it is and sign off, or one of them says uhoh, which stops it. A sign-off is
bound to the build and the tier that it was given for, so a new build, or a hotfix, voids all.

The train is the deployer: its decisions carry the rollout's start and its actions as effects, and
what the rollout does comes back as ``Seen``. Nothing of the machine's is repeated here: gates,
soaks, guard and holds are the rollout's. Who says what twice changes nothing the second time, and
whatever is refused is refused with the reason.

``TABLE`` lists which event is accepted where, and where it may lead; ``decide`` never leaves it.
"""

from collections.abc import Mapping

from msgspec import structs

from headway.core import crew, lead, notices, ride, riding
from headway.core.riding import head, leader, missing
from headway.errors import Refused
from headway.model.plan import TrainSettings
from headway.model.rollout import LIVE, Phase
from headway.model.train import (
    At,
    Carries,
    Config,
    Decision,
    Done,
    Drive,
    Effect,
    Event,
    Good,
    Heard,
    Join,
    Kick,
    Lease,
    Leave,
    Message,
    Run,
    Say,
    Seen,
    State,
    Stop,
    Tell,
    Train,
    Uhoh,
    Undo,
    Unhold,
)

_S = State
_RIDE = frozenset({_S.MOVING, _S.TESTING, _S.READY, _S.STOPPED, _S.REVERTING, _S.ARRIVED})


def _everywhere(state: State) -> dict[type[Event], frozenset[State]]:
    """What people may do wherever the train stands."""
    stays = frozenset({state})
    events: tuple[type[Event], ...] = (Stop, Unhold, Message, Say, Heard)
    table = dict.fromkeys(events, stays)
    table[Join] = frozenset({_S.BOARDING}) if state is _S.CLEAR else stays
    return table


def _aboard(state: State, leads: frozenset[State]) -> dict[type[Event], frozenset[State]]:
    """What whoever is aboard may do; it may be the last word, or objection, that was missing."""
    return {
        Good: leads,
        Uhoh: frozenset({_S.STOPPED if state in _RIDE - {_S.REVERTING} else state}),
        Config: frozenset({state}),
        Drive: frozenset({state}),
        Leave: leads,
        Kick: leads,
        Carries: leads,
    }


_STOPS = _RIDE - {_S.REVERTING}
_GONE = frozenset({_S.BOARDING, _S.CLEAR})

TABLE: Mapping[State, Mapping[type[Event], frozenset[State]]] = {
    _S.CLEAR: {
        **_everywhere(_S.CLEAR),
        Carries: frozenset({_S.CLEAR}),
        Seen: frozenset({_S.CLEAR}),
    },
    _S.BOARDING: {
        **_everywhere(_S.BOARDING),
        **_aboard(_S.BOARDING, _GONE),
        At: frozenset({_S.BOARDING}) | _STOPS,
        Seen: frozenset({_S.BOARDING}),
    },
    **{
        state: {
            **_everywhere(state),
            **_aboard(state, _STOPS),
            At: frozenset({state}),
            Undo: frozenset({state}),
            Seen: _RIDE | _GONE,
        }
        for state in (_S.MOVING, _S.TESTING, _S.READY, _S.STOPPED)
    },
    _S.REVERTING: {
        **_everywhere(_S.REVERTING),
        **_aboard(_S.REVERTING, frozenset({_S.REVERTING})),
        Undo: frozenset({_S.REVERTING}),
        Seen: _RIDE | _GONE,
    },
    _S.ARRIVED: {
        **_everywhere(_S.ARRIVED),
        **_aboard(_S.ARRIVED, frozenset({_S.ARRIVED})),
        At: frozenset({_S.ARRIVED}),
        Done: _GONE,
        Undo: frozenset({_S.ARRIVED}),
        Seen: _RIDE | _GONE,
    },
}
"""state → event → the states it may lead to. The documentation's diagram is made from it."""


def decide(
    train: Train, event: Event, now: float, settings: TrainSettings | None = None
) -> Decision:
    """What ``event`` leads to at time ``now``. Raises Refused; never leaves ``TABLE``."""
    settings = settings or TrainSettings()
    if type(event) not in TABLE[train.state]:
        raise Refused(_not_now(train, event))
    if isinstance(event, Seen):
        return _seen(train, event, settings, now)
    by = getattr(event, "by", "")
    decision = _asked(crew.awake(train, event, by), event, settings, now)
    if decision.state != train or decision.effects or train.lease.reminders:
        decision = structs.replace(decision, state=lead.heard(decision.state, by, now))
    return _settled(train, decision, by, now)


def _asked(train: Train, event: Event, settings: TrainSettings, now: float) -> Decision:
    match event:
        case Join():
            joined, why = riding.join(train, event, settings.size, now)
            return Decision(joined, why=why)
        case Good() | Uhoh() | At() | Done() | Undo():
            return ride.act(train, event, now)
        case Leave() | Kick() | Drive() | Config() | Carries():
            return crew.act(train, event)
        case Stop() | Unhold() | Message() | Say():
            return notices.post(train, event)
        case Heard(by=by):
            return Decision(lead.heard(train, by, now) if train.lease.reminders else train)
        case Seen():
            return _seen(train, event, settings, now)


def _seen(train: Train, event: Seen, settings: TrainSettings, now: float) -> Decision:
    """Take in how things stand; then see whether somebody lets the train wait."""
    known = structs.replace(
        train,
        tiers=event.tiers,
        holds=event.holds,
        frozen=event.frozen,
        commander=event.commander,
    )
    why, effects = "", []
    if train.run is not None and event.run is not None:
        known, why, told = _moved(known, train.run, event.run)
        effects += told
    settled = _settled(train, Decision(known, tuple(effects), why), "", now)
    kept, more, sentence = lead.keep(settled.state, settings, now)
    if kept == settled.state:
        return settled
    return _settled(settled.state, Decision(kept, (*settled.effects, *more), sentence), "", now)


def boarded(train: Train, run: Run, now: float) -> Decision:
    """The first car has left with ``run``."""
    left = structs.replace(train, run=run, objections={}, called="", told="")
    return _settled(train, Decision(left, why=f"{run.build[:12]} is on its way"), "", now)


def _moved(train: Train, before: Run, run: Run) -> tuple[Train, str, list[Effect]]:
    """What the rollout has done since. Another one in its place is a new build: all is void."""
    if run == before:
        return train, "", []
    if run.phase in (Phase.REVERTED, Phase.ABORTED):
        riders = train.riders
        for name in train.cars[train.order[0]].riders:
            riders = {**riders, name: structs.replace(riders[name], signed=None)}
        back = structs.replace(
            train, run=None, riders=riders, objections={}, called="", told="", unled=False
        )
        sentence = f"{run.rollout} was {run.phase}; the car waits for a new build"
        return back, sentence, [Tell(sentence)]
    moved = structs.replace(train, run=run)
    if run.rollout != before.rollout or run.build != before.build:
        sentence = f"{run.build[:12]} takes the place of {before.build[:12]}; sign-offs are void"
        return structs.replace(moved, objections={}, called="", told=""), sentence, [Tell(sentence)]
    same = (run.tier, run.rollout) == (before.tier, before.rollout)
    if same and before.quarter < run.quarter < 4 and run.phase in LIVE - {Phase.REVERTING}:
        sentence = f"{run.tier}: {run.quarter * 25} % of its nodes run {run.build[:12]}"
        return moved, sentence, [Tell(sentence)]
    return moved, "", []


def _settled(before: Train, decision: Decision, by: str, now: float) -> Decision:
    """Put the state in order after a decision, and tell whose turn it is."""
    train, effects = decision.state, list(decision.effects)
    if train.order and train.run is None and not train.cars[train.order[0]].riders:
        train = ride.gone(train)
    if train.order[:1] != before.order[:1]:
        train = structs.replace(train, unled=False)
    if train.unled and train.run is None and len(train.order) > 1:
        train = lead.give_way(train)
    train = structs.replace(train, state=standing(train))
    now_leads = leader(train)
    changed = now_leads != leader(before)
    begins = lead.is_waiting(train) and not lead.is_waiting(before)
    answered = missing(train) != missing(before)
    if changed or begins or answered or train.state is not before.state:
        passed = train.lease.passed if train.lease != before.lease else ()
        train = structs.replace(train, lease=Lease(now, 0, passed))
    if changed and now_leads and now_leads != by and not _calls(effects, now_leads):
        effects.append(Tell(f"{now_leads}: you lead the train now", (now_leads,)))
    train, calls = _called(train)
    effects += calls
    told = [effect.sentence for effect in effects if isinstance(effect, Tell)]
    why = decision.why or "; ".join(told)
    if train != before and why:
        train = structs.replace(train, why=why)
    return Decision(train, tuple(effects), why)


def standing(train: Train) -> State:
    """The state that follows from who is aboard and how the rollout stands."""
    run = train.run
    if not train.order:
        return State.CLEAR
    if run is None:
        return State.BOARDING
    if run.phase is Phase.REVERTING:
        return State.REVERTING
    if train.objections or run.phase is Phase.PAUSED:
        return State.STOPPED
    if run.phase is Phase.SUCCEEDED:
        return State.ARRIVED
    if not run.attested:
        return State.MOVING
    if missing(train):
        return State.TESTING
    return State.READY if run.gate else State.MOVING


def _called(train: Train) -> tuple[Train, list[Effect]]:
    """Call the riders once for each build and tier, and tell once when all have answered."""
    run, first = train.run, head(train)
    if first is None or (run is not None and (not run.attested or run.phase is Phase.REVERTING)):
        return train, []
    mark = f"{run.build}:{run.tier}" if run else ""
    absent = missing(train)
    if run is not None and train.called != mark:
        train = structs.replace(train, called=mark)
        if absent and train.state is not State.STOPPED:
            sentence = f"{' '.join(absent)}: you're up on {run.tier} with {run.build[:12]}"
            return train, [Tell(sentence, absent)]
    lead_name = leader(train)
    if run is None:
        mark = "in:" + " ".join(first.riders)
        absent = tuple(name for name in absent if name != lead_name)
        if len(first.riders) < 2:
            return train, []
    if absent or train.told == mark or train.objections:
        return train, []
    if run is None:
        to, rest = train.tiers[0] if train.tiers else "", "everyone is in"
    else:
        to, rest = run.gate, "everyone is ready"
    if run is not None and run.phase is Phase.SUCCEEDED:
        rest += "; `.done` ends the ride"
    elif to:
        rest += f"; `.at {to}` goes on"
    sentence = f"{lead_name}: {rest}" if lead_name else rest
    calls = (lead_name,) if lead_name else ()
    return structs.replace(train, told=mark), [Tell(sentence, calls)]


def _calls(effects: list[Effect], who: str) -> bool:
    return any(isinstance(effect, Tell) and who in effect.to for effect in effects)


def _not_now(train: Train, event: Event) -> str:
    """Why an event is not accepted where the train stands."""
    asked = type(event).__name__.lower()
    match train.state:
        case State.CLEAR:
            return "nobody is aboard; `.join` gets in"
        case State.BOARDING:
            first = train.tiers[0] if train.tiers else "staging"
            return f"the train has not left yet; `.at {first}` leaves"
        case State.REVERTING:
            return "the build before it is being brought back; wait until that has ended"
        case _ if asked == "done":
            where = f"{train.run.tier}: {train.run.why}" if train.run else "the station"
            return f"the build is not live everywhere yet, it is at {where}"
        case _:
            return f"that cannot be done while the train is {train.state}"
