"""What every signal store promises, asked of each adapter alike."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from kazoo.client import KazooClient

from headway.errors import Conflict, LeaseLost, StorageFailed, TooLarge, Unavailable
from headway.signals import consul as consul_adapter
from headway.signals.election import elect
from headway.signals.embedded import EmbeddedSignals
from headway.signals.port import Entry, Lease, SignalStore
from headway.signals.stores import open_store
from tests.contract.store_servers import Cluster, call, start
from tests.contract.watching import watching

pytestmark = pytest.mark.anyio

T = TypeVar("T")
EXTERNAL = ("consul", "zookeeper", "etcd")
KINDS = ("memory", "embedded", *EXTERNAL)
TTL = 2.0
numbers = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def servers(tmp_path_factory, program) -> Iterator[Callable[[str], Cluster]]:
    """One server of each kind that is asked for, for all tests."""
    running: dict[str, tuple[Cluster, object]] = {}

    def serving(kind: str) -> Cluster:
        if kind not in running:
            options = {"ttl_min": "1s"} if kind == "consul" else {}
            block = start(kind, tmp_path_factory.mktemp(kind), program, **options)
            running[kind] = block.__enter__(), block
        return running[kind][0]

    yield serving
    for _, block in running.values():
        block.__exit__(None, None, None)


class Place:
    """One store, which can be opened several times, as by several processes."""

    def __init__(self, kind: str, directory: Path, serving: Callable[[str], Cluster]) -> None:
        self.kind = kind
        self._opened: list[SignalStore] = []
        if kind in EXTERNAL:
            self._cluster = serving(kind)
            self._url = self._cluster.url(f"test-{next(numbers)}")
        else:
            self._url = {"memory": "memory:", "embedded": f"embedded:{directory}/signals.db"}[kind]

    def open(self) -> SignalStore:
        """A client of the store. Those in this process have but one."""
        if self.kind not in EXTERNAL and self._opened:
            return self._opened[0]
        return self.reopen()

    def reopen(self) -> SignalStore:
        """A client of the store, come what may."""
        self._opened.append(open_store(self._url))
        return self._opened[-1]

    async def close(self) -> None:
        for store in self._opened:
            await store.close()

    async def lapse(self, store: SignalStore, lease: Lease) -> None:
        """End the lease in the store, behind its holder's back, as if its time had passed."""
        if self.kind == "consul":
            call(self._port, f"/v1/session/destroy/{lease.id}", b"", "PUT")
        elif self.kind == "etcd":
            call(self._port, "/v3/lease/revoke", b'{"ID": "%s"}' % lease.id.encode())
        elif self.kind == "zookeeper":
            usurper = KazooClient(
                hosts=f"127.0.0.1:{self._port}",
                client_id=store._leased[lease.id].client.client_id,
            )
            await asyncio.to_thread(usurper.start)
            await asyncio.to_thread(usurper.stop)
            await asyncio.to_thread(usurper.close)
        else:
            lease.lose()

    @property
    def _port(self) -> int:
        return self._cluster.servers[0].port


