"""The schedule: when a rollout may begin or go on, who is on shift, and when the next slot is.

All of it is meant in the schedule's time zone, and computed from local days and times of day, so
that nine o'clock is nine o'clock on both sides of a change of clocks. A local time that does not
exist (clocks forward) counts as the moment at which the clocks change; of one that exists twice
(clocks back) the first is meant.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from headway.errors import InvalidInput
from headway.model.schedule import (
    Day,
    Freeze,
    Frozen,
    Mode,
    Rota,
    Schedule,
    Shift,
    Times,
)

LOOK_AHEAD_DAYS = 400
"""How far ahead the next opening is looked for: past a year's end, and any run of holidays."""

_DAYS = tuple(Day)


class Span(Struct, frozen=True):
    """A stretch of time, from its first second up to its last, in seconds since the epoch."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        """Whether a moment is in it; its end is not."""
        return self.begin <= moment < self.end


def check(schedule: Schedule) -> None:
    """Raise InvalidInput unless the schedule makes sense."""
    zone_of(schedule)
    if _minutes(schedule.closes) <= _minutes(schedule.opens):
        raise InvalidInput(f"the schedule closes at {schedule.closes}, before it opens")
    if not schedule.days:
        raise InvalidInput("the schedule has no business days; name some, or leave `days` out")
    for day in schedule.holidays:
        _date(day)
    for freeze in schedule.freezes:
        span = freeze_span(freeze, zone_of(schedule))
        if span.end <= span.begin:
            raise InvalidInput(f"the freeze of {freeze.begin} ends before it begins")
    if schedule.rota is not None:
        _moment(schedule.rota.begin, zone_of(schedule))


def zone_of(schedule: Schedule) -> ZoneInfo:
    """The schedule's time zone. Raises InvalidInput."""
    try:
        return ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"there is no time zone {schedule.zone!a}; write it like Europe/Berlin"
        ) from None


def may_begin(times: Times, now: float, *, hotfix: bool) -> str:
    """Why no rollout may begin now, as one sentence; empty when it may.

    A hotfix needs neither business hours nor a slot, and passes a freeze that lets hotfixes pass.
    """
    schedule = times.schedule
    if frozen := frozen_by(times, now, hotfix=hotfix):
        return frozen
    if schedule is None or hotfix:
        return ""
    if closed := _closed(schedule, now):
        return closed
    alone = schedule.rota is not None and not bot_drives(schedule, now)
    if alone and not shift(times, now).person:
        return "nobody is on shift; `headway rota take` takes over"
    slot = slot_at(schedule, now)
    if slot is not None and any(slot.holds(start) for start in times.starts):
        return f"this slot has had its rollout; the next begins {said(slot.end, schedule)}"
    return ""


def may_go_on(times: Times, now: float, *, hotfix: bool) -> str:
    """Why no further step may begin now; empty when it may."""
    if frozen := frozen_by(times, now, hotfix=hotfix):
        return frozen
    if times.schedule is None or hotfix:
        return ""
    return _closed(times.schedule, now)


def frozen_by(times: Times, now: float, *, hotfix: bool) -> str:
    """The sentence of the freeze that is in force, or an empty string."""
    for span, reason, passes in _freezes(times):
        if span.holds(now) and not (hotfix and passes):
            tail = "; hotfixes may go" if passes else "; hotfixes too"
            return f"frozen until {said(span.end, times.schedule)}: {reason}{tail}"
    return ""


def is_open(schedule: Schedule, now: float) -> bool:
    """Whether ``now`` is in business hours."""
    return any(span.holds(now) for span in _hours(schedule, now, 2))


def opens_next(schedule: Schedule, now: float) -> float | None:
    """When business hours begin next; None when that is further away than a year."""
    for span in _hours(schedule, now, LOOK_AHEAD_DAYS):
        if span.begin > now:
            return span.begin
    return None


def bot_drives(schedule: Schedule, now: float) -> bool:
    """Whether Headway itself begins rollouts, and opens gates, at this time."""
    return schedule.mode is Mode.BOT or (schedule.mode is Mode.BOTH and not is_open(schedule, now))


def slot_at(schedule: Schedule, now: float) -> Span | None:
    """The slot that ``now`` is in: of the business hours, or where the bot drives, of the day."""
    if schedule.mode is Mode.COMMANDER:
        opening = next((span for span in _hours(schedule, now, 2) if span.holds(now)), None)
        return _cut(opening, schedule, now) if opening else None
    zone = zone_of(schedule)
    today = _local(now, zone).date()
    return _cut(Span(_at(today, 0, zone), _at(today, 24 * 60, zone)), schedule, now)


def shift(times: Times, now: float) -> Shift:
    """Who is on shift: whoever took over, else whose turn it is by the rota."""
    took = times.takeover
    if took is not None and took.at <= now < took.until:
        how = f"took over from {_turn(times, now).person or 'nobody'}"
        if took.by != took.person:
            how = f"handed over by {took.by}"
        return Shift(took.person, took.until, f"{how}{f': {took.reason}' if took.reason else ''}")
    return _turn(times, now)


def next_turn(times: Times, now: float) -> float | None:
    """When the rota's turn changes next."""
    return _turn(times, now).until


def coming(times: Times, now: float, most: int) -> Iterator[tuple[float, Shift]]:
    """Who is on shift now, and who will be one after the other; with each, when it begins."""
    for _ in range(most):
        found = shift(times, now)
        yield now, found
        if found.until is None or found.until <= now:
            return
        now = found.until


