"""When deploys may go out, and who answers for them."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import Name, Seconds, Text

Clock = Annotated[str, Meta(pattern=r"\A([01]\d|2[0-3]):[0-5]\d\Z|\A24:00\Z")]
"""A time of day: ``09:00``. ``24:00`` is the end of the day."""

Date = Annotated[str, Meta(pattern=r"\A\d{4}-\d{2}-\d{2}\Z")]
"""A day: ``2026-12-24``."""

Moment = Annotated[str, Meta(pattern=r"\A\d{4}-\d{2}-\d{2}( [0-2]\d:[0-5]\d)?\Z")]
"""A day, or a day and a time: ``2026-12-24`` or ``2026-12-24 18:00``."""


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Mode(StrEnum):
    """Who walks a rollout through its steps."""

    COMMANDER = "commander"
    """A person, in business hours."""
    BOT = "bot"
    """Headway itself, day and night: it cuts a release from the queue in each slot, deploys it,
    and opens every gate when the step is green."""
    BOTH = "both"
    """A person in business hours, Headway itself at all others."""


class Freeze(Struct, frozen=True, forbid_unknown_fields=True):
    """A time in which nothing new begins; hotfixes may, unless it says otherwise."""

    begin: Moment
    """Its first day, or its first minute, in the schedule's time zone."""
    end: Moment
    """Its last day, or the minute in which it ends."""
    reason: Text
    """Why, for everybody who meets it."""
    hotfixes: bool = True
    """Whether hotfixes and reverts may begin all the same. What runs is never stopped by it."""


class Rota(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose turn it is: the people one after the other, each for so many days."""

    people: Annotated[tuple[Text, ...], Meta(min_length=1)]
    """The names of their tokens, in their order."""
    begin: Moment
    """When the first of them began, in the schedule's time zone."""
    days: Annotated[int, Meta(ge=1, le=366)] = 7
    """How long a turn is. It changes at the same time of day, summer and winter."""


class Schedule(Struct, frozen=True, forbid_unknown_fields=True):
    """When rollouts of an app may begin, and go on to a further step."""

    zone: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_+/-]{1,64}\Z")] = "UTC"
    """The time zone that every other key is meant in, such as ``Europe/Berlin``."""
    mode: Mode = Mode.COMMANDER
    """Who walks a rollout through its steps."""
    days: tuple[Day, ...] = (Day.MON, Day.TUE, Day.WED, Day.THU, Day.FRI)
    """The business days."""
    opens: Clock = "09:00"
    """When business hours begin."""
    closes: Clock = "18:00"
    """When business hours end; a step that has begun is finished."""
    holidays: tuple[Date, ...] = ()
    """Business days that are none."""
    slots: Annotated[int, Meta(ge=1, le=288)] = 12
    """How many slots the business hours have, or with a bot the whole day; one rollout begins in
    each, and hotfixes need none."""
    every: Annotated[float, Meta(ge=300, le=86400)] | None = None
    """How long a slot is instead, in seconds: 7200 for one every two hours."""
    freezes: tuple[Freeze, ...] = ()
    """Times in which nothing new begins; ``headway schedule freeze`` adds more."""
    rota: Rota | None = None
    """Who is on shift; with it, nothing begins by a person while nobody is."""
    batch: Annotated[int, Meta(ge=1, le=1000)] = 5
    """How many changes the bot puts into one release at most."""


class Frozen(Struct, frozen=True):
    """A freeze that a person has declared; times in seconds since the epoch."""

    id: str
    app: Name
    begin: float
    end: float
    by: Text
    reason: Text
    hotfixes: bool = True


class Takeover(Struct, frozen=True):
    """Somebody has the shift in place of whose turn it is, from ``at`` to ``until``.

    ``by`` is who said so: the person that took it, or the one that handed it over.
    """

    app: Name
    person: Text
    by: Text
    at: float
    until: float
    reason: Text = ""


class Shift(Struct, frozen=True):
    """Who is on shift, and until when; ``person`` is empty where there is no rota."""

    person: Text = ""
    until: float | None = None
    why: Text = ""


class Times(Struct, frozen=True):
    """What is known of an app's times: its schedule, declared freezes, and who took over.

    ``starts`` are when its last rollouts began, hotfixes left out.
    """

    schedule: Schedule | None = None
    freezes: tuple[Frozen, ...] = ()
    takeover: Takeover | None = None
    starts: tuple[Seconds, ...] = ()
