"""The lease on the lead: who lets the train wait is reminded, and then somebody else leads.

The clock runs only while a person is waited for. It stands while the machine works, and while a
hold or a freeze keeps everybody waiting.
"""

from msgspec import structs

from headway.core.riding import head, leader, missing
from headway.model.plan import TrainSettings
from headway.model.train import Act, Car, Effect, Lease, State, Tell, Train

_WAITS = frozenset({State.BOARDING, State.TESTING, State.READY, State.STOPPED, State.ARRIVED})


def heard(train: Train, by: str, now: float) -> Train:
    """The leader is there: what has been waited does not count."""
    if not by or by != leader(train) or train.lease == Lease(now):
        return train
    return structs.replace(train, lease=Lease(now))


def is_waiting(train: Train) -> bool:
    """Whether it is a person that the train waits for."""
    return train.state in _WAITS and not train.holds and not train.frozen and not train.unled


def keep(
    train: Train, settings: TrainSettings, now: float
) -> tuple[Train, tuple[Effect, ...], str]:
    """What follows from how long the train has waited; the sentence is empty where nothing does."""
    if not is_waiting(train):
        return train, (), ""
    waited, lease = now - train.lease.since, train.lease
    awaited = missing(train) if train.state in (State.BOARDING, State.TESTING) else ()
    if train.state is State.BOARDING:
        awaited = tuple(name for name in awaited if name != leader(train))
    others = bool(awaited) and leader(train) not in awaited
    if waited >= settings.lease * (2 if others else 1):
        return _pass_on(train, waited, now)
    if others and waited >= settings.lease and lease.reminders < 2:
        why = f"{leader(train)}: {' '.join(awaited)} has not answered; `.kick` goes on without"
        return _reminded(train, 2), (Tell(why, (leader(train),)),), why
    if waited >= settings.remind and lease.reminders < 1:
        calls = awaited or (leader(train),)
        asked = "say `.in` when your change is" if others and not train.run else _asked(train)
        why = f"{' '.join(calls)}: {asked}; the train has waited for {_minutes(waited)}"
        return _reminded(train, 1), (Tell(why, calls),), why
    return train, (), ""


def unattended(train: Train) -> tuple[Effect, ...]:
    """What keeps a rollout that nobody leads from going further."""
    run = train.run
    if run is None or run.phase not in ("rolling", "soaking", "waiting"):
        return ()
    return (Act(run.rollout, "pause", f"nobody leads the train of {train.app}"),)


def lead_first(train: Train, who: str) -> Train:
    """``who`` leads from now on: at the head of the first car, or as its driver."""
    number = train.order[0]
    car = train.cars[number]
    if who in car.riders:
        car = Car((who, *(name for name in car.riders if name != who)))
    else:
        car = structs.replace(car, driver=who)
    return structs.replace(train, cars={**train.cars, number: car}, unled=False)


def give_way(train: Train) -> Train:
    """The first car, which nobody leads, lets all others go before it."""
    first = train.order[0]
    cars = {**train.cars, first: Car(train.cars[first].riders)}
    return structs.replace(train, cars=cars, order=(*train.order[1:], first), unled=False)


def _pass_on(train: Train, waited: float, now: float) -> tuple[Train, tuple[Effect, ...], str]:
    """The next rider who has not been passed over leads; where there is none, the next car."""
    late, first = leader(train), head(train)
    assert first is not None  # noqa: S101 - a train that waits has a car
    passed = (*train.lease.passed, late)
    left = f"{late} has not answered for {_minutes(waited)}"
    heirs = [name for name in first.riders if name not in passed]
    if heirs:
        rest = tuple(name for name in first.riders if name not in (heirs[0], late))
        back = (late,) if late in first.riders else ()
        cars = {**train.cars, train.order[0]: Car((heirs[0], *rest, *back))}
        led = structs.replace(train, cars=cars, lease=Lease(now, 0, passed))
        why = f"{heirs[0]} leads now: {left}"
        return led, (Tell(f"{heirs[0]}: you lead now; {left}", (heirs[0],)),), why
    if train.run is None and len(train.order) > 1:
        moved = structs.replace(give_way(train), lease=Lease(now))
        lead = leader(moved)
        why = f"{lead} leads now, the first car gives way: {left}"
        return moved, (Tell(f"{lead}: your car is first; {left}", (lead,)),), why
    number = train.order[0]
    car = Car(first.riders)
    unled = structs.replace(
        train, unled=True, cars={**train.cars, number: car}, lease=Lease(now, 0, passed)
    )
    why = f"nobody leads: {left}; `.drive` takes the lead"
    return unled, (*unattended(train), Tell(why)), why


def _asked(train: Train) -> str:
    """What the train waits for."""
    match train.state:
        case State.BOARDING:
            return f"`.at {train.tiers[0] if train.tiers else 'staging'}` leaves"
        case State.TESTING:
            return f"look at {train.run.tier if train.run else ''} and say `.good` or `.uhoh`"
        case State.READY:
            return f"everyone is ready; `.at {train.run.gate if train.run else ''}` goes on"
        case State.ARRIVED:
            return "the build is live; `.done` ends the ride"
        case _:
            return "the train has stopped; go on with `.at`, or bring it back with `.revert`"


def _reminded(train: Train, times: int) -> Train:
    return structs.replace(train, lease=structs.replace(train.lease, reminders=times))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
