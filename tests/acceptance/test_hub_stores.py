"""A hub in front of a real Consul, ZooKeeper and etcd, whose servers fail while it runs."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from headway.errors import Conflict, StoreError
from headway.hub.main import RunningHub
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeRecord,
    Seat,
    Signal,
    record_key,
    signal_key,
)
from headway.signals import gateway, zookeeper_session
from headway.signals.port import SignalStore
from headway.signals.stores import open_store
from headway.signing import Signer, Trust
from headway.testing import FakeFleet, Place
from tests.contract.store_servers import Cluster, start

pytestmark = pytest.mark.anyio
SIZE = 300
SIGNER = Signer.generate()
TRUST = Trust.of(SIGNER.public_pem)
BUILDS = ["a" * 64, "b" * 64, "c" * 64, "d" * 64]
PLACES = [Place(f"n{number:03}", f"token-{number}") for number in range(SIZE)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (gateway, zookeeper_session):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 2.0)
        monkeypatch.setattr(module, "CONNECT_SECONDS", 1.0)


@pytest.fixture(params=["consul", "zookeeper", "etcd"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path, program) -> Iterator[Cluster]:
    with start(request.param, tmp_path / "store", program, 3) as running:
        yield running


def record(place: Place, serial: int = 1, token: str = "") -> bytes:
    hashed = sha256((token or place.token).encode()).hexdigest()
    seats = {"web": Seat(place.tier, 0.0)}
    told = NodeRecord(place.node, serial, place.zone, seats, token=hashed)
    return SIGNER.seal(msgspec.json.encode(told), RECORD_TYPE)


def signal(epoch: int, build: str) -> bytes:
    told = Signal(
        app="web", epoch=epoch, rollout="r", base=build, target=build, fractions={}, attempt=1,
        prepare=False, issued_at=0.0, by="test", why="",
    )  # fmt: skip
    return SIGNER.seal(msgspec.json.encode(told), SIGNAL_TYPE)


async def write(store: SignalStore, key: str, value: bytes) -> None:
    """Until it is there, as the control plane does it."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(StoreError):
                entry = await store.get(key)
                if entry is not None and entry.value == value:
                    return
                with contextlib.suppress(Conflict):
                    await store.put(key, value, entry.revision if entry else None)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def hub(cluster: Cluster) -> AsyncIterator[tuple[RunningHub, SignalStore, str]]:
    store = open_store(cluster.url())
    listener = socket.create_server(("127.0.0.1", 0))
    running = RunningHub(store, TRUST, "http://127.0.0.1:1")
    try:
        await running.start(listener)
        yield running, store, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await running.close()
        await store.close()


async def test_a_fleet_behind_a_hub_does_not_notice_what_becomes_of_the_store(
    cluster: Cluster,
) -> None:
    writer = open_store(cluster.url())
    await asyncio.gather(*(write(writer, record_key(p.node), record(p)) for p in PLACES))
    await write(writer, signal_key("web"), signal(1, BUILDS[0]))
    try:
        async with hub(cluster) as (running, _, url):
            fleet = FakeFleet([url], "web", PLACES, TRUST, report_every=60)
            await fleet.connect()
            await fleet.until(lambda: fleet.running(BUILDS[0]) == SIZE)
            assert running.nodes.held == SIZE
            assert running._hub.watched == 2, "one watch of all records, one of the signal"

            leader = await asyncio.to_thread(cluster.leader)
            leader.kill()
            await write(writer, signal_key("web"), signal(2, BUILDS[1]))
            await fleet.until(lambda: fleet.running(BUILDS[1]) == SIZE)

            await asyncio.to_thread(leader.start)
            await asyncio.to_thread(cluster.ready)
            revoked = record(PLACES[7], serial=2, token="another")
            await write(writer, record_key(PLACES[7].node), revoked)
            await fleet.until(lambda: running.nodes.held == SIZE - 1)

            for server in cluster.servers:
                server.kill()
            # The hub knows them: who comes back while there is no store is let in.
            for node in list(fleet.nodes.values())[:5]:
                assert node._watch is not None
                node._watch.transport.abort()
            await fleet.until(lambda: running.nodes.held == SIZE - 6)
            await fleet.until(lambda: running.nodes.held == SIZE - 1)

            for server in cluster.servers:
                server.start()
            await asyncio.to_thread(cluster.ready)
            await write(writer, signal_key("web"), signal(3, BUILDS[2]))
            await fleet.until(lambda: fleet.running(BUILDS[2]) == SIZE - 1)
            await fleet.close()
    finally:
        await writer.close()


async def test_a_hub_that_starts_before_its_store_serves_once_that_is_there(
    cluster: Cluster,
) -> None:
    writer = open_store(cluster.url())
    await asyncio.gather(*(write(writer, record_key(p.node), record(p)) for p in PLACES[:9]))
    await write(writer, signal_key("web"), signal(1, BUILDS[0]))
    await writer.close()
    for server in cluster.servers:
        server.kill()
    async with hub(cluster) as (running, _, url):
        fleet = FakeFleet([url], "web", PLACES[:9], TRUST, report_every=60)
        await fleet.connect()
        assert running.nodes.held == 0
        for server in cluster.servers:
            server.start()
        await asyncio.to_thread(cluster.ready)
        await fleet.until(lambda: fleet.running(BUILDS[0]) == 9)
        await fleet.close()
