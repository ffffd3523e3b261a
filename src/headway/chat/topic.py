"""The channel's topic: the train in one line, cut to what the network allows."""

import re
from collections.abc import Callable

from headway.core.riding import head, missing
from headway.core.words import clean
from headway.model.train import Door, Rider, State, Train

IRC_BYTES = 390
"""What every IRC network takes, in bytes of UTF-8."""

SLACK_CHARACTERS = 250
"""What Slack takes, in characters."""

_SEPARATORS = re.compile(r"([|+<>])|!!")


def bytes_of(text: str) -> int:
    """The length of a text as IRC counts it."""
    return len(text.encode())


def topic(train: Train, limit: int = 0, length: Callable[[str], int] = len) -> str:
    """``clear``, or ``<staging> alice* + bob | carol ~ + dan (config) | HOLD "m"  !! "message"``.

    Marks: ``*`` good, ``!`` not good, ``~`` dark. What does not fit into ``limit`` goes from the
    end of the queue first, then from the message; who is under way and what holds stay last.
    """
    blocks = _blocks(train)
    message = f'  !! "{_quoted(train.message)}"' if train.message else ""
    cars = [_car(train, number) for number in train.order]
    text = _text(cars, blocks, message)
    if not limit or length(text) <= limit:
        return text
    for kept in range(len(cars) - 1, 0, -1):
        text = _text([*cars[:kept], f"… {len(cars) - kept} more"], blocks, message)
        if length(text) <= limit:
            return text
    text = _text(cars[:1], blocks, "")
    return text if length(text) <= limit else _cut(text, limit, length)


def _text(cars: list[str], blocks: list[str], message: str) -> str:
    return " | ".join([*cars, *blocks] if cars else ["clear", *blocks]) + message


def _blocks(train: Train) -> list[str]:
    found = [f'HOLD "{_quoted(hold.reason)}"' for hold in train.holds[:1]]
    if train.frozen and not found:
        word = "FROZEN" if train.frozen.startswith("frozen") else "CLOSED"
        found.append(f'{word} "{_quoted(train.frozen)}"')
    return found


def _car(train: Train, number: str) -> str:
    first = number == train.order[0]
    car = train.cars[number]
    absent = missing(train) if first else ()
    seats = [_rider(train, name, first and name not in absent) for name in car.riders]
    if car.driver:
        seats.insert(0, f"[{car.driver}]")
    if not first or train.run is None:
        return " + ".join(seats)
    stopped = {State.STOPPED: " stopped", State.REVERTING: " reverting"}.get(train.state, "")
    return f"<{train.run.tier}{stopped}> {' + '.join(seats) or '(nobody)'}"


def _rider(train: Train, name: str, is_good: bool) -> str:
    rider: Rider = train.riders[name]
    mark = "!" if name in train.objections else "*" if is_good and not rider.dark else ""
    notes = ["config"] if rider.config else []
    if rider.door is not Door.OPEN:
        notes.append(rider.door)
    return name + mark + (" ~" if rider.dark else "") + (f" ({', '.join(notes)})" if notes else "")


def _quoted(text: str) -> str:
    """A person's words as part of the topic, in which they cannot look like a part of it."""
    return _SEPARATORS.sub(" ", clean(text)).replace('"', "'").strip()


def _cut(text: str, limit: int, length: Callable[[str], int]) -> str:
    """As much of ``text`` as fits, never half a character, with a mark that it was cut."""
    kept = text[:limit]
    while kept and length(kept + "…") > limit:
        kept = kept[:-1]
    return kept + "…"


def leads(train: Train) -> str:
    """Who leads, as a sentence's beginning, for ``.status``."""
    first = head(train)
    if first is None:
        return "nobody is aboard"
    if train.unled:
        return "nobody leads; `.drive` takes the lead"
    return f"{first.driver or first.riders[0]} leads"
