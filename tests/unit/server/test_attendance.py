"""Nodes that report in the signal store: heard, vouched for, believed for themselves alone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from headway.errors import Unavailable
from headway.model.report import (
    PRESENCE_SHARDS,
    Activity,
    Enrolment,
    Presence,
    Report,
    presence_key,
    presence_shard,
)
from headway.model.signal import record_key
from headway.server import attendance
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from tests.unit.server.conftest import Clock, make_plane

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plane(
    tmp_path: Path, signals: MemorySignals, clock: Clock, monkeypatch
) -> AsyncIterator[ControlPlane]:
    monkeypatch.setattr(attendance, "VOUCH_SECONDS", 0.02)
    monkeypatch.setattr(attendance, "RETRY_SECONDS", 0.02)
    plane = make_plane(tmp_path, signals, clock)
    await plane.start()
    plane.attendance.start()
    yield plane
    await plane.close()


def presence(node: str, *reports: Report) -> bytes:
    return msgspec.json.encode(Presence(Enrolment(node, "east", {"web": "production"}), reports))


def report(node: str, seq: int = 1, why: str = "idle") -> Report:
    return Report(node, "web", "boot", seq, 1, Activity.IDLE, None, None, why, 0.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def last_word(plane: ControlPlane, node: str) -> str:
    heard = plane.fleet.heard(node, "web")
    return heard[0].why if heard else ""


async def test_a_node_is_enrolled_and_heard(plane: ControlPlane, signals: MemorySignals) -> None:
    revision = await signals.put(presence_key("n1"), presence("n1", report("n1")), None)
    await until(lambda: last_word(plane, "n1") == "idle")
    assert await signals.get(record_key("n1")) is not None
    await signals.put(presence_key("n1"), presence("n1", report("n1", 2, "new")), revision)
    await until(lambda: last_word(plane, "n1") == "new")


async def test_who_is_there_needs_no_repeating_and_who_is_gone_falls_silent(
    plane: ControlPlane, signals: MemorySignals, clock: Clock
) -> None:
    lease, stays = await signals.lease(60), await signals.lease(60)
    await signals.put(presence_key("n1"), presence("n1", report("n1")), None, lease)
    await signals.put(presence_key("n2"), presence("n2", report("n2")), None, stays)
    await until(lambda: bool(last_word(plane, "n1") and last_word(plane, "n2")))

    def seen(node: str) -> float:
        heard = plane.fleet.heard(node, "web")
        assert heard is not None
        return heard[1]

    clock.now += 100
    await until(lambda: seen("n1") == seen("n2") == clock.now)
    gone = clock.now
    await lease.release()
    await until(lambda: presence_key("n1") not in plane.attendance._present)
    clock.now += 100
    await until(lambda: seen("n2") == clock.now)
    assert seen("n1") == gone


async def test_while_the_store_is_out_of_sight_nobody_is_vouched_for(
    plane: ControlPlane, signals: MemorySignals, clock: Clock, monkeypatch
) -> None:
    await signals.put(presence_key("n1"), presence("n1", report("n1")), None)
    await until(lambda: last_word(plane, "n1") == "idle")

    async def away(prefix: str) -> AsyncIterator[dict[str, None]]:
        raise Unavailable("the store is away")
        yield {}

    monkeypatch.setattr(signals, "follow", away)
    signals._changes.close()
    await until(lambda: not plane.attendance._present)
    clock.now += 100
    await asyncio.sleep(0.1)
    heard = plane.fleet.heard("n1", "web")
    assert heard is not None
    assert heard[1] == clock.now - 100


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(presence("n2", report("n2")), id="out of its place"),
        pytest.param(presence("n1", report("n2")), id="for another node"),
        pytest.param(b"{", id="not understood"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b'{"enrolment": {"node": "../n", "zone": "e", "tiers": {}}}', id="no name"),
    ],
)
async def test_what_is_not_a_nodes_own_word_is_not_heard_and_harms_nobody(
    plane: ControlPlane, signals: MemorySignals, said: bytes
) -> None:
    await signals.put(presence_key("n1"), said, None)
    await signals.put(presence_key("n3"), presence("n3", report("n3")), None)
    await until(lambda: last_word(plane, "n3") == "idle")
    assert plane.fleet.heard("n1", "web") is None
    assert plane.fleet.heard("n2", "web") is None


def test_the_fleet_is_spread_over_all_shards() -> None:
    keys = [presence_key(f"web-{number:05d}.example.com") for number in range(10_000)]
    shards = {presence_shard(number): 0 for number in range(PRESENCE_SHARDS)}
    for key in keys:
        shards[key[: key.rindex("/") + 1]] += 1
    assert len(shards) == PRESENCE_SHARDS
    assert max(shards.values()) < 2 * 10_000 / PRESENCE_SHARDS
