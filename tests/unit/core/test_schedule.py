"""The schedule, at every hour of several years, in every kind of zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core import schedule as core
from headway.errors import InvalidInput
from headway.model.schedule import (
    Day,
    Freeze,
    Frozen,
    Mode,
    Rota,
    Schedule,
    Takeover,
    Times,
)

BERLIN = ZoneInfo("Europe/Berlin")
PLAN = Schedule(zone="Europe/Berlin", opens="09:00", closes="18:00", slots=9)
ROTA = Rota(("ann", "bob", "cyd"), "2026-01-05 09:00", 7)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Asia/Kolkata",
    "Pacific/Apia",  # crossed the date line
    "America/Sao_Paulo",  # midnight did not exist on the day the clocks changed
    "Africa/Casablanca",
    "Pacific/Chatham",
]
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2009, 2031))


def changes_of_clocks() -> list[int]:
    """The days on which any of the zones changes its clocks, or a year ends."""
    found = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in range(2010, 2031)]
    for zone in map(ZoneInfo, ZONES):
        before = None
        for day in range(FIRST, LAST, 86400):
            offset = datetime.fromtimestamp(day, zone).utcoffset()
            if before not in (None, offset):
                found.append(day - 86400)
            before = offset
    return found


moments = st.one_of(
    st.integers(FIRST, LAST).map(float),
    st.builds(
        lambda day, offset: float(day + offset),
        st.sampled_from(changes_of_clocks()),
        st.integers(-86400, 2 * 86400),
    ),
)
schedules = st.builds(
    Schedule,
    zone=st.sampled_from(ZONES),
    mode=st.sampled_from(list(Mode)),
    days=st.sets(st.sampled_from(list(Day)), min_size=1).map(tuple),
    opens=st.sampled_from(["00:00", "02:30", "09:00"]),
    closes=st.sampled_from(["10:15", "18:00", "24:00"]),
    slots=st.integers(1, 48),
    every=st.sampled_from([None, None, 7200.0, 1800.0]),
)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def begins(plan: Schedule, text: str, **more: object) -> str:
    return core.may_begin(Times(schedule=plan), at(text), hotfix=bool(more.get("hotfix")))


@given(schedules, moments)
def test_hours_are_hours_of_the_wall_clock(plan: Schedule, now: float) -> None:
    local = datetime.fromtimestamp(now, ZoneInfo(plan.zone))
    wall = f"{local:%H:%M:%S}"
    expected = (
        list(Day)[local.weekday()] in plan.days and plan.opens + ":00" <= wall < plan.closes + ":00"
    )
    assert core.is_open(plan, now) is expected


@given(schedules, moments)
def test_the_next_opening_is_the_first_moment_that_is_open(plan: Schedule, now: float) -> None:
    opens = core.opens_next(plan, now)
    assert opens is not None
    assert opens > now
    assert core.is_open(plan, opens)
    assert not core.is_open(plan, opens - 1) or plan.closes == "24:00"
    if not core.is_open(plan, now):
        for step in range(1, 20):
            assert not core.is_open(plan, now + (opens - now) * step / 20 - 0.5)


@given(schedules, moments)
def test_every_moment_is_in_one_slot_and_slots_meet(plan: Schedule, now: float) -> None:
    slot = core.slot_at(plan, now)
    if slot is None:
        assert plan.mode is Mode.COMMANDER
        assert not core.is_open(plan, now)
        return
    assert slot.holds(now)
    assert slot.end - slot.begin <= (plan.every or 25 * 3600 / plan.slots) + 1e-6
    assert core.slot_at(plan, slot.begin + (slot.end - slot.begin) / 2) == slot
    after = core.slot_at(plan, slot.end + 1e-3)
    assert after is None or after.begin >= slot.end - 1e-3


@given(schedules, moments)
def test_so_many_rollouts_begin_in_a_day_and_no_more(plan: Schedule, now: float) -> None:
    """Somebody who tries every five minutes of a day gets as many starts as there are slots."""
    plan = replace(plan, slots=12, every=None, mode=Mode.BOT)
    zone = ZoneInfo(plan.zone)
    today = datetime.fromtimestamp(now, zone).date()
    begun: list[float] = []
    for minute in range(0, 27 * 60, 5):
        then = (
            datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(minutes=minute)
        ).timestamp() - 3600
        times = Times(schedule=plan, starts=tuple(begun))
        if not core.may_begin(times, then, hotfix=False):
            begun.append(then)
    days = {datetime.fromtimestamp(one, zone).date() for one in begun}
    for day in days:
        assert sum(datetime.fromtimestamp(one, zone).date() == day for one in begun) <= 12


@given(st.sampled_from(ZONES), moments, st.integers(1, 30), st.integers(1, 5))
def test_a_turn_lasts_its_days_and_the_next_person_follows(
    zone: str, now: float, days: int, people: int
) -> None:
    names = tuple(f"p{number}" for number in range(people))
    plan = Schedule(zone=zone, rota=Rota(names, "2008-03-01 08:30", days))
    times = Times(schedule=plan)
    shift = core.shift(times, now)
    assert shift.person in names
    assert shift.until is not None
    assert now < shift.until <= now + (days + 2) * 86400
    assert core.shift(times, shift.until - 1).person == shift.person
    following = core.shift(times, shift.until).person
    assert following == names[(names.index(shift.person) + 1) % people]
    wall = datetime.fromtimestamp(shift.until, ZoneInfo(zone))
    assert f"{wall:%H:%M}" == "08:30"


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-03-27 09:00", True),  # Friday, winter time
        ("2026-03-30 09:00", True),  # Monday, summer time
        ("2026-03-30 08:59", False),
        ("2026-10-26 08:59", False),
        ("2026-10-26 17:59", True),
        ("2026-10-26 18:00", False),
        ("2026-12-31 12:00", True),
        ("2027-01-01 12:00", False),  # a holiday, on the other side of the year's end
        ("2027-01-02 12:00", False),
    ],
)
def test_clocks_and_years_change(moment: str, open_: bool) -> None:
    plan = replace(PLAN, holidays=("2027-01-01",))
    assert core.is_open(plan, at(moment)) is open_


def test_a_time_that_does_not_exist_is_when_the_clocks_change() -> None:
    plan = replace(PLAN, opens="02:30", days=tuple(Day))
    opens = core.opens_next(plan, at("2026-03-28 23:00"))
    assert opens == at("2026-03-29 03:00")
    assert core.opens_next(plan, at("2026-10-24 23:00")) == at("2026-10-25 02:30")


def test_the_sentence_says_when_it_opens_in_the_schedules_own_zone() -> None:
    assert begins(PLAN, "2026-12-31 20:00") == (
        "outside business hours; they begin Fri 2027-01-01 09:00 (Europe/Berlin)"
    )
    assert begins(PLAN, "2026-12-31 20:00", hotfix=True) == ""


def test_a_slot_has_one_rollout_and_hotfixes_need_none() -> None:
    times = Times(schedule=PLAN, starts=(at("2026-11-25 10:05"),))
    now = at("2026-11-25 10:40")
    assert core.may_begin(times, now, hotfix=False) == (
        "this slot has had its rollout; the next begins Wed 2026-11-25 11:00 (Europe/Berlin)"
    )
    assert core.may_begin(times, now, hotfix=True) == ""
    assert core.may_begin(times, at("2026-11-25 11:00"), hotfix=False) == ""


@pytest.mark.parametrize(("mode", "drives"), [("commander", "--"), ("bot", "NN"), ("both", "-N")])
def test_who_drives(mode: str, drives: str) -> None:
    plan = replace(PLAN, mode=Mode(mode))
    asked = ("2026-11-25 12:00", "2026-11-25 22:00")
    assert "".join("N" if core.bot_drives(plan, at(one)) else "-" for one in asked) == drives
    late = core.may_go_on(Times(schedule=plan), at("2026-11-25 22:00"), hotfix=False)
    assert bool(late) is (mode == "commander")


def test_a_freeze_lasts_to_the_end_of_its_last_day_and_lets_hotfixes_pass() -> None:
    plan = replace(PLAN, freezes=(Freeze("2026-12-23 12:00", "2027-01-03", "the year ends"),))
    assert begins(plan, "2026-12-23 11:59") == ""
    sentence = begins(plan, "2026-12-31 12:00")
    assert sentence == (
        "frozen until Mon 2027-01-04 00:00 (Europe/Berlin): the year ends; hotfixes may go"
    )
    assert begins(plan, "2026-12-31 12:00", hotfix=True) == ""
    assert begins(plan, "2027-01-04 09:00") == ""
    assert core.may_go_on(Times(schedule=plan), at("2026-12-31 12:00"), hotfix=False) == sentence


def test_a_declared_freeze_may_keep_hotfixes_back_and_needs_no_schedule() -> None:
    frozen = Frozen("f1", "web", 100.0, 200.0, "ann", "an audit", hotfixes=False)
    times = Times(freezes=(frozen,))
    for hotfix in (True, False):
        assert "an audit (by ann)" in core.may_begin(times, 100.0, hotfix=hotfix)
        assert core.may_begin(times, 200.0, hotfix=hotfix) == ""
    assert core.lapsed(frozen, 200.0)
    assert not core.lapsed(frozen, 199.0)


def test_whoever_takes_over_has_the_shift_until_the_next_turn() -> None:
    plan = replace(PLAN, rota=ROTA)
    now = at("2026-01-07 12:00")
    assert core.shift(Times(schedule=plan), now).person == "ann"
    until = core.next_turn(Times(schedule=plan), now)
    assert until == at("2026-01-12 09:00")
    took = Takeover("web", "cyd", "cyd", now, until, "ann is ill")
    times = Times(schedule=plan, takeover=took)
    assert core.shift(times, now).person == "cyd"
    assert core.shift(times, now).why == "took over from ann: ann is ill"
    assert core.shift(times, until).person == "bob"
    given = replace(took, by="ann", reason="")
    assert core.shift(Times(schedule=plan, takeover=given), now).why == "handed over by ann"


def test_before_the_rota_begins_nobody_is_on_shift_and_nothing_begins() -> None:
    plan = replace(PLAN, rota=replace(ROTA, begin="2026-12-07 09:00"))
    assert begins(plan, "2026-11-25 12:00") == (
        "nobody is on shift; `headway rota take` takes over"
    )
    assert begins(replace(plan, mode=Mode.BOT), "2026-11-25 12:00") == ""


def test_the_turn_changes_at_the_same_time_of_day_in_summer_and_winter() -> None:
    times = Times(schedule=replace(PLAN, rota=ROTA))
    for day in (date(2026, 3, 30), date(2026, 10, 26), date(2027, 1, 4)):
        change = at(f"{day} 09:00")
        assert core.shift(times, change - 1).person != core.shift(times, change).person


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"zone": "Europe/Berlim"}, "there is no time zone 'Europe/Berlim'"),
        ({"opens": "18:00"}, "closes at 18:00, before it opens"),
        ({"days": ()}, "has no business days"),
        ({"holidays": ("2026-02-30",)}, "2026-02-30 is no date"),
        ({"freezes": (Freeze("2026-02-03", "2026-02-01", "x"),)}, "ends before it begins"),
        ({"rota": replace(ROTA, begin="2026-02-30")}, "2026-02-30 is no date and time"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(change: dict[str, object], sentence: str):
    with pytest.raises(InvalidInput, match=sentence):
        core.check(replace(PLAN, **change))


def test_the_default_schedule_makes_sense() -> None:
    core.check(Schedule())
