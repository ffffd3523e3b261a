import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from headway.core.journal import fold
from headway.core.next_step import standing
from headway.errors import NotFound, Refused, StaleView, Unavailable
from headway.model.plan import Action, AppConfig, Checks, SmokeCheck
from headway.model.report import Report
from headway.model.rollout import Phase, Rollout
from headway.model.signal import NodeHold, signal_key
from headway.model.verdict import Outcome, Verdict
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import holds, journal, outbox, rollouts
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import NEW, NEWER, OLD, PLAN, Herd, build, set_up

pytestmark = pytest.mark.anyio

TIERS = {"s1": "staging", "p1": "production", "p2": "production", "p3": "production"}


@pytest.fixture
async def herd(plane: ControlPlane) -> AsyncIterator[Herd]:
    await set_up(plane)
    await plane.start()
    herd = Herd(plane, TIERS)
    await herd.enrol()
    await herd.beat()
    yield herd
    await plane.close()


async def deploy(herd: Herd, number: str, supersede: bool = False) -> str:
    request = DeployRequest(number[:8], supersede=supersede)
    return await herd.plane.engine.deploy("web", build(number), request, "alice")


async def act(herd: Herd, rollout: str, action: str, **more: int) -> None:
    await herd.plane.engine.act(rollout, action, ActionRequest("a reason", **more), "alice")


async def state_of(herd: Herd, rollout: str) -> Rollout:
    state = await herd.plane.database.read(lambda c: rollouts.get(c, rollout))
    assert state is not None
    return state


async def succeed(herd: Herd, number: str) -> str:
    rollout = await deploy(herd, number)
    await herd.settle()
    await act(herd, rollout, "advance")
    await herd.settle()
    assert (await state_of(herd, rollout)).phase is Phase.SUCCEEDED
    return rollout


