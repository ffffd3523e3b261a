"""What every signal store promises, asked of each adapter alike."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from headway.errors import Conflict, StorageFailed, TooLarge, Unavailable
from headway.signals.embedded import EmbeddedSignals
from headway.signals.memory import MemorySignals
from headway.signals.port import Entry, SignalStore

pytestmark = pytest.mark.anyio

T = TypeVar("T")
Open = Callable[[Path], SignalStore]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def embedded(directory: Path) -> SignalStore:
    return EmbeddedSignals(directory / "signals.db")


def memory(directory: Path) -> SignalStore:
    return MemorySignals()


@pytest.fixture(params=[memory, embedded])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SignalStore]:
    opened: SignalStore = request.param(tmp_path)
    yield opened
    await opened.close()


@asynccontextmanager
async def watching(store: SignalStore, key: str) -> AsyncIterator[asyncio.Queue[Entry | None]]:
    seen: asyncio.Queue[Entry | None] = asyncio.Queue()

    async def follow() -> None:
        async for entry in store.watch(key):
            seen.put_nowait(entry)

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def within(awaitable: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaitable, 10)


async def test_a_missing_key_is_none(store: SignalStore) -> None:
    assert await store.get("signals/a") is None


async def test_what_was_put_is_read_back_with_its_revision(store: SignalStore) -> None:
    revision = await store.put("signals/a", b"one\0\xff", None)
    assert await store.get("signals/a") == Entry(b"one\0\xff", revision)


async def test_each_write_has_another_revision(store: SignalStore) -> None:
    revisions = [await store.put("k", b"same", None)]
    for _ in range(5):
        revisions.append(await store.put("k", b"same", revisions[-1]))
    assert len(set(revisions)) == 6


async def test_creating_what_exists_is_a_conflict_and_changes_nothing(store: SignalStore) -> None:
    await store.put("k", b"one", None)
    with pytest.raises(Conflict):
        await store.put("k", b"two", None)
    entry = await store.get("k")
    assert entry is not None
    assert entry.value == b"one"


async def test_an_old_revision_is_a_conflict(store: SignalStore) -> None:
    old = await store.put("k", b"one", None)
    await store.put("k", b"two", old)
    with pytest.raises(Conflict):
        await store.put("k", b"three", old)
    entry = await store.get("k")
    assert entry is not None
    assert entry.value == b"two"


async def test_a_revision_of_a_key_that_is_not_there_is_a_conflict(store: SignalStore) -> None:
    revision = await store.put("other", b"one", None)
    with pytest.raises(Conflict):
        await store.put("k", b"one", revision)
    assert await store.get("k") is None


async def test_of_many_who_expect_the_same_revision_one_wins(store: SignalStore) -> None:
    results = await asyncio.gather(
        *(store.put("k", b"%d" % n, None) for n in range(20)), return_exceptions=True
    )
    winners = [n for n, result in enumerate(results) if isinstance(result, str)]
    assert len(winners) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 19
    entry = await store.get("k")
    assert entry == Entry(b"%d" % winners[0], str(results[winners[0]]))


async def test_too_large_a_value_is_refused(store: SignalStore) -> None:
    await store.put("k", b"x" * 64 * 1024, None)
    with pytest.raises(TooLarge):
        await store.put("l", b"x" * (64 * 1024 + 1), None)
    assert await store.get("l") is None


async def test_list_gives_exactly_the_keys_with_the_prefix(store: SignalStore) -> None:
    for key in ("nodes/a", "nodes/b%", "nodes", "signals/nodes/a", "nodes_/c"):
        await store.put(key, key.encode(), None)
    listed = await store.list("nodes/")
    assert {key: entry.value for key, entry in listed.items()} == {
        "nodes/a": b"nodes/a",
        "nodes/b%": b"nodes/b%",
    }


async def test_a_watch_begins_with_what_is_there(store: SignalStore) -> None:
    revision = await store.put("k", b"one", None)
    async with watching(store, "k") as seen:
        assert await within(seen.get()) == Entry(b"one", revision)


async def test_a_watch_of_a_missing_key_begins_with_none_and_sees_it_come(
    store: SignalStore,
) -> None:
    async with watching(store, "k") as seen:
        assert await within(seen.get()) is None
        await store.put("other", b"nothing to do with it", None)
        revision = await store.put("k", b"one", None)
        entry = await within(seen.get())
        while entry is None:
            entry = await within(seen.get())
        assert entry == Entry(b"one", revision)


async def test_every_watch_arrives_at_the_last_value(store: SignalStore) -> None:
    async with watching(store, "k") as first, watching(store, "k") as second:
        revision = None
        for number in range(50):
            revision = await store.put("k", b"%d" % number, revision)
        for seen in (first, second):
            entries = [await within(seen.get())]
            while entries[-1] is None or entries[-1].value != b"49":
                entries.append(await within(seen.get()))
            numbers = [int(entry.value) for entry in entries if entry]
            assert numbers == sorted(numbers)


async def test_a_healthy_store_has_nothing_to_say(store: SignalStore) -> None:
    await store.put("k", b"one", None)
    assert await store.health() == ""


async def test_closing_ends_watches_and_refuses_writes(store: SignalStore) -> None:
    ended = asyncio.Event()

    async def follow() -> None:
        async for _ in store.watch("k"):
            pass
        ended.set()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await store.close()
    await within(ended.wait())
    await task
    with pytest.raises(Unavailable):
        await store.put("k", b"one", None)
    assert await store.health() != ""


@pytest.mark.parametrize("open_store", [embedded])
async def test_what_was_acknowledged_outlives_the_process(open_store: Open, tmp_path: Path) -> None:
    before = open_store(tmp_path)
    revision = await before.put("k", b"one", None)
    revision = await before.put("k", b"two", revision)
    await before.close()
    after = open_store(tmp_path)
    try:
        assert await after.get("k") == Entry(b"two", revision)
        await after.put("k", b"three", revision)
    finally:
        await after.close()


@pytest.mark.parametrize("open_store", [embedded])
async def test_two_processes_never_both_win(open_store: Open, tmp_path: Path) -> None:
    one, two = open_store(tmp_path), open_store(tmp_path)
    try:
        await one.put("k", b"one", None)
        with pytest.raises(Conflict):
            await two.put("k", b"two", None)
    finally:
        await one.close()
        await two.close()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "signals.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageFailed, match=r"signals\.db cannot be opened"):
        EmbeddedSignals(tmp_path / "signals.db")


async def test_the_embedded_store_says_what_failed_and_recovers(tmp_path: Path) -> None:
    store = EmbeddedSignals(tmp_path / "signals.db")
    blocker = sqlite3.connect(tmp_path / "signals.db", isolation_level=None)
    store._connection.execute("PRAGMA busy_timeout = 10")
    try:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await store.put("k", b"one", None)
        assert "locked" in await store.health()
        blocker.execute("ROLLBACK")
        await store.put("k", b"one", None)
        assert await store.health() == ""
    finally:
        blocker.close()
        await store.close()
