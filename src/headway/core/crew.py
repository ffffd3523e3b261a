"""Who is aboard, and who leads: getting out, being put out, taking the lead."""

from msgspec import structs

from headway.core import lead, riding
from headway.core.riding import head, leader, named
from headway.errors import Refused
from headway.model.train import (
    At,
    Carries,
    Config,
    Decision,
    Done,
    Drive,
    Event,
    Good,
    Kick,
    Leave,
    Tell,
    Train,
)


def act(train: Train, event: Leave | Kick | Drive | Config | Carries) -> Decision:
    """What somebody does about themselves or others aboard. Raises Refused."""
    match event:
        case Leave(by=by):
            if by not in train.riders and by != leader(train):
                return Decision(train, why=f"{by} is not aboard")
            return _out(train, by, f"{by} gets out")
        case Kick():
            return _kick(train, event)
        case Drive(by=by):
            return _drive(train, by)
        case Config(by=by, on=on):
            return _config(train, by, on)
        case Carries():
            return _carries(train, event)


def awake(train: Train, event: Event, by: str) -> Train:
    """Where nobody leads, whoever of the first car acts does."""
    first = head(train)
    acts = isinstance(event, At | Done | Good | Kick)
    if train.unled and acts and first is not None and by in first.riders:
        return lead.lead_first(train, by)
    return train


def _kick(train: Train, event: Kick) -> Decision:
    try:
        who = named(train, event.who)
    except Refused as refusal:
        return Decision(train, why=refusal.sentence)
    if who == event.by:
        return _out(train, who, f"{who} gets out")
    car = riding.car_of(train, who)
    heads = train.cars[car].riders[:1] if car else ()
    if event.by != leader(train) and event.by not in (*heads, train.commander):
        raise Refused(f"only {leader(train) or 'who leads'} can put {who} out, who leads the train")
    return _out(train, who, f"{event.by} puts {who} out")


def _out(train: Train, who: str, why: str) -> Decision:
    rest = riding.leave(train, who)
    first = head(rest)
    if rest.run is not None and first is not None and not first.riders and not first.driver:
        rest = structs.replace(rest, unled=True)
        if head(train) != first:
            told = f"nobody leads: {who} was the last aboard; `.drive` takes the lead"
            return Decision(rest, (*lead.unattended(rest), Tell(told)), why)
    return Decision(rest, why=why)


def _drive(train: Train, by: str) -> Decision:
    first, now_leads = head(train), leader(train)
    if first is None:
        raise Refused("there is nothing to drive; `.join` makes a car")
    if now_leads == by:
        return Decision(train, why=f"{by} leads already")
    outside = by not in first.riders
    if outside and now_leads and by != train.commander:
        raise Refused(f"{now_leads} leads; only who rides in the first car can take that over")
    return Decision(lead.lead_first(train, by), why=f"{by} leads now")


def _config(train: Train, by: str, on: bool) -> Decision:
    rider = train.riders.get(by)
    if rider is None:
        raise Refused(f"{by} is not aboard; `.join config` gets in with configuration only")
    if rider.config == on:
        return Decision(train, why=f"{by} has said so already")
    riders = {**train.riders, by: structs.replace(rider, config=on)}
    what = "configuration only" if on else "more than configuration"
    return Decision(structs.replace(train, riders=riders), why=f"{by} brings {what}")


def _carries(train: Train, event: Carries) -> Decision:
    rider = train.riders.get(event.who)
    if rider is None or (rider.changes, rider.dark) == (event.changes, event.dark):
        return Decision(train, why=f"nothing new of {event.who}")
    told = structs.replace(rider, changes=event.changes, dark=event.dark)
    state = structs.replace(train, riders={**train.riders, event.who: told})
    what = "nothing that anybody sees" if event.dark else f"{len(event.changes)} changes"
    return Decision(state, why=f"{event.who} brings {what}")