def _turn(times: Times, now: float) -> Shift:
    schedule = times.schedule
    if schedule is None or schedule.rota is None:
        return Shift()
    rota, zone = schedule.rota, zone_of(schedule)
    first = _moment(rota.begin, zone)
    if now < first:
        return Shift(until=first, why=f"the rota begins {said(first, schedule)}")
    turn = _turns(rota, now, zone)
    return Shift(
        rota.people[turn % len(rota.people)],
        _change(rota, turn + 1, zone),
        "by the rota",
    )


def _turns(rota: Rota, now: float, zone: ZoneInfo) -> int:
    """How many turns have passed; the change is at the same time of day, whatever the clocks do."""
    days = (_local(now, zone).date() - _local(_moment(rota.begin, zone), zone).date()).days
    turn = max(0, days // rota.days)
    while turn > 0 and _change(rota, turn, zone) > now:
        turn -= 1
    while _change(rota, turn + 1, zone) <= now:
        turn += 1
    return turn


def _change(rota: Rota, turn: int, zone: ZoneInfo) -> float:
    begin = _parsed(rota.begin)
    day = begin.date() + timedelta(days=turn * rota.days)
    return _at(day, begin.hour * 60 + begin.minute, zone)


def _closed(schedule: Schedule, now: float) -> str:
    if bot_drives(schedule, now) or is_open(schedule, now):
        return ""
    following = opens_next(schedule, now)
    if following is None:
        return "there are no business hours within a year"
    return f"outside business hours; they begin {said(following, schedule)}"


def _freezes(times: Times) -> Iterator[tuple[Span, str, bool]]:
    for one in times.freezes:
        yield Span(one.begin, one.end), f"{one.reason} (by {one.by})", one.hotfixes
    if times.schedule is not None:
        for freeze in times.schedule.freezes:
            yield freeze_span(freeze, zone_of(times.schedule)), freeze.reason, freeze.hotfixes


def span_of(begin: str | None, end: str, schedule: Schedule, now: float) -> tuple[float, float]:
    """A declared freeze's first and last second; without ``begin`` it begins now."""
    whole = freeze_span(Freeze(begin or end, end, ""), zone_of(schedule))
    first = whole.begin if begin else now
    if whole.end <= first:
        raise InvalidInput(f"the freeze ends at {end}, before it begins")
    return first, whole.end


def said(moment: float, schedule: Schedule | None) -> str:
    """A moment in the schedule's own zone, with the zone's name."""
    if schedule is None:
        return datetime.fromtimestamp(moment, UTC).strftime("%a %Y-%m-%d %H:%M UTC")
    local = _local(moment, zone_of(schedule))
    return f"{local.strftime('%a %Y-%m-%d %H:%M')} ({schedule.zone})"


def lapsed(freeze: Frozen, now: float) -> bool:
    """Whether a declared freeze is over."""
    return freeze.end <= now


def freeze_span(freeze: Freeze, zone: ZoneInfo) -> Span:
    """When a freeze of the configuration begins and ends."""
    end = _moment(freeze.end, zone)
    if len(freeze.end) == len("2026-12-24"):
        end = _at(_date(freeze.end) + timedelta(days=1), 0, zone)
    return Span(_moment(freeze.begin, zone), end)


def _hours(schedule: Schedule, now: float, days: int) -> Iterator[Span]:
    """The business hours of the next so many days, yesterday's first."""
    zone = zone_of(schedule)
    today = _local(now, zone).date()
    off = set(schedule.holidays)
    for offset in range(-1, days):
        day = today + timedelta(days=offset)
        if _DAYS[day.weekday()] in schedule.days and day.isoformat() not in off:
            opens, closes = _minutes(schedule.opens), _minutes(schedule.closes)
            yield Span(_at(day, opens, zone), _at(day, closes, zone))


def _cut(whole: Span, schedule: Schedule, now: float) -> Span:
    """The slot of ``whole`` that ``now`` is in. All are equally long, but for a last short one."""
    length = schedule.every or (whole.end - whole.begin) / schedule.slots
    begin = whole.begin + (now - whole.begin) // length * length
    return Span(begin, min(begin + length, whole.end))


def _local(moment: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment, zone)


def _at(day: date, minutes: int, zone: ZoneInfo) -> float:
    """A time of day as a moment."""
    day += timedelta(days=minutes // 1440)
    naive = datetime.combine(day, time(minutes % 1440 // 60, minutes % 60))
    first = naive.replace(tzinfo=zone, fold=0)
    moment = first.timestamp()
    if datetime.fromtimestamp(moment, zone).replace(tzinfo=None) == naive:
        return moment
    # In the gap: fold=0 counts with the offset before it, so it lands after the change by as much
    # as it lies in the gap.
    before = first.utcoffset() or timedelta(0)
    after = naive.replace(tzinfo=zone, fold=1).utcoffset() or timedelta(0)
    return _transition(moment - 2 * abs(after - before).total_seconds(), moment, zone)


def _transition(low: float, high: float, zone: ZoneInfo) -> float:
    """The second at which the clocks change between ``low`` and ``high``."""
    left, right = int(low), int(high)
    before = datetime.fromtimestamp(left, zone).utcoffset()
    while right - left > 1:
        middle = (left + right) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            left = middle
        else:
            right = middle
    return float(right)


def _moment(text: str, zone: ZoneInfo) -> float:
    parsed = _parsed(text)
    return _at(parsed.date(), parsed.hour * 60 + parsed.minute, zone)


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text} is no date and time") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text} is no date") from None


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
