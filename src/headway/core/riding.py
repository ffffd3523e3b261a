"""Who rides where: cars, their riders, and the rules by which people get in and out."""

from msgspec import structs

from headway.core import words
from headway.errors import Refused
from headway.model.train import Car, Door, Join, Rider, SignOff, Train


def head(train: Train) -> Car | None:
    """The first car."""
    return train.cars[train.order[0]] if train.order else None


def leader(train: Train) -> str:
    """Who leads: the head of the first car, or who drives it; empty where nobody does."""
    first = head(train)
    if first is None or train.unled:
        return ""
    return first.driver or (first.riders[0] if first.riders else "")


def car_of(train: Train, who: str) -> str:
    """The number of somebody's car, or an empty string."""
    if who not in train.riders:
        return ""
    return next((car for car in train.order if who in train.cars[car].riders), "")


def has_left(train: Train, car: str) -> bool:
    """Whether a car is under way: nobody gets in any more, its build is made."""
    return train.run is not None and bool(train.order) and car == train.order[0]


def missing(train: Train) -> tuple[str, ...]:
    """The riders of the first car whose word is missing: they are not in, or have not signed off.

    Dark riders need not say anything.
    """
    first = head(train)
    wanted = SignOff(train.run.build, train.run.tier) if train.run else SignOff()
    return tuple(
        name
        for name in (first.riders if first else ())
        if train.riders[name].signed != wanted and not train.riders[name].dark
    )


def named(train: Train, who: str) -> str:
    """Somebody aboard, or who objected, by name; the case does not matter. Raises Refused."""
    known = [*train.riders, *train.objections, leader(train)]
    for name in known:
        if name == who:
            return name
    found = sorted({name for name in known if name.casefold() == who.casefold()})
    if len(found) != 1:
        aboard = ", ".join(sorted(train.riders)[:8]) or "nobody"
        raise Refused(f"{who} is not aboard; aboard is {aboard}")
    return found[0]


def join(train: Train, event: Join, size: int, now: float) -> tuple[Train, str]:
    """Let somebody in, or move them to where they want to be. Raises Refused."""
    before = train.riders.get(event.by)
    there = car_of(train, event.by)
    rider = Rider(
        joined_at=before.joined_at if before else now,
        message=event.message or (before.message if before else ""),
        config=event.config or (before.config if before else False),
        door=event.door if event.door is not Door.OPEN or before is None else before.door,
        changes=before.changes if before else (),
        dark=before.dark if before else False,
        signed=before.signed if before else None,
    )
    if event.door is not Door.OPEN and there and len(train.cars[there].riders) > 1:
        event = structs.replace(event, last=not (event.beside or event.before) or event.last)
    if there and not (event.beside or event.before or event.last):
        if rider == before:
            return train, f"{event.by} is aboard already, {place(train, there)}"
        changed = structs.replace(train, riders={**train.riders, event.by: rider})
        return changed, f"{event.by} is aboard{_noted(rider)}, {place(train, there)}"
    if there and has_left(train, there):
        raise Refused(
            f"{event.by} is under way with {_company(train, there, event.by)}; "
            "`.nevermind` gets out, and then `.join` gets in again"
        )
    target, fresh = _seat(train, event, there, size)
    if there and target == there:
        same = structs.replace(train, riders={**train.riders, event.by: rider})
        return same, f"{event.by} is aboard already, {place(train, there)}"
    moved = _without(train, event.by) if there else train
    riders = {**moved.riders, event.by: rider}
    if fresh is None:
        car = moved.cars[target]
        cars = {**moved.cars, target: structs.replace(car, riders=(*car.riders, event.by))}
        joined = structs.replace(moved, riders=riders, cars=cars)
    else:
        number = str(train.made + 1)
        at = moved.order.index(fresh) if fresh else len(moved.order)
        joined = structs.replace(
            moved,
            riders=riders,
            cars={**moved.cars, number: Car((event.by,))},
            order=(*moved.order[:at], number, *moved.order[at:]),
            made=train.made + 1,
        )
        target = number
    verb = "moves to" if there else "joins"
    return joined, f"{event.by} {verb} {place(joined, target, event.by)}{_noted(rider)}"