async def test_a_rollout_walks_through_its_plan(herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await herd.settle()
    assert (await state_of(herd, rollout)).phase is Phase.WAITING
    assert herd.running == {"s1": OLD, "p1": None, "p2": None, "p3": None}
    await act(herd, rollout, "advance")
    await herd.settle()
    assert (await state_of(herd, rollout)).phase is Phase.SUCCEEDED
    assert set(herd.running.values()) == {OLD}
    known = await herd.plane.engine.situation("web")
    assert known.live_build == OLD


async def test_folding_the_journal_gives_the_state(herd: Herd) -> None:
    rollout = await succeed(herd, OLD)
    rows = await herd.plane.database.read(lambda c: journal.entries(c, rollout=rollout, limit=1000))
    told = (row.changes for row in rows if row.changes)
    assert fold(told, Rollout) == await state_of(herd, rollout)
    assert rows[0].kind == "start"
    assert rows[0].actor == "alice"
    assert await herd.plane.database.read(outbox.pending) == ()


async def test_a_revert_brings_everything_back_and_holds_the_app(herd: Herd) -> None:
    await succeed(herd, OLD)
    rollout = await succeed(herd, NEW)
    await act(herd, rollout, "revert")
    await herd.settle()
    assert (await state_of(herd, rollout)).phase is Phase.REVERTED
    assert set(herd.running.values()) == {OLD}
    assert (await herd.plane.engine.situation("web")).live_build == OLD
    with pytest.raises(Refused, match="held by alice"):
        await deploy(herd, NEWER)
    (hold,) = await herd.plane.database.read(holds.every)
    await herd.plane.database.write(lambda c: holds.lift(c, hold.id))
    await deploy(herd, NEWER)


async def test_only_the_latest_success_can_be_reverted(herd: Herd) -> None:
    first = await succeed(herd, OLD)
    await succeed(herd, NEW)
    with pytest.raises(Refused, match="not the latest"):
        await act(herd, first, "revert")


async def test_one_live_rollout_unless_it_is_superseded(herd: Herd) -> None:
    await succeed(herd, OLD)
    first = await deploy(herd, NEW)
    await herd.settle()
    with pytest.raises(Refused, match="still waiting"):
        await deploy(herd, NEWER)
    second = await deploy(herd, NEWER, supersede=True)
    ended = await state_of(herd, first)
    assert ended.phase is Phase.SUPERSEDED
    assert second in ended.why
    await herd.settle()
    assert herd.running["s1"] == NEWER
    await act(herd, second, "advance")
    await herd.settle()
    assert set(herd.running.values()) == {NEWER}


async def test_what_pushes_on_is_stale_on_an_old_view_and_what_stops_never_is(herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    seen = standing(await state_of(herd, rollout))
    await herd.settle()
    with pytest.raises(StaleView):
        await act(herd, rollout, "advance", seen=seen)
    assert (await state_of(herd, rollout)).phase is Phase.WAITING
    await act(herd, rollout, "pause", seen=seen)
    assert (await state_of(herd, rollout)).phase is Phase.PAUSED


async def test_what_is_not_allowed_changes_nothing(herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await herd.settle()
    before = await state_of(herd, rollout)
    with pytest.raises(Refused):
        await act(herd, rollout, "resume")
    with pytest.raises(NotFound):
        await act(herd, rollout, "explode")
    with pytest.raises(NotFound):
        await act(herd, "web-999", "pause")
    with pytest.raises(NotFound):
        await herd.plane.engine.deploy("other", build(NEW), DeployRequest(NEW[:8]), "alice")
    assert await state_of(herd, rollout) == before


async def test_a_signal_that_the_store_does_not_take_is_written_later(
    herd: Herd, signals: MemorySignals
) -> None:
    rollout = await deploy(herd, OLD)
    await herd.settle()
    before = await herd.signal()
    signals.trouble = "the store is down"
    await act(herd, rollout, "abort")
    assert "the store is down" in herd.plane.engine.trouble("web")
    assert (await state_of(herd, rollout)).phase is Phase.ABORTED
    with pytest.raises(Unavailable):
        await deploy(herd, NEW)
    signals.trouble = ""
    await herd.plane.engine.observe("web")
    after = await herd.signal()
    assert before is not None
    assert after is not None
    assert after.epoch > before.epoch
    assert herd.plane.engine.trouble("web") == ""
    assert await herd.plane.database.read(outbox.pending) == ()


async def test_a_failed_node_pauses_and_is_named(herd: Herd) -> None:
    herd.refuses["s1"] = OLD
    rollout = await deploy(herd, OLD)
    await herd.settle()
    state = await state_of(herd, rollout)
    assert state.phase is Phase.PAUSED
    assert "s1" in state.why
    del herd.refuses["s1"]
    await act(herd, rollout, "retry")
    await herd.settle()
    assert (await state_of(herd, rollout)).phase is Phase.WAITING


class Alarmed:
    """A guard that has one thing to say."""

    def ingest(self, report: Report, tier: str, now: float) -> None: ...

    def forget(self, app: str, node: str) -> None: ...

    def watched(self, app: AppConfig) -> AppConfig:
        return app

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        return (Verdict("errors", Outcome.FAIL, "errors are up", Action.ALERT),)


async def test_an_alert_is_journaled_once(herd: Herd) -> None:
    herd.plane.engine._observer._judge = Alarmed()
    plan = (msgspec.structs.replace(PLAN[0], checks=Checks.WATCH), *PLAN[1:])
    await set_up(herd.plane, AppConfig(name="web", plans={"default": plan}))
    await deploy(herd, OLD)
    await herd.settle()
    entries = await herd.plane.database.read(lambda c: journal.entries(c, limit=99))
    assert [entry.why for entry in entries if entry.kind == "alert"] == ["errors are up"]
    assert await herd.plane.database.read(outbox.pending) == ()


async def test_the_smoke_test_decides(herd: Herd) -> None:
    smoke = (SmokeCheck("http://127.0.0.1:1/"),)
    plan = (msgspec.structs.replace(PLAN[0], smoke=True), *PLAN[1:])
    await set_up(herd.plane, AppConfig(name="web", plans={"default": plan}, smoke=smoke))
    rollout = await deploy(herd, OLD)
    async with asyncio.timeout(20):
        while (await state_of(herd, rollout)).phase is not Phase.PAUSED:
            await herd.settle()
    state = await state_of(herd, rollout)
    assert state.smoke is False
    assert "127.0.0.1:1" in state.why
    assert await herd.plane.database.read(outbox.pending) == ()


async def test_positions_are_exact_after_a_start_and_keep_still_after_that(herd: Herd) -> None:
    herd.tiers["p4"] = "production"
    herd.running["p4"] = None
    await herd.enrol()
    rollout = await deploy(herd, OLD)
    places = sorted(r.seats["web"].position for r in herd.plane.fleet if r.node != "s1")
    assert places == [0.0, 0.25, 0.5, 0.75]
    herd.tiers["p5"] = "production"
    herd.running["p5"] = None
    await herd.enrol()
    moved = {r.node: r.seats["web"].position for r in herd.plane.fleet}
    assert len(set(moved.values())) >= 5
    assert [p for n, p in sorted(moved.items()) if n in "p1p2p3p4"]
    assert sorted(p for n, p in moved.items() if n not in ("s1", "p5")) == places
    await herd.settle()
    await act(herd, rollout, "advance")
    await herd.settle()
    assert set(herd.running.values()) == {OLD}


async def test_enrolling_with_the_same_facts_changes_nothing(herd: Herd) -> None:
    before = await herd.plane.signals.list("")
    last = await herd.plane.database.read(journal.last)
    await herd.enrol()
    assert await herd.plane.signals.list("") == before
    assert await herd.plane.database.read(journal.last) == last


async def test_a_held_node_keeps_what_it_runs(herd: Herd) -> None:
    await succeed(herd, OLD)
    await herd.plane.roster.hold("p1", NodeHold("bob", "disk swap"))
    await succeed(herd, NEW)
    assert herd.running["p1"] == OLD
    await herd.plane.roster.unhold("p1", "bob")
    await herd.settle()
    assert herd.running["p1"] == NEW


async def test_a_forgotten_node_does_not_hold_anything_up(herd: Herd) -> None:
    await succeed(herd, OLD)
    herd.silent.add("p3")
    await herd.plane.engine.forget("p3", "alice")
    await succeed(herd, NEW)
    assert herd.running["p3"] == OLD
    assert (await herd.record("p3")).seats == {}


async def test_another_start_carries_on(
    herd: Herd, tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    rollout = await deploy(herd, OLD)
    await herd.plane.engine.close()
    again = make_plane(tmp_path, signals, clock)
    await again.start()
    later = Herd(again, TIERS)
    later._seq = 1000
    await later.settle()
    await act(later, rollout, "advance")
    await later.settle()
    assert (await state_of(later, rollout)).phase is Phase.SUCCEEDED
    await again.engine.close()
    await again.database.close()


async def test_time_that_the_control_plane_was_away_does_not_count(
    herd: Herd, tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    rollout = await deploy(herd, OLD)
    await herd.plane.engine.close()
    clock.now += 100_000
    again = make_plane(tmp_path, signals, clock)
    await again.start()
    await again.engine.observe("web")
    assert (await state_of(herd, rollout)).phase is Phase.ROLLING
    clock.now += 16
    await again.engine.observe("web")
    assert (await state_of(herd, rollout)).phase is Phase.PAUSED
    await again.engine.close()
    await again.database.close()


async def test_with_a_lost_database_epochs_and_positions_go_on(
    herd: Herd, tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    await succeed(herd, OLD)
    epoch = herd.epochs[-1]
    records = {node: await herd.record(node) for node in TIERS}
    await herd.plane.engine.close()
    again = make_plane(tmp_path, signals, clock, "fresh.db")
    await set_up(again)
    await again.start()
    later = Herd(again, TIERS)
    later.epochs.append(epoch)
    await later.enrol()
    assert {node: await later.record(node) for node in TIERS} == records
    await later.beat()
    await deploy(later, NEW)
    await later.settle()
    assert later.epochs[-1] > epoch
    await again.engine.close()
    await again.database.close()


async def test_with_an_older_database_a_live_rollout_pauses_beyond_the_store(
    herd: Herd, tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    await succeed(herd, OLD)
    rollout = await deploy(herd, NEW)
    older = sqlite3.connect(tmp_path / "older.db")
    current = sqlite3.connect(tmp_path / "headway.db")
    current.backup(older)
    current.close()
    older.close()
    await herd.settle()
    await act(herd, rollout, "advance")
    await herd.settle()
    epoch = herd.epochs[-1]
    await herd.plane.engine.close()
    again = make_plane(tmp_path, signals, clock, "older.db")
    await again.start()
    later = Herd(again, TIERS)
    later._seq = 1000
    later.epochs.append(epoch)
    state = await state_of(later, rollout)
    assert state.phase is Phase.PAUSED
    assert f"epoch {epoch}" in state.why
    await later.beat()
    await act(later, rollout, "resume")
    await later.settle()
    await act(later, rollout, "advance")
    await later.settle()
    assert (await state_of(later, rollout)).phase is Phase.SUCCEEDED
    assert later.epochs[-1] > epoch
    await again.engine.close()
    await again.database.close()


async def test_a_value_in_the_store_that_is_not_ours_does_not_count(
    herd: Herd, signals: MemorySignals
) -> None:
    await signals.put(signal_key("web"), b'{"payload":"e30=","payloadType":"x"}', None)
    await deploy(herd, OLD)
    signal = await herd.signal()
    assert signal is not None
    assert signal.target == OLD
