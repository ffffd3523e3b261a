"""What the control plane makes of a signal that somebody else has written, or that is gone."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from headway.core.emergency import go_back
from headway.core.journal import fold
from headway.errors import Refused
from headway.model.rollout import Phase, Rollout
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.server.database import holds, journal, outbox
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from tests.unit.server.conftest import RELEASE_KEY, Clock, make_plane
from tests.unit.server.herd import NEW, NEWER, OLD, Herd, set_up
from tests.unit.server.test_engine import TIERS, act, deploy, state_of, succeed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def herd(plane: ControlPlane) -> AsyncIterator[Herd]:
    await set_up(plane)
    await plane.start()
    herd = Herd(plane, TIERS)
    await herd.enrol()
    await herd.beat()
    yield herd
    await plane.close()


async def write(herd: Herd, signal: Signal) -> None:
    """As the emergency command does, behind the control plane's back."""
    signals = herd.plane.signals
    entry = await signals.get(signal_key("web"))
    sealed = RELEASE_KEY.seal(msgspec.json.encode(signal), SIGNAL_TYPE)
    await signals.put(signal_key("web"), sealed, entry.revision if entry else None)


async def emergency(herd: Herd, to: str | None = None) -> Signal:
    standing = await herd.signal()
    assert standing is not None
    signal = go_back(standing, to, 0, "root", "all is red", 1.0)
    await write(herd, signal)
    return signal


async def again(
    herd: Herd, tmp_path: Path, clock: Clock, name: str = "headway.db"
) -> tuple[ControlPlane, Herd]:
    """Another control plane on the same store, with the database ``name``."""
    plane = make_plane(tmp_path, herd.plane.signals, clock, name)
    await plane.start()
    later = Herd(plane, TIERS)
    later._seq = 1000
    later.running = herd.running
    later.epochs = herd.epochs[-1:]
    return plane, later


async def close(plane: ControlPlane) -> None:
    await plane.engine.close()
    await plane.database.close()


@pytest.mark.parametrize("finished", [True, False])
async def test_an_emergency_revert_is_taken_over_and_never_written_over(
    herd: Herd,
    tmp_path: Path,
    clock: Clock,
    finished: bool,
) -> None:
    await succeed(herd, OLD)
    rollout = await (succeed if finished else deploy)(herd, NEW)
    await herd.plane.engine.close()
    told = await emergency(herd)
    plane, later = await again(herd, tmp_path, clock)
    try:
        state = await state_of(later, rollout)
        assert state.phase is Phase.REVERTING
        assert state.epoch == told.epoch
        assert "changed outside the control plane" in state.why
        assert "all is red" in state.why
        await later.settle()
        assert (await state_of(later, rollout)).phase is Phase.REVERTED
        assert await later.signal() == told
        assert set(later.running.values()) == {OLD}
        assert (await plane.engine.situation("web")).live_build == OLD
        rows = await plane.database.read(lambda c: journal.entries(c, rollout=rollout, limit=99))
        assert [row.kind for row in rows].count("overtaken") == 1
        folded = (row.changes for row in rows if row.changes)
        assert fold(folded, Rollout) == await state_of(later, rollout)
        with pytest.raises(Refused, match="held by headway"):
            await deploy(later, NEWER)
        (hold,) = await plane.database.read(holds.every)
        await plane.database.write(lambda c: holds.lift(c, hold.id))
        await plane.engine.look("web")
        await deploy(later, NEWER)
        assert later.epochs[-1] <= told.epoch < (await later.signal()).epoch  # type: ignore[union-attr]
    finally:
        await close(plane)


async def test_a_revert_to_another_build_is_what_the_next_rollout_begins_from(herd: Herd) -> None:
    await succeed(herd, OLD)
    await succeed(herd, NEW)
    await emergency(herd, NEWER)
    await herd.plane.engine.look("web")
    await herd.settle()
    assert set(herd.running.values()) == {NEWER}
    assert (await herd.plane.engine.situation("web")).live_build == NEWER
    (hold,) = await herd.plane.database.read(holds.every)
    await herd.plane.database.write(lambda c: holds.lift(c, hold.id))
    await deploy(herd, OLD)
    await herd.settle()
    assert herd.running["s1"] == OLD
    assert herd.running["p3"] == NEWER


async def test_it_is_seen_while_the_control_plane_runs_before_anything_is_written(
    herd: Herd,
) -> None:
    await succeed(herd, OLD)
    rollout = await deploy(herd, NEW)
    await herd.settle()
    told = await emergency(herd)
    assert await herd.plane.engine.signalled("web") == told
    await act(herd, rollout, "abort")
    # To look at it, as the removal of garbage does, is not to have taken note of it.
    # What was decided without knowing was not written over it; then it is taken over.
    assert await herd.signal() == told
    assert "changed outside" in herd.plane.engine.trouble("web")
    await herd.settle()
    assert await herd.signal() == told
    assert set(herd.running.values()) == {OLD}
    assert (await state_of(herd, rollout)).phase is Phase.REVERTED
    assert await herd.plane.database.read(outbox.pending) == ()