def leave(train: Train, who: str) -> Train:
    """Take somebody out of the train. A car that has left stays, even with nobody in it."""
    riders = {name: rider for name, rider in train.riders.items() if name != who}
    first = head(train)
    if first is not None and first.driver == who:
        cars = {**train.cars, train.order[0]: Car(first.riders)}
        train = structs.replace(train, cars=cars)
    objections = {name: one for name, one in train.objections.items() if name != who}
    return structs.replace(_without(train, who), riders=riders, objections=objections)


def place(train: Train, car: str, of: str = "") -> str:
    """A car as people speak of it: ``car 2 with bob``."""
    company = _company(train, car, of)
    return f"car {train.order.index(car) + 1}" + (f" with {company}" if company else "")


def _without(train: Train, who: str) -> Train:
    number = car_of(train, who)
    if not number:
        return train
    car = train.cars[number]
    rest = structs.replace(car, riders=tuple(name for name in car.riders if name != who))
    if rest.riders or has_left(train, number):
        return structs.replace(train, cars={**train.cars, number: rest})
    cars = {key: kept for key, kept in train.cars.items() if key != number}
    return structs.replace(train, cars=cars, order=tuple(c for c in train.order if c != number))


def _seat(train: Train, event: Join, there: str, size: int) -> tuple[str, str | None]:
    """(car, None) for a seat in a car that is there; ("", car) for a new car before that one."""
    if event.beside:
        return _seat_beside(train, event, there, size), None
    if event.before:
        return _seat_before(train, event, there, size)
    shares = event.door is Door.OPEN
    last = train.order[-1] if train.order else ""
    if event.last:
        if last and last == there and (shares or train.cars[last].riders == (event.by,)):
            return there, None
        return (last, None) if last and shares and _has_room(train, last, size) else ("", "")
    with_room = (car for car in train.order if shares and _has_room(train, car, size))
    car = next(with_room, "")
    return (car, None) if car else ("", "")


def _seat_beside(train: Train, event: Join, there: str, size: int) -> str:
    other = named(train, event.beside)
    if not (car := car_of(train, other)):
        raise Refused(f"{other} is not aboard, and so has no car to get into")
    if car != there:
        if event.door is Door.ALONE:
            raise Refused("`hold` is for riding alone; leave out `with`")
        _admit(train, car, size)
    return car


def _seat_before(train: Train, event: Join, there: str, size: int) -> tuple[str, str | None]:
    other = named(train, event.before)
    if not (car := car_of(train, other)):
        raise Refused(f"{other} is not aboard")
    if has_left(train, car):
        raise Refused(f"{other} is under way already; `.join` takes the next car")
    if other == event.by:
        return there, None
    at = train.order.index(car)
    ahead = train.order[at - 1] if at else ""
    alone = event.door is not Door.OPEN
    if ahead and ahead == there and (not alone or train.cars[ahead].riders == (event.by,)):
        return there, None
    if ahead and ahead != there and not alone and _has_room(train, ahead, size):
        return ahead, None
    return "", car


def _has_room(train: Train, car: str, size: int) -> bool:
    riders = train.cars[car].riders
    open_doors = all(train.riders[name].door is Door.OPEN for name in riders)
    return not has_left(train, car) and len(riders) < size and open_doors


def _admit(train: Train, car: str, size: int) -> None:
    """Raise Refused unless somebody who asked may get into this car."""
    riders = train.cars[car].riders
    if has_left(train, car):
        raise Refused("that car is under way already; `.join` takes the next one")
    for name in riders:
        if train.riders[name].door is Door.ALONE:
            raise Refused(f"{name} rides alone; `.join` takes another car")
    if len(riders) >= size:
        raise Refused(f"that car is full, it has room for {words.count(size, 'rider')}")


def _company(train: Train, car: str, of: str) -> str:
    others = [name for name in train.cars[car].riders if name != of]
    return ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")


def _noted(rider: Rider) -> str:
    notes = [word for word, on in (("config", rider.config), ("dark", rider.dark)) if on]
    if rider.door is not Door.OPEN:
        notes.append(rider.door)
    told = f" ({', '.join(notes)})" if notes else ""
    return told + (f": {rider.message}" if rider.message else "")