@pytest.fixture(params=KINDS)
async def place(request, tmp_path, servers, monkeypatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(consul_adapter, "LEAST_TTL", 1.0)
    place = Place(request.param, tmp_path, servers)
    yield place
    await place.close()


@pytest.fixture
async def store(place: Place) -> SignalStore:
    return place.open()


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


@pytest.mark.parametrize("place", KINDS[1:], indirect=True)
async def test_what_was_acknowledged_outlives_the_process(place: Place) -> None:
    before = place.open()
    revision = await before.put("k", b"one", None)
    revision = await before.put("k", b"two", revision)
    await before.close()
    after = place.reopen()
    assert await after.get("k") == Entry(b"two", revision)
    await after.put("k", b"three", revision)


@pytest.mark.parametrize("place", KINDS[1:], indirect=True)
async def test_two_processes_never_both_win(place: Place) -> None:
    one, two = place.reopen(), place.reopen()
    await one.put("k", b"one", None)
    with pytest.raises(Conflict):
        await two.put("k", b"two", None)


@asynccontextmanager
async def following(
    store: SignalStore, prefix: str
) -> AsyncIterator[asyncio.Queue[dict[str, Entry | None]]]:
    seen: asyncio.Queue[dict[str, Entry | None]] = asyncio.Queue()

    async def follow() -> None:
        async for batch in store.follow(prefix):
            seen.put_nowait(batch)

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_whoever_follows_a_prefix_sees_all_then_what_changes(place: Place) -> None:
    store, other = place.open(), place.open()
    first = await store.put("nodes/a", b"one", None)
    await store.put("nodes", b"beside", None)
    async with following(other, "nodes/") as seen:
        assert await within(seen.get()) == {"nodes/a": Entry(b"one", first)}
        second = await store.put("nodes/a", b"two", first)
        new = await store.put("nodes/deep/b", b"new", None)
        await store.put("signals/a", b"nothing to do with it", None)
        state: dict[str, Entry | None] = {}
        wanted = {"nodes/a": Entry(b"two", second), "nodes/deep/b": Entry(b"new", new)}
        while state != wanted:
            state |= await within(seen.get())
            assert set(state) <= set(wanted)


async def test_whoever_follows_an_empty_prefix_learns_that_it_is(store: SignalStore) -> None:
    async with following(store, "nodes/") as seen:
        assert await within(seen.get()) == {}
        revision = await store.put("nodes/a", b"one", None)
        assert await within(seen.get()) == {"nodes/a": Entry(b"one", revision)}


async def test_what_was_put_under_a_lease_goes_with_it(place: Place) -> None:
    store, other = place.open(), place.open()
    lease, stays = await store.lease(TTL), await store.lease(TTL)
    await store.put("reports/1/a", b"here", None, lease)
    await store.put("reports/1/b", b"here too", None, stays)
    await store.put("reports/1/c", b"bound to nothing", None)
    async with watching(other, "reports/1/a") as seen, following(other, "reports/") as batches:
        entry = await within(seen.get())
        assert entry is not None
        assert entry.value == b"here"
        assert set(await within(batches.get())) == {"reports/1/a", "reports/1/b", "reports/1/c"}
        await lease.release()
        while await within(seen.get()) is not None:
            pass
        assert await within(batches.get()) == {"reports/1/a": None}
    assert set(await store.list("reports/")) == {"reports/1/b", "reports/1/c"}


async def test_a_lease_can_be_written_under_again_and_again(store: SignalStore) -> None:
    lease = await store.lease(TTL)
    revision = await store.put("k", b"one", None, lease)
    with pytest.raises(Conflict):
        await store.put("k", b"two", None, lease)
    changed = await store.put("k", b"two", revision, lease)
    with pytest.raises(Conflict):
        await store.put("k", b"three", revision, lease)
    assert await store.get("k") == Entry(b"two", changed)


async def test_a_key_keeps_to_its_lease_or_to_none(store: SignalStore) -> None:
    lease, another = await store.lease(TTL), await store.lease(TTL)
    bound = await store.put("bound", b"one", None, lease)
    free = await store.put("free", b"one", None)
    for key, revision, under in (
        ("bound", bound, None),
        ("bound", bound, another),
        ("free", free, lease),
    ):
        with pytest.raises(Conflict):
            await store.put(key, b"two", revision, under)
    await lease.release()
    assert await store.get("bound") is None
    assert await store.get("free") == Entry(b"one", free)


async def test_a_lease_is_kept_for_as_long_as_it_is_held(store: SignalStore) -> None:
    lease = await store.lease(1.0)
    revision = await store.put("k", b"one", None, lease)
    await asyncio.sleep(lease.ttl + 0.5)
    lease.check()
    await store.put("k", b"two", revision, lease)


async def test_a_holder_whose_lease_ran_out_in_the_store_is_told(place: Place) -> None:
    store, other = place.open(), place.open()
    lease = await store.lease(TTL)
    revision = await store.put("k", b"one", None, lease)
    await place.lapse(store, lease)
    with pytest.raises(LeaseLost):
        await store.put("k", b"two", revision, lease)
    with pytest.raises(LeaseLost):
        await store.put("l", b"two", None, lease)
    await within(lease.ended())
    with pytest.raises(LeaseLost):
        lease.check()
    assert await other.get("k") is None
    assert await other.get("l") is None
    await lease.release()


async def test_a_key_that_was_made_anew_is_not_the_old_one(store: SignalStore) -> None:
    lease = await store.lease(TTL)
    old = await store.put("k", b"one", None, lease)
    await lease.release()
    again = await store.lease(TTL)
    new = await store.put("k", b"one", None, again)
    assert new != old
    with pytest.raises(Conflict):
        await store.put("k", b"two", old, again)


async def test_closing_ends_leases(place: Place) -> None:
    store = place.reopen()
    lease = await store.lease(30.0)
    await store.put("k", b"one", None, lease)
    await store.close()
    assert lease.lost
    await within(lease.ended())
    if place.kind != "memory":
        assert await place.reopen().get("k") is None


async def test_each_leader_has_a_higher_fence_and_leads_alone(place: Place) -> None:
    fences: list[int] = []
    leading = 0

    async def candidate() -> None:
        nonlocal leading
        store = place.open()
        lease = await store.lease(10.0)
        leadership = await elect(store, "engine", lease)
        leading += 1
        assert leading == 1
        fences.append(leadership.fence)
        await asyncio.sleep(0.01)
        leading -= 1
        await lease.release()

    await asyncio.wait_for(asyncio.gather(*(candidate() for _ in range(5))), 60)
    assert fences == sorted(set(fences))
    assert len(fences) == 5


async def test_a_leader_whose_lease_ran_out_is_followed_by_a_higher_fence(place: Place) -> None:
    first, second = place.open(), place.open()
    old = await elect(first, "engine", await first.lease(TTL))
    waiting = asyncio.create_task(elect(second, "engine", await second.lease(TTL)))
    await place.lapse(first, old.lease)
    new = await within(waiting)
    assert new.fence > old.fence
    await within(old.lease.ended())
    with pytest.raises(LeaseLost):
        old.lease.check()
    new.lease.check()


async def test_elections_of_other_names_do_not_wait_for_each_other(store: SignalStore) -> None:
    lease = await store.lease(TTL)
    await within(elect(store, "one", lease))
    await within(elect(store, "other", lease))


async def test_who_waits_to_lead_is_told_when_the_lease_ends(place: Place) -> None:
    store = place.open()
    await elect(store, "engine", await store.lease(10.0))
    lease = await store.lease(TTL)
    waiting = asyncio.create_task(elect(store, "engine", lease))
    await place.lapse(store, lease)
    with pytest.raises(LeaseLost):
        await within(waiting)


async def test_a_candidate_that_pauses_before_its_fence_never_leads(place: Place) -> None:
    store = place.open()
    lease = await store.lease(3.0)
    late = Delayed(store, "elections/engine/fence")
    slow = asyncio.create_task(elect(late, "engine", lease))
    await within(late.reached.wait())
    await place.lapse(store, lease)
    rival = place.open()
    leader = await within(elect(rival, "engine", await rival.lease(TTL)))
    late.go_on.set()
    with pytest.raises(LeaseLost):
        await within(slow)
    leader.lease.check()
    entry = await rival.get("elections/engine/leader")
    assert entry is not None
    assert entry.value == leader.lease.id.encode()


class Delayed:
    """A store whose client is paused before it writes one key, however its lease fares."""

    def __init__(self, store: SignalStore, key: str) -> None:
        self._store = store
        self._key = key
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def put(self, key: str, *rest: object) -> str:
        if key == self._key:
            self.reached.set()
            await self.go_on.wait()
        return await self._store.put(key, *rest)


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
