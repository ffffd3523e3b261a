"""The traps of each store that are known to have caught somebody, one test for each.

``docs/explanation/signal-stores.md`` says what each one is and how the adapter avoids it.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from kazoo.client import KazooClient

from headway.errors import Conflict, LeaseLost, StoreError, Unavailable
from headway.signals import etcd as etcd_adapter
from headway.signals import lease as leases
from headway.signals import sharing
from headway.signals.gateway import MAX_CALLS
from headway.signals.lease import KeptLease, now
from headway.signals.port import Entry, SignalStore
from headway.signals.stores import open_store
from tests.contract.store_servers import Cluster, call, start
from tests.contract.watching import watching

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def consul(tmp_path_factory, program) -> Iterator[Cluster]:
    with start("consul", tmp_path_factory.mktemp("consul"), program) as running:
        yield running


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory, program) -> Iterator[Cluster]:
    with start("zookeeper", tmp_path_factory.mktemp("zookeeper"), program) as running:
        yield running


@pytest.fixture(scope="module")
def etcd(tmp_path_factory, program) -> Iterator[Cluster]:
    with start("etcd", tmp_path_factory.mktemp("etcd"), program) as running:
        yield running


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[SignalStore]:
    store = open_store(url)
    try:
        yield store
    finally:
        await store.close()


async def come(seen: asyncio.Queue[Entry | None], value: bytes) -> None:
    async with asyncio.timeout(20):
        while (entry := await seen.get()) is None or entry.value != value:
            pass


@contextlib.asynccontextmanager
async def imitation(*answers: tuple[int, bytes]) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """A Consul that gives ``answers`` (index and value) one by one; yields URL and queries."""
    asked: list[dict[str, str]] = []
    enough = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        query = {k: v[0] for k, v in parse_qs(request.query_string).items()}
        asked.append(query)
        if len(asked) > len(answers):
            await enough.wait()
            return web.Response(status=500)
        index, value = answers[len(asked) - 1]
        pair = {
            "Key": "headway/k",
            "Value": base64.b64encode(value).decode(),
            "ModifyIndex": index,
        }
        return web.json_response([pair], headers={"X-Consul-Index": str(index)})

    async with served(answer) as port:
        try:
            yield f"consul://127.0.0.1:{port}", asked
        finally:
            enough.set()


@contextlib.asynccontextmanager
async def served(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[int]:
    """The port of a server that answers everything so."""
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [200, 400, 404, 409, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>It works!</html>",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"Results": [{}], "Errors": 5}',
        b'{"kvs": [{"key": "!", "mod_revision": "1"}], "header": {"revision": "1"}}',
        b'{"succeeded": true, "header": {"revision": "soon"}}',
        b'[{"Key": "headway/k", "Value": "!!", "ModifyIndex": 1}]',
    ],
)
@pytest.mark.parametrize("scheme", ["consul", "etcd"])
async def test_whatever_answers_in_a_stores_place_is_a_store_error(
    scheme: str, body: bytes, status: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    async with served(answer) as port, opened(f"{scheme}://127.0.0.1:{port}") as store:
        asked = (
            store.get("k"),
            store.put("k", b"one", None),
            store.put("k", b"one", "1"),
            store.list("k/"),
            store.lease(10.0),
            anext(store.watch("k")),
            anext(store.follow("k/")),
        )
        for said in await asyncio.gather(*asked, return_exceptions=True):
            assert said is None or isinstance(said, StoreError | dict), repr(said)
        with pytest.raises(StoreError) as refusal:
            await store.put("k", b"one", None)
        if status == 200 and isinstance(refusal.value, Unavailable):
            pytest.fail("a write that was answered well is said not to have been applied")


async def test_consul_an_index_that_went_back_begins_again_at_nothing() -> None:
    async with (
        imitation((100, b"before"), (7, b"restored"), (9, b"after")) as (url, asked),
        opened(url) as store,
        watching(store, "k") as seen,
    ):
        for value in (b"before", b"restored", b"after"):
            await come(seen, value)
        indices = [query.get("index") for query in asked[:3]]
        assert indices == [None, "100", None]


async def test_consul_an_index_of_nothing_is_not_asked_for_in_a_busy_loop() -> None:
    async with (
        imitation(*[(0, b"same")] * 1000) as (url, asked),
        opened(url) as store,
        watching(store, "k") as seen,
    ):
        await come(seen, b"same")
        before = len(asked)
        await asyncio.sleep(0.55)
        assert len(asked) - before < 20


async def test_consul_is_never_asked_to_wait_for_more_than_a_minute() -> None:
    async with (
        imitation((5, b"one"), (6, b"two")) as (url, asked),
        opened(url) as store,
        watching(store, "k") as seen,
    ):
        await come(seen, b"two")
        waits = [query["wait"] for query in asked if "wait" in query]
        assert waits
        assert all(wait.endswith("s") and 0 < int(wait[:-1]) < 60 for wait in waits)


async def test_consul_a_missing_key_is_silent_while_its_siblings_change(consul: Cluster) -> None:
    async with opened(consul.url("missing")) as store, watching(store, "signals/a") as seen:
        assert await seen.get() is None
        revision = None
        for _ in range(30):
            revision = await store.put("signals/b", b"sibling", revision)
            await asyncio.sleep(0.01)
        await store.put("signals/a", b"here", None)
        entry = await asyncio.wait_for(seen.get(), 20)
        assert entry is not None
        assert entry.value == b"here"


async def test_consul_a_failed_compare_and_set_looks_like_success(consul: Cluster) -> None:
    async with opened(consul.url("cas")) as store:
        await store.put("k", b"one", None)
        port = consul.servers[0].port
        said = call(port, "/v1/kv/cas/k?cas=0", b"two", "PUT")  # an error would give ""
        assert said.strip() == "false"
        with pytest.raises(Conflict):
            await store.put("k", b"two", None)


async def test_consul_allows_an_address_200_connections_and_500_watches_fit(
    consul: Cluster,
) -> None:
    async with opened(consul.url("many")) as store:
        keys = [f"nodes/n{number}" for number in range(500)]
        async with contextlib.AsyncExitStack() as stack:
            watches = [await stack.enter_async_context(watching(store, key)) for key in keys]
            for seen in watches:
                assert await asyncio.wait_for(seen.get(), 20) is None
            await asyncio.gather(*(store.put(key, key.encode(), None) for key in keys))
            for key, seen in zip(keys, watches, strict=True):
                await come(seen, key.encode())


async def test_consul_grants_sessions_of_ten_seconds_and_more(consul: Cluster) -> None:
    async with opened(consul.url("session")) as store:
        lease = await store.lease(1.0)
        assert lease.ttl == 10.0
        (session,) = json.loads(call(consul.servers[0].port, f"/v1/session/info/{lease.id}"))
        assert session["TTL"] == "10s"
        assert session["LockDelay"] == 0
        assert not session["NodeChecks"]
        assert session["Behavior"] == "delete"
        await store.put("k", b"one", None, lease)
        await lease.release()
        await store.put("k", b"at once", None)


async def test_consul_may_keep_a_session_for_twice_its_time_but_its_holder_does_not() -> None:
    async def no_answer() -> None:
        raise Unavailable("the store is away")

    lease = KeptLease("l", 0.4, now(), renew=no_answer, end=no_answer)
    lease.check()
    await asyncio.wait_for(lease.ended(), 20)
    with pytest.raises(LeaseLost):
        lease.check()


async def test_a_lease_counts_the_time_before_it_was_granted(monkeypatch) -> None:
    async def nothing() -> None:
        """The store says yes at once."""

    lease = KeptLease("l", 5.0, now() - 4.9, renew=nothing, end=nothing)
    lease.check()
    later = now() + 5.0
    monkeypatch.setattr(leases, "now", lambda: later)
    assert lease.lost, "a pause of the holder is not noticed"
    await lease.release()


async def test_zookeeper_watches_go_off_once_and_are_set_again(zookeeper: Cluster) -> None:
    async with opened(zookeeper.url("once")) as store, watching(store, "k") as seen:
        assert await seen.get() is None
        revision = None
        for number in range(10):
            revision = await store.put("k", b"%d" % number, revision)
            await come(seen, b"%d" % number)


async def test_zookeeper_versions_begin_at_zero_which_is_not_nothing(zookeeper: Cluster) -> None:
    async with opened(zookeeper.url("zero")) as store:
        revision = await store.put("k", b"one", None)
        assert revision.endswith(".0")
        with pytest.raises(Conflict):
            await store.put("k", b"two", None)
        assert (await store.put("k", b"two", revision)).endswith(".1")


async def test_zookeeper_a_hundred_sessions_at_once_outlast_its_backlog(
    zookeeper: Cluster,
) -> None:
    stores = [open_store(zookeeper.url("backlog")) for _ in range(100)]
    try:
        found = await asyncio.gather(*(store.get("k") for store in stores))
        assert found == [None] * 100
    finally:
        await asyncio.gather(*(store.close() for store in stores))


async def test_zookeeper_bounds_a_session_and_the_lease_knows(zookeeper: Cluster) -> None:
    # Its ticks are half a second here, and a session lasts from 2 to 20 of them.
    async with opened(zookeeper.url("bounds")) as store:
        assert (await store.lease(0.1)).ttl == pytest.approx(1.0)
        assert (await store.lease(600.0)).ttl == pytest.approx(10.0)


async def test_zookeeper_a_session_that_expired_does_not_end_watches(zookeeper: Cluster) -> None:
    async with opened(zookeeper.url("expired")) as store, opened(zookeeper.url("expired")) as other:
        revision = await other.put("k", b"one", None)
        async with watching(store, "k") as seen:
            await come(seen, b"one")
            usurper = KazooClient(
                hosts=f"127.0.0.1:{zookeeper.servers[0].port}",
                client_id=store._main.client.client_id,
            )
            for step in (usurper.start, usurper.stop, usurper.close):
                await asyncio.to_thread(step)
            await other.put("k", b"two", revision)
            await come(seen, b"two")


async def test_etcd_keys_and_values_are_base64_and_numbers_are_text(etcd: Cluster) -> None:
    async with opened(etcd.url("text")) as store:
        revision = await store.put("k", b"\xff\0", None)
        key = base64.b64encode(b"text/k").decode()
        said = json.loads(
            call(etcd.servers[0].port, "/v3/kv/range", json.dumps({"key": key}).encode())
        )
        (pair,) = said["kvs"]
        assert base64.b64decode(pair["value"]) == b"\xff\0"
        assert pair["mod_revision"] == revision == str(int(revision))


async def test_etcd_a_compacted_revision_is_read_again(etcd: Cluster) -> None:
    async with opened(etcd.url("compacted")) as store:
        revision = await store.put("k", b"one", None)
        old = int(revision)
        for number in range(5):
            revision = await store.put("k", b"%d" % number, revision)
        compact = json.dumps({"revision": revision}).encode()
        assert call(etcd.servers[0].port, "/v3/kv/compaction", compact)
        real = store._range
        behind = iter([old])

        async def as_if_long_ago(which: dict[str, str]) -> tuple[dict[str, Entry], int]:
            entries, reached = await real(which)
            return entries, next(behind, reached)

        store._range = as_if_long_ago
        async with watching(store, "k") as seen:
            await come(seen, b"4")
            await come(seen, b"4")
            await store.put("k", b"after", revision)
            await come(seen, b"after")


async def test_etcd_what_vanished_before_a_compaction_is_told_as_gone(etcd: Cluster) -> None:
    async with opened(etcd.url("vanished")) as store:
        lease = await store.lease(30.0)
        await store.put("d/stays", b"one", None)
        await store.put("d/goes", b"one", None, lease)
        real, meanwhile = store._range, iter([True])

        async def while_others_are_at_it(which: dict[str, str]) -> tuple[dict[str, Entry], int]:
            entries, reached = await real(which)
            if next(meanwhile, False):
                await lease.release()
                later = await store.put("elsewhere", b"one", None)
                compact = json.dumps({"revision": later}).encode()
                assert call(etcd.servers[0].port, "/v3/kv/compaction", compact)
            return entries, reached

        store._range = while_others_are_at_it
        async with aclosing(store.follow("d/")) as batches, asyncio.timeout(20):
            assert set(await anext(batches)) == {"d/stays", "d/goes"}
            again = await anext(batches)
            assert again["d/goes"] is None
            assert again["d/stays"] is not None


async def test_etcd_a_failed_transaction_does_not_say_so(etcd: Cluster) -> None:
    async with opened(etcd.url("txn")) as store:
        await store.put("k", b"one", None)
        key = base64.b64encode(b"txn/k").decode()
        compare = [{"key": key, "target": "MOD", "mod_revision": "0"}]
        said = call(etcd.servers[0].port, "/v3/kv/txn", json.dumps({"compare": compare}).encode())
        assert "succeeded" not in json.loads(said)
        with pytest.raises(Conflict):
            await store.put("k", b"two", None)


async def test_etcd_renewing_a_lease_that_has_ended_looks_like_success(etcd: Cluster) -> None:
    async with opened(etcd.url("dead")) as store:
        said = json.loads(call(etcd.servers[0].port, "/v3/lease/keepalive", b'{"ID": "4711"}'))
        assert said["result"]["ID"] == "4711"
        assert "TTL" not in said["result"]
        with pytest.raises(LeaseLost):
            await store._renew("4711")


async def test_etcd_a_server_without_the_others_ends_its_watches(
    tmp_path, program, monkeypatch
) -> None:
    monkeypatch.setattr(etcd_adapter, "SILENCE_SECONDS", 3600.0)
    with start("etcd", tmp_path, program, 3) as cluster:
        alone, *others = cluster.servers
        async with opened(f"etcd://127.0.0.1:{alone.port}") as store:
            await store.put("k", b"one", None)
            async with aclosing(store.watch("k")) as entries:
                assert await anext(entries) is not None
                for server in others:
                    server.kill()
                with pytest.raises(StoreError):
                    await asyncio.wait_for(anext(entries), 60)


def test_how_many_watches_stand_alone_leaves_room_for_calls() -> None:
    assert MAX_CALLS + sharing.ALONE + 8 <= 100, "two processes on one address exceed Consul's 200"


# All stores: as many records as a fleet of ten thousand nodes has.


@pytest.mark.parametrize("kind", ["consul", "zookeeper", "etcd"])
async def test_thousands_of_records_are_read_and_followed_as_one(
    kind: str, tmp_path: Path, program
) -> None:
    count = 4000
    with start(kind, tmp_path, program) as cluster:
        writer, reader = open_store(cluster.url()), open_store(cluster.url())
        try:
            gate = asyncio.Semaphore(64)

            async def write(number: int) -> None:
                async with gate:
                    await writer.put(f"nodes/n{number:05}", b"x" * 800, None)

            await asyncio.gather(*map(write, range(count)))
            listed = await reader.list("nodes/")
            assert len(listed) == count
            batches = reader.follow("nodes/")
            assert len(await asyncio.wait_for(anext(batches), 60)) == count
            revision = listed["nodes/n00007"].revision
            await writer.put("nodes/n00007", b"new", revision)
            changed = await asyncio.wait_for(anext(batches), 60)
            assert {key: entry and entry.value for key, entry in changed.items()} == {
                "nodes/n00007": b"new"
            }
            await batches.aclose()
        finally:
            await writer.close()
            await reader.close()
