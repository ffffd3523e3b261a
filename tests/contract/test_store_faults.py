"""What a store's adapter says when the store is away, silent, cut off, or loses its leader."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headway.demo.site import free_ports
from headway.errors import Conflict, Indeterminate, StoreError, Unavailable
from headway.signals import gateway, zookeeper_session
from headway.signals.election import elect
from headway.signals.port import SignalStore
from headway.signals.stores import open_store
from tests.contract.fault_proxy import fault_proxy
from tests.contract.store_servers import Cluster, start

pytestmark = pytest.mark.anyio

KINDS = ("consul", "zookeeper", "etcd")
SCHEMES = {"consul": "consul", "zookeeper": "zk", "etcd": "etcd"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    for module in (gateway, zookeeper_session):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
        monkeypatch.setattr(module, "CONNECT_SECONDS", 1.0)


@pytest.fixture(params=KINDS, scope="module")
def cluster(request, tmp_path_factory, program) -> Iterator[Cluster]:
    options = {"ttl_min": "1s"} if request.param == "consul" else {}
    with start(request.param, tmp_path_factory.mktemp("one"), program, **options) as running:
        yield running


@contextlib.asynccontextmanager
async def opened(*urls: str) -> AsyncIterator[list[SignalStore]]:
    stores = [open_store(url) for url in urls]
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_is_not_there_is_unavailable(kind: str) -> None:
    (port,) = free_ports(1)
    async with opened(f"{SCHEMES[kind]}://127.0.0.1:{port}") as (store,):
        asked = (
            store.put("k", b"one", None),
            store.get("k"),
            store.lease(9),
            anext(store.watch("k")),
            anext(store.follow("k/")),
        )
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, Unavailable)
            assert "does not answer" in answer.sentence
        assert "does not answer" in await store.health()


async def test_a_write_into_silence_is_indeterminate_and_a_read_unavailable(
    cluster: Cluster,
) -> None:
    async with opened(cluster.url("silence")) as (store,):
        await store.put("k", b"one", None)
        cluster.servers[0].pause()
        try:
            with pytest.raises(Indeterminate):
                await store.put("new", b"two", None)
            with pytest.raises(Unavailable):
                await store.get("k")
            assert await store.health() != ""
        finally:
            cluster.servers[0].resume()
        await healthy(store)
        entry = await store.get("new")
        assert entry is None or entry.value == b"two"


async def test_a_write_whose_answer_is_lost_is_indeterminate_and_written_once(
    cluster: Cluster,
) -> None:
    url = cluster.url("lost")
    async with fault_proxy(cluster.servers[0].port) as proxy:
        scheme = url.partition("://")[0]
        async with opened(f"{scheme}://127.0.0.1:{proxy.port}/lost", url) as (store, straight):
            await store.put("k", b"one", None)
            proxy.deaf = True
            with pytest.raises(Indeterminate):
                await store.put("new", b"two", None)
            # ZooKeeper's client comes back to see whether its session lives; it asks nothing.
            assert proxy.cuts == 1 or cluster.kind == "zookeeper"
            proxy.deaf = False
            entry = await straight.get("new")
            assert entry is not None
            assert entry.value == b"two"
            with pytest.raises(Conflict):
                await store.put("new", b"two", None)


async def test_a_store_that_comes_back_is_used_again(cluster: Cluster) -> None:
    async with opened(cluster.url("back")) as (store,):
        await store.put("k", b"one", None)
        cluster.servers[0].kill()
        try:
            with pytest.raises(Unavailable):
                await store.get("k")
        finally:
            cluster.servers[0].start()
            cluster.ready()
        await healthy(store)
        entry = await store.get("k")
        assert entry is not None
        assert entry.value == b"one"


HOLDER = """
import asyncio, sys
from headway.errors import HeadwayError
from headway.signals import consul
from headway.signals.election import elect
from headway.signals.stores import open_store

consul.LEAST_TTL = 1.0