async def test_what_was_decided_and_could_not_be_written_does_not_come_after_it(
    herd: Herd,
    signals: MemorySignals,
    tmp_path: Path,
    clock: Clock,
) -> None:
    await succeed(herd, OLD)
    rollout = await deploy(herd, NEW)
    await herd.settle()
    signals.trouble = "the store is down"
    await act(herd, rollout, "retry")
    await act(herd, rollout, "retry")
    decided = (await state_of(herd, rollout)).epoch
    await herd.plane.engine.close()
    signals.trouble = ""
    told = await emergency(herd)
    assert told.epoch < decided
    plane, later = await again(herd, tmp_path, clock)
    try:
        await later.settle()
        assert await later.signal() == told
        assert set(later.running.values()) == {OLD}
        assert await plane.database.read(outbox.pending) == ()
        await plane.engine.look("web")
        assert (await state_of(later, rollout)).phase is Phase.REVERTED
    finally:
        await close(plane)


async def test_a_signal_that_pushes_on_pauses_and_one_after_the_end_holds_the_app(
    herd: Herd,
) -> None:
    await succeed(herd, OLD)
    rollout = await deploy(herd, NEW)
    await herd.settle()
    standing = await herd.signal()
    assert standing is not None
    await write(herd, structs.replace(standing, epoch=50, fractions={"production": 1.0}))
    await herd.plane.engine.look("web")
    state = await state_of(herd, rollout)
    assert state.phase is Phase.PAUSED
    assert "epoch 50" in state.why
    await act(herd, rollout, "abort")
    last = await herd.signal()
    assert last is not None
    assert last.epoch == 51
    await write(herd, structs.replace(last, epoch=60, fractions={"production": 0.5}))
    await herd.plane.engine.look("web")
    with pytest.raises(Refused, match="held by headway"):
        await deploy(herd, NEWER)
    assert (await state_of(herd, rollout)).phase is Phase.ABORTED


async def test_a_store_that_lost_its_memory_is_told_again_with_a_higher_epoch(
    herd: Herd,
    signals: MemorySignals,
) -> None:
    await succeed(herd, OLD)
    first = await signals.get(signal_key("web"))
    assert first is not None
    await succeed(herd, NEW)
    reached = herd.epochs[-1]
    entry = await signals.get(signal_key("web"))
    assert entry is not None
    await signals.put(signal_key("web"), first.value, entry.revision)
    await herd.plane.engine.look("web")
    signal = await herd.signal()
    assert signal is not None
    assert signal.epoch == reached + 1
    assert signal.target == NEW
    await herd.settle()
    assert set(herd.running.values()) == {NEW}
    rows = await herd.plane.database.read(lambda c: journal.entries(c, app="web", limit=99))
    assert "older copy" in next(row.why for row in rows if row.kind == "behind")


async def test_an_emergency_in_an_older_copy_of_the_store_is_told_to_nodes_that_passed_it(
    herd: Herd,
    signals: MemorySignals,
    tmp_path: Path,
    clock: Clock,
) -> None:
    await succeed(herd, OLD)
    rollout = await deploy(herd, NEW)
    older = await signals.get(signal_key("web"))
    assert older is not None
    await herd.settle()
    await act(herd, rollout, "advance")
    await herd.settle()
    reached = herd.epochs[-1]
    await herd.plane.engine.close()
    entry = await signals.get(signal_key("web"))
    assert entry is not None
    await signals.put(signal_key("web"), older.value, entry.revision)
    herd.epochs.clear()
    told = await emergency(herd)
    assert told.epoch <= reached
    herd.epochs = [reached]
    plane, later = await again(herd, tmp_path, clock)
    try:
        await plane.engine.observe("web")
        await later.settle()
        assert later.epochs[-1] > reached
        assert set(later.running.values()) == {OLD}
        assert (await state_of(later, rollout)).phase is Phase.REVERTED
    finally:
        await close(plane)


async def test_with_an_older_database_the_emergency_is_taken_over_all_the_same(
    herd: Herd,
    tmp_path: Path,
    clock: Clock,
) -> None:
    await succeed(herd, OLD)
    copy = sqlite3.connect(tmp_path / "older.db")
    current = sqlite3.connect(tmp_path / "headway.db")
    current.backup(copy)
    current.close()
    copy.close()
    await succeed(herd, NEW)
    await herd.plane.engine.close()
    told = await emergency(herd)
    plane, later = await again(herd, tmp_path, clock, "older.db")
    try:
        await later.settle()
        assert await later.signal() == told
        assert (await plane.engine.situation("web")).live_build == OLD
    finally:
        await close(plane)


async def test_with_a_lost_database_it_is_a_fact_too(
    herd: Herd,
    tmp_path: Path,
    clock: Clock,
) -> None:
    await succeed(herd, OLD)
    await succeed(herd, NEW)
    told = await emergency(herd)
    await herd.plane.engine.close()
    plane, later = await again(herd, tmp_path, clock, "fresh.db")
    try:
        await set_up(plane)
        await plane.engine.look("web")
        assert await later.signal() == told
        await later.beat()
        await deploy(later, NEWER)
        signal = await later.signal()
        assert signal is not None
        assert signal.epoch > told.epoch
    finally:
        await close(plane)
