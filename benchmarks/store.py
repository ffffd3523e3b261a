"""Each signal store by itself, in one run: ``python -m benchmarks.store --json``.

Embedded, and real Consul, ZooKeeper and etcd as single servers on the loopback, through Headway's
own adapters. ``put_ms``: one compare-and-set after another. ``puts_per_second``: ``AT_ONCE`` keys,
each written again as soon as its last write is done. ``watch_ms``: from just before a write until
another client's watch has it. ``list_ms``: all of ``--records`` records of a node's size, as a
control plane or hub reads them when it starts. Medians, and of the first two 99th percentiles.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvloop
from tests.contract import store_servers

from benchmarks.fanout_stores import program
from headway.signals.embedded import EmbeddedSignals
from headway.signals.port import SignalStore
from headway.signals.stores import open_store

KINDS = ("embedded", "consul", "zookeeper", "etcd")
ROUNDS = 500
AT_ONCE = 64
LISTS = 5
VALUE = b"x" * 800
"""As long as a signed signal or record."""


@contextlib.asynccontextmanager
async def opened(kind: str) -> AsyncIterator[Callable[[], SignalStore]]:
    """A running store, and what opens one more client of it; the embedded one is one process."""
    clients: list[SignalStore] = []
    with tempfile.TemporaryDirectory() as room, contextlib.ExitStack() as stack:
        if kind == "embedded":
            embedded = EmbeddedSignals(Path(room) / "signals.db")
            clients.append(embedded)

            def another() -> SignalStore:
                return embedded
        else:
            cluster = stack.enter_context(store_servers.start(kind, Path(room), program))

            def another() -> SignalStore:
                clients.append(open_store(cluster.url()))
                return clients[-1]

        try:
            yield another
        finally:
            for client in clients:
                await client.close()


async def measure(kind: str, rounds: int, records: int) -> dict[str, float]:
    """The figures of one store."""
    found: dict[str, float] = {}
    async with opened(kind) as another:
        store, other = another(), another()
        found |= _figures("put", await _puts(store, rounds))
        found["puts_per_second"] = round(await _throughput(store, rounds))
        found |= _figures("watch", await _watched(store, other, rounds))
        found |= {"list_ms": round(1000 * statistics.median(await _lists(store, records)), 2)}
    return found


def _figures(name: str, seconds: list[float]) -> dict[str, float]:
    seconds = sorted(seconds)
    return {
        f"{name}_ms": round(1000 * statistics.median(seconds), 2),
        f"{name}_p99_ms": round(1000 * seconds[int(len(seconds) * 0.99)], 2),
    }


async def _puts(store: SignalStore, rounds: int) -> list[float]:
    revision, seconds = None, []
    for _ in range(rounds):
        began = time.perf_counter()
        revision = await store.put("bench/one", VALUE, revision)
        seconds.append(time.perf_counter() - began)
    return seconds


async def _throughput(store: SignalStore, rounds: int) -> float:
    async def write(number: int) -> None:
        revision = None
        for _ in range(max(1, rounds // 16)):
            revision = await store.put(f"bench/many/{number}", VALUE, revision)

    began = time.perf_counter()
    await asyncio.gather(*map(write, range(AT_ONCE)))
    return AT_ONCE * max(1, rounds // 16) / (time.perf_counter() - began)


async def _watched(store: SignalStore, other: SignalStore, rounds: int) -> list[float]:
    revision = await store.put("bench/watched", VALUE, None)
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        async for entry in other.watch("bench/watched"):
            if entry is not None:
                seen.put_nowait(entry.value)

    following = asyncio.create_task(follow())
    await seen.get()
    seconds = []
    for number in range(rounds):
        value = b"%08d" % number + VALUE
        began = time.perf_counter()
        revision = await store.put("bench/watched", value, revision)
        while await seen.get() != value:
            pass
        seconds.append(time.perf_counter() - began)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return seconds


async def _lists(store: SignalStore, records: int) -> list[float]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def write(number: int) -> None:
        async with gate:
            await store.put(f"bench/nodes/{number:06}", VALUE, None)

    await asyncio.gather(*map(write, range(records)))
    seconds = []
    for _ in range(LISTS):
        began = time.perf_counter()
        listed = await store.list("bench/nodes/")
        seconds.append(time.perf_counter() - began)
        assert len(listed) == records
    return seconds


def main() -> None:
    """Measure each store that is here, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    result: dict[str, float] = {"rounds": arguments.rounds, "records": arguments.records}
    for kind in KINDS:
        found = uvloop.run(measure(kind, arguments.rounds, arguments.records))
        result |= {f"{kind}_{name}": figure for name, figure in found.items()}
        if not arguments.json:
            figures = ", ".join(f"{name} {figure:,}" for name, figure in found.items())
            print(f"{kind:>9}: {figures}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
