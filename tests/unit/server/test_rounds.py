"""Upkeep by the clock: at its hours, once, for every app, and told in the journal."""

import asyncio
from pathlib import Path

import pytest

from headway.builds import layout
from headway.errors import InvalidInput, Unavailable
from headway.model.access import Role
from headway.model.signal import Signal
from headway.server import rounds, upkeep
from headway.server.config import ServerConfig, UpkeepSettings
from headway.server.rounds import Rounds
from headway.settings import convert
from tests.unit.server.conftest import Clock, Web
from tests.unit.server.test_upkeep import Yard

pytestmark = pytest.mark.anyio
TIGHT = UpkeepSettings(hours=(3, 15), packs=2, keep=1, days=1.0)
HOUR = 3600.0


@pytest.fixture
async def yard(web: Web, clock: Clock, tmp_path: Path) -> Yard:
    yard = Yard(web, clock, tmp_path)
    await yard.fill()
    return yard


def at(clock: Clock, hour: float) -> None:
    """The next time that the clock shows this hour, UTC."""
    clock.now = (clock.now // upkeep.DAY + 1) * upkeep.DAY + hour * HOUR


async def journal(yard: Yard) -> list[tuple[str, str, str]]:
    rows = (await yard.web(Role.VIEWER, "GET", "/v1/journal?app=web")).json()
    return [
        (row["actor"], row["kind"], row["why"]) for row in rows if row["kind"] in ("repack", "gc")
    ]


async def test_a_round_merges_and_collects_and_says_so(yard: Yard, clock: Clock) -> None:
    await yard.signal(yard.builds[1], yard.builds[3])
    at(clock, 3)
    assert await Rounds(yard.plane, TIGHT).look()
    assert await journal(yard) == [
        ("headway", "gc", "headway removes 2 builds and 0 packs of web"),
        ("headway", "repack", "headway merges 5 packs of web into one"),
    ]
    assert await yard.listed() == [yard.builds[n] for n in (4, 3, 1)]
    yard.age()
    at(clock, 15)
    assert await Rounds(yard.plane, TIGHT).look()
    assert (await journal(yard))[2:] == [
        ("headway", "gc", "headway removes 0 builds and 5 packs of web")
    ]
    for number in (1, 3, 4):
        yard.whole(yard.builds[number])


async def test_what_is_in_order_is_left_alone(yard: Yard, clock: Clock) -> None:
    at(clock, 3)
    generous = UpkeepSettings(packs=5, keep=5)
    before = sorted(yard.plane.storage.list(layout.packs("web")))
    assert await Rounds(yard.plane, generous).look()
    assert sorted(yard.plane.storage.list(layout.packs("web"))) == before
    assert await journal(yard) == []
    assert len(await yard.listed()) == 5


async def test_a_round_begins_once_in_each_of_its_hours(web: Web, clock: Clock) -> None:
    ours = Rounds(web.plane, TIGHT)
    began = []
    at(clock, 0)
    for _ in range(2 * 24 * 4):
        if await ours.look():
            began.append(clock.now % upkeep.DAY / HOUR)
        clock.now += HOUR / 4
    assert began == [3, 15, 3, 15]


async def test_a_server_that_starts_within_the_hour_makes_the_round(web: Web, clock: Clock) -> None:
    at(clock, 3.9)
    assert await Rounds(web.plane, TIGHT).look()
    at(clock, 4)
    assert not await Rounds(web.plane, TIGHT).look()


async def test_what_cannot_be_done_is_told_and_the_next_app_has_its_turn(
    yard: Yard,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (await yard.web(Role.ADMIN, "PUT", "/v1/apps/api", json={"name": "api"})).is_success
    genuine = yard.plane.engine.signalled

    async def silent(app: str) -> Signal | None:
        if app == "api":
            raise Unavailable("the store does not answer")
        return await genuine(app)

    monkeypatch.setattr(yard.plane.engine, "signalled", silent)
    at(clock, 3)
    assert await Rounds(yard.plane, TIGHT).look()
    rows = (await yard.web(Role.VIEWER, "GET", "/v1/journal?app=api")).json()
    assert rows[-1]["why"] == "upkeep of api was not done: the store does not answer"
    assert len(await journal(yard)) == 2


async def test_the_clock_is_looked_at_again_and_again(
    yard: Yard,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also after a round that has run into a defect."""
    monkeypatch.setattr(rounds, "LOOK_SECONDS", 0.01)
    genuine = Rounds.look
    looked = []

    async def look(ours: Rounds) -> bool:
        looked.append(clock.now)
        if len(looked) == 1:
            raise ZeroDivisionError
        return await genuine(ours)

    monkeypatch.setattr(Rounds, "look", look)
    at(clock, 3)
    before = asyncio.all_tasks()
    async with rounds.rounds(yard.plane, TIGHT), asyncio.timeout(30):
        while len(await yard.listed()) > 1:
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= before, "it goes on after the server"


async def test_without_settings_there_is_no_round(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look(_: Rounds) -> bool:
        raise AssertionError("nobody asked")

    monkeypatch.setattr(Rounds, "look", look)
    async with rounds.rounds(web.plane, None):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"hours": [24]}, "<= 23"),
        ({"hours": []}, "length >= 1"),
        ({"keep": 0}, ">= 1"),
        ({"pack": 3}, 'unknown key "pack".*did you mean "packs"'),
    ],
)
def test_settings_that_make_no_sense(
    table: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    raw = {"data": str(tmp_path), "upkeep": {}}
    assert convert(raw, ServerConfig, "x").upkeep == UpkeepSettings()
    with pytest.raises(InvalidInput, match=sentence):
        convert(raw | {"upkeep": table}, ServerConfig, "x")
