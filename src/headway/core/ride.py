"""The ride: signing off, objecting, going on to the next tier, and its end."""

from msgspec import structs

from headway.core.riding import head, leader, missing
from headway.core.words import held
from headway.errors import Refused
from headway.model.rollout import LIVE, Phase
from headway.model.train import (
    Act,
    At,
    Begin,
    Decision,
    Done,
    Effect,
    Good,
    Objection,
    Run,
    SignOff,
    State,
    Train,
    Uhoh,
    Undo,
)


def act(train: Train, event: Good | Uhoh | At | Done | Undo, now: float) -> Decision:
    """What somebody says of the build, or asks of the train. Raises Refused."""
    match event:
        case Good(by=by):
            return _good(train, by)
        case Uhoh():
            return _uhoh(train, event, now)
        case At():
            return _at(train, event)
        case Done(by=by):
            return _done(train, by)
        case Undo(by=by, reason=reason):
            reason = reason or "no reason given"
            back = Act(_under_way(train).rollout, "revert", reason)
            return Decision(train, (back,), f"{by} reverts: {reason}")


def gone(train: Train) -> Train:
    """The first car has ended its ride; its riders are off the train."""
    number = train.order[0]
    riding_there = set(train.cars[number].riders)
    return structs.replace(
        train,
        riders={k: v for k, v in train.riders.items() if k not in riding_there},
        cars={k: v for k, v in train.cars.items() if k != number},
        order=train.order[1:],
        run=None,
        objections={},
        called="",
        told="",
        unled=False,
    )


def _good(train: Train, by: str) -> Decision:
    rider, run = train.riders.get(by), train.run
    objected = by in train.objections
    calm = structs.replace(train, objections={k: v for k, v in train.objections.items() if k != by})
    first = head(train)
    if rider is None or first is None or by not in first.riders:
        if objected:
            return Decision(calm, why=f"{by} takes the uhoh back")
        if rider is None:
            raise Refused(f"{by} is not aboard; `.join` gets in")
        raise Refused(f"{by} rides in a later car; its turn comes when it is first")
    if run is not None and not run.attested and not objected:
        raise Refused(f"there is nothing to look at yet on {run.tier}: {run.why}")
    sign = SignOff(run.build, run.tier) if run else SignOff()
    if rider.signed == sign and not objected:
        return Decision(train, why=f"{by} has said so already")
    signed = rider if run is not None and not run.attested else structs.replace(rider, signed=sign)
    state = structs.replace(calm, riders={**train.riders, by: signed})
    if run is None:
        return Decision(state, why=f"{by} is in")
    counts = (Act(run.rollout, "sign-off"),) if run.asks and run.attested else ()
    return Decision(state, counts, f"{by} is good on {run.tier}")


def _uhoh(train: Train, event: Uhoh, now: float) -> Decision:
    run = train.run
    known = train.objections.get(event.by)
    if known is not None and event.reason in ("", known.reason):
        return Decision(train, why=f"{event.by} has said so already")
    objections = {**train.objections, event.by: Objection(now, event.reason)}
    riders = train.riders
    if event.by in riders:
        riders = {**riders, event.by: structs.replace(riders[event.by], signed=None)}
    state = structs.replace(train, objections=objections, riders=riders)
    told = f"uhoh from {event.by}" + (f": {event.reason}" if event.reason else "")
    effects: tuple[Effect, ...] = ()
    if run is not None and run.phase in LIVE - {Phase.PAUSED, Phase.REVERTING}:
        effects = (Act(run.rollout, "pause", told),)
    return Decision(state, effects, told + ("; the train stops" if run else ""))


