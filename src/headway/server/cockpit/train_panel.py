"""The train as the page shows it: its cars, who rides in them, and what holds it."""

from msgspec import Struct

from headway.model.hold import Hold
from headway.model.train import Door, State, Train
from headway.model.views import TrainView


class RiderLine(Struct, frozen=True):
    """Somebody aboard. ``mark`` is good, bad, dark or missing; it has a sign and a word."""

    name: str
    mark: str
    leads: bool
    notes: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()


class CarLine(Struct, frozen=True):
    """Riders who deploy together; ``where`` is the tier that the car has reached, if it has left.

    ``driver`` leads it without a change aboard.
    """

    number: int
    where: str
    riders: tuple[RiderLine, ...]
    driver: str = ""


class TrainPanel(Struct, frozen=True):
    """The train: ``state`` in a word, who leads, what is said of it, and what keeps it waiting."""

    state: str
    word: str
    leader: str
    cars: tuple[CarLine, ...]
    holds: tuple[Hold, ...]
    frozen: str
    message: str
    commander: str
    notes: tuple[str, ...]


_WORDS = {
    State.CLEAR: "Nobody is aboard",
    State.BOARDING: "Boarding",
    State.MOVING: "On its way",
    State.TESTING: "Waiting for sign-offs",
    State.READY: "Ready to go on",
    State.STOPPED: "Stopped",
    State.REVERTING: "Reverting",
    State.ARRIVED: "Arrived",
}


def train_panel(view: TrainView) -> TrainPanel:
    """The panel of a train."""
    train = view.train
    return TrainPanel(
        state=train.state.value,
        word=_WORDS[train.state],
        leader=view.leader,
        cars=tuple(_car(view, place, number) for place, number in enumerate(train.order)),
        holds=train.holds,
        frozen="" if train.holds else train.frozen,
        message=train.message,
        commander=train.commander,
        notes=() if train.state is State.CLEAR else view.notes,
    )


def _car(view: TrainView, place: int, number: str) -> CarLine:
    train, car = view.train, view.train.cars[number]
    where = train.run.tier if place == 0 and train.run is not None else ""
    riders = tuple(_rider(view, name, first=place == 0) for name in car.riders)
    return CarLine(place + 1, where, riders, car.driver)


def _rider(view: TrainView, name: str, *, first: bool) -> RiderLine:
    train = view.train
    rider = train.riders[name]
    notes = ["config"] if rider.config else []
    if rider.door is not Door.OPEN:
        notes.append("rides alone" if rider.door is Door.ALONE else "on request")
    return RiderLine(
        name=name,
        mark=_mark(train, name, first and name not in view.missing),
        leads=first and name == view.leader,
        notes=", ".join(notes),
        message=rider.message,
        changes=rider.changes,
    )


def _mark(train: Train, name: str, has_said: bool) -> str:
    if name in train.objections:
        return "bad"
    if train.riders[name].dark:
        return "dark"
    return "good" if has_said else "missing"
