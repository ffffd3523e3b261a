"""When deploys may go, who answers for them, and what is frozen."""

from datetime import datetime, timedelta

from msgspec import Struct

from headway.core import schedule as core
from headway.model.release_views import ScheduleView
from headway.model.schedule import Day, Mode, Schedule, Times
from headway.server import timetable
from headway.server.plane import ControlPlane
from headway.server.situation import look

DAYS = 7
TURNS = 6

_MODES = {
    Mode.COMMANDER: "a person walks each rollout through its steps, in business hours",
    Mode.BOT: "Headway itself begins rollouts and opens gates, day and night",
    Mode.BOTH: "a person in business hours, Headway itself at all others",
}


class Facts(Struct, frozen=True):
    """What the page is made from."""

    view: ScheduleView
    times: Times


class DayRow(Struct, frozen=True):
    """One of the next days, in the schedule's zone."""

    day: str
    hours: str
    open: bool
    notes: tuple[str, ...]


class Turn(Struct, frozen=True):
    """Somebody's shift; ``until`` is None where nothing ends it."""

    person: str
    begin: float
    until: float | None
    why: str


class FreezeRow(Struct, frozen=True):
    """A freeze; ``id`` is empty where the configuration has it."""

    id: str
    begin: float
    end: float
    by: str
    reason: str
    hotfixes: bool
    now: bool


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    planned: bool
    zone: str
    barred: str
    mode: str
    bot: bool
    slots: str
    slot_begin: float | None
    slot_end: float | None
    opens: float | None
    days: tuple[DayRow, ...]
    on_shift: Turn | None
    turns: tuple[Turn, ...]
    people: tuple[str, ...]
    freezes: tuple[FreezeRow, ...]


def make_schedule(facts: Facts) -> Page:
    """The page."""
    view, plan = facts.view, facts.view.schedule
    turns = tuple(
        Turn(shift.person, begin, shift.until, shift.why)
        for begin, shift in core.coming(facts.times, view.now, TURNS)
    )
    return Page(
        app=view.app,
        planned=plan is not None,
        zone=plan.zone if plan else "UTC",
        barred=view.barred,
        mode=_MODES[plan.mode] if plan else "anybody, at any time",
        bot=view.bot,
        slots=_slots(plan) if plan else "",
        slot_begin=view.slot_begin,
        slot_end=view.slot_end,
        opens=view.opens,
        days=_days(plan, view.now) if plan else (),
        on_shift=turns[0] if turns and turns[0].person else None,
        turns=turns[1:],
        people=plan.rota.people if plan and plan.rota else (),
        freezes=_freezes(facts),
    )


def _slots(plan: Schedule) -> str:
    if plan.every is not None:
        return f"one rollout begins every {plan.every / 60:g} minutes at most"
    day = "business hours" if plan.mode is Mode.COMMANDER else "a day"
    return f"{plan.slots} slots in {day}; one rollout begins in each"


def _days(plan: Schedule, now: float) -> tuple[DayRow, ...]:
    """The next days as the schedule has them."""
    today = datetime.fromtimestamp(now, core.zone_of(plan)).date()
    rows = []
    for offset in range(DAYS):
        day = today + timedelta(days=offset)
        holiday = day.isoformat() in plan.holidays
        works = tuple(Day)[day.weekday()] in plan.days
        hours = f"{plan.opens}–{plan.closes}" if works and not holiday else "closed"
        notes = [
            freeze.reason
            for freeze in plan.freezes
            if freeze.begin[:10] <= day.isoformat() <= freeze.end[:10]
        ]
        rows.append(
            DayRow(
                day.strftime("%a %Y-%m-%d"),
                hours,
                works and not holiday,
                (*(("a holiday",) if works and holiday else ()), *notes),
            )
        )
    return tuple(rows)


def _freezes(facts: Facts) -> tuple[FreezeRow, ...]:
    """Those that are in force or to come, the next first."""
    now = facts.view.now
    found = [
        FreezeRow(
            one.id,
            one.begin,
            one.end,
            one.by,
            one.reason,
            one.hotfixes,
            one.begin <= now < one.end,
        )
        for one in facts.view.freezes
    ]
    plan = facts.view.schedule
    for freeze in plan.freezes if plan else ():
        span = core.freeze_span(freeze, core.zone_of(plan or Schedule()))
        if now < span.end:
            found.append(
                FreezeRow(
                    "",
                    span.begin,
                    span.end,
                    "the configuration",
                    freeze.reason,
                    freeze.hotfixes,
                    span.holds(now),
                )
            )
    return tuple(sorted(found, key=lambda one: one.begin))


async def gather(plane: ControlPlane, app: str) -> Facts:
    """What an app's schedule says now. Raises NotFound."""
    now = plane.clock()
    known = await plane.database.read(lambda c: look(c, app, now, deep=True))
    return Facts(timetable.view(known, now), known.times)