def _at(train: Train, event: At) -> Decision:
    tier = _tier(train, event.stage)
    _leads(train, event.by)
    if train.objections:
        raise Refused(objected(train))
    if train.run is None:
        return _depart(train, event, tier)
    run = train.run
    if train.state is State.ARRIVED:
        return Decision(train, why=f"{run.build[:12]} is live everywhere; `.done` ends the ride")
    there, asked = _rank(train, run.tier), _rank(train, tier)
    if asked < there:
        raise Refused(f"the train has passed {tier}, it is at {run.tier}")
    if event.build and event.build != run.release and not run.build.startswith(event.build):
        raise Refused(f"the train has {run.build[:12]} aboard; a hotfix puts another in its place")
    if run.phase is Phase.PAUSED:
        if not run.resumable:
            raise Refused(f"{run.why}; retry, revert, or accept it with a reason in the cockpit")
        _not_blocked(train)
        why = f"{event.by} lets the train go on"
        return Decision(train, (Act(run.rollout, "resume", "", run.standing),), why)
    gate = _rank(train, run.gate)
    if asked == there and gate != there:
        return Decision(train, why=f"the train is at {run.tier}: {run.why}")
    if not run.gate:
        return Decision(train, why=f"on the way: {run.why}")
    if absent := missing(train):
        raise Refused(f"{' '.join(absent)} has not signed off on {run.tier}")
    _not_blocked(train)
    why = f"{event.by} takes the train on to {run.gate}"
    if asked > gate:
        why += f", on the way to {tier}"
    return Decision(train, (Act(run.rollout, "advance", "", run.standing),), why)


def _depart(train: Train, event: At, tier: str) -> Decision:
    """Leave the station. Whoever leads and says so is in."""
    if tier != train.tiers[0]:
        raise Refused(f"{train.tiers[0]} comes first: `.at {train.tiers[0]}`")
    rider = train.riders.get(event.by)
    if rider is not None and rider.signed != SignOff():
        riders = {**train.riders, event.by: structs.replace(rider, signed=SignOff())}
        train = structs.replace(train, riders=riders)
    if absent := missing(train):
        raise Refused(f"{' '.join(absent)} is not in yet; wait for `.in`, or `.kick`")
    _not_blocked(train)
    first = head(train)
    company = ", ".join(first.riders) if first else ""
    why = f"{event.by} takes the train to {tier}"
    return Decision(train, (Begin(event.build, f"the train of {company}"),), why)


def _done(train: Train, by: str) -> Decision:
    _leads(train, by)
    if train.objections:
        raise Refused(objected(train))
    if absent := missing(train):
        raise Refused(f"{' '.join(absent)} has not signed off; wait for `.good`, or `.kick`")
    run, first = _under_way(train), head(train)
    company = ", ".join(first.riders) if first and first.riders else "nobody"
    return Decision(gone(train), why=f"done: {run.build[:12]} is live, with {company}")


def _tier(train: Train, stage: str) -> str:
    """The tier that people mean by a word: its name, or the beginning of just one."""
    if stage in train.tiers:
        return stage
    found = [tier for tier in train.tiers if stage and tier.startswith(stage)]
    if len(found) == 1:
        return found[0]
    tiers = ", ".join(train.tiers) or "none with nodes in it"
    raise Refused(f"there is no tier {stage[:40]}; there is {tiers}")


def _rank(train: Train, tier: str) -> int:
    """A tier's place on the way; one that has no node any more is nowhere, which is the end."""
    return train.tiers.index(tier) if tier in train.tiers else len(train.tiers)


def _leads(train: Train, by: str) -> None:
    who = leader(train)
    if who == by:
        return
    if not who:
        raise Refused("nobody leads; `.drive` takes the lead")
    raise Refused(f"{who} leads; ask, or `.drive` from the first car takes that over")


def _not_blocked(train: Train) -> None:
    if train.holds:
        raise Refused(held(train.holds[0]))
    if train.frozen:
        raise Refused(train.frozen)


def _under_way(train: Train) -> Run:
    assert train.run is not None  # noqa: S101 - by the table
    return train.run


def objected(train: Train) -> str:
    """Who has said uhoh and why, and what ends it."""
    told = [f"{n} ({o.reason})" if o.reason else n for n, o in train.objections.items()]
    return f"uhoh from {', '.join(told)}; `.good` takes it back, a new build or `.kick` ends it"