async def hold():
    store = open_store(sys.argv[1])
    led = await elect(store, "engine", await store.lease(2.0))
    print(led.fence, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await store.put("act", b"as if I led", None, led.lease)
    except HeadwayError as error:
        print(error.code, flush=True)
    else:
        print("acted", flush=True)
    await store.close()

asyncio.run(hold())
"""


async def test_a_leader_paused_past_its_lease_does_not_act_when_it_wakes(
    cluster: Cluster,
) -> None:
    url = cluster.url("paused")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        fence = int(await asyncio.to_thread(holder.stdout.readline))
        holder.send_signal(signal.SIGSTOP)
        async with opened(url) as (store,):
            lease = await store.lease(10.0)
            successor = await asyncio.wait_for(elect(store, "engine", lease), 30)
            assert successor.fence > fence
            holder.send_signal(signal.SIGCONT)
            holder.stdin.write("act\n")
            holder.stdin.flush()
            said = await asyncio.wait_for(asyncio.to_thread(holder.stdout.readline), 30)
            assert said.strip() == "lease_lost"
            assert await store.get("act") is None
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize("kind", KINDS)
async def test_three_servers_lose_their_leader_and_nothing_else(
    kind: str, tmp_path: Path, program
) -> None:
    with start(kind, tmp_path, program, 3) as cluster:
        async with opened(*[cluster.url()] * 4) as (one, two, watcher, follower):
            seen: list[bytes] = []
            watching = asyncio.create_task(watch_on(watcher, "log/tokens", seen))
            followed: list[bytes] = []
            following = asyncio.create_task(follow_on(follower, "log/", followed))
            writers = [Writer(one, "a"), Writer(two, "b")]
            writing = [asyncio.create_task(writer.run()) for writer in writers]
            try:
                await so_many(writers, 10)
                leader = cluster.leader()
                leader.kill()
                await so_many(writers, 10)
                leader.start()
                await so_many(writers, 10)
            finally:
                for writer in writers:
                    writer.stopped = True
                await asyncio.gather(*writing)
            entry = await patiently(one)
            tokens = entry.split()
            assert len(tokens) == len(set(tokens)), "a write was applied twice"
            for writer in writers:
                assert writer.accepted <= set(tokens), "an accepted write was lost"
                assert {t for t in tokens if t.startswith(writer.name)} <= writer.tried
            await converged(seen, entry)
            await converged(followed, entry)
            for values in (seen, followed):
                lengths = [len(value) for value in values]
                assert lengths == sorted(lengths), "a watch went back"
            for task in (watching, following):
                task.cancel()
            await asyncio.gather(watching, following, return_exceptions=True)


class Writer:
    """Appends one token after another to a list, by compare-and-set, through every failure."""

    def __init__(self, store: SignalStore, name: str) -> None:
        self.name = name.encode()
        self.accepted: set[bytes] = set()
        self.tried: set[bytes] = set()
        self.stopped = False
        self._store = store

    async def run(self) -> None:
        number = 0
        while not self.stopped:
            number += 1
            token = b"%s%d" % (self.name, number)
            with contextlib.suppress(Conflict, Unavailable, Indeterminate):
                entry = await self._store.get("log/tokens")
                value = (entry.value if entry else b"") + b" " + token
                self.tried.add(token)
                await self._store.put("log/tokens", value, entry.revision if entry else None)
                self.accepted.add(token)
            await asyncio.sleep(0.02)


async def so_many(writers: list[Writer], count: int) -> None:
    """Wait until each has had ``count`` more writes accepted."""
    until = time.monotonic() + 60
    goals = [len(writer.accepted) + count for writer in writers]
    while any(len(w.accepted) < goal for w, goal in zip(writers, goals, strict=True)):
        assert time.monotonic() < until, [len(writer.accepted) for writer in writers]
        await asyncio.sleep(0.05)


async def watch_on(store: SignalStore, key: str, seen: list[bytes]) -> None:
    """Watch for ever, as the hub does: a watch that breaks off is begun again."""
    while True:
        with contextlib.suppress(StoreError):
            async for entry in store.watch(key):
                seen.extend([entry.value] if entry else [])
        await asyncio.sleep(0.1)


async def follow_on(store: SignalStore, prefix: str, seen: list[bytes]) -> None:
    while True:
        with contextlib.suppress(StoreError):
            async for batch in store.follow(prefix):
                seen.extend(entry.value for entry in batch.values() if entry is not None)
        await asyncio.sleep(0.1)


async def converged(seen: list[bytes], value: bytes) -> None:
    until = time.monotonic() + 60
    while not seen or seen[-1] != value:
        assert time.monotonic() < until, "a watch did not arrive at the last value"
        await asyncio.sleep(0.05)


async def patiently(store: SignalStore) -> bytes:
    """The list at last, once writes that were under way have settled."""
    await healthy(store)
    await asyncio.sleep(1.0)
    entry = await store.get("log/tokens")
    assert entry is not None
    return entry.value


async def healthy(store: SignalStore) -> None:
    until = time.monotonic() + 60
    while trouble := await store.health():
        assert time.monotonic() < until, trouble
        await asyncio.sleep(0.1)
