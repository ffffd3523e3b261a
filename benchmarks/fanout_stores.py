"""What the watches of Consul, ZooKeeper and etcd have in common when they are measured.

Each watcher is a bare protocol on a connection of its own, with no more than it must do to hear of
every write: lighter than any client library, so that it is the server that is measured.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

from tests.contract import store_servers

from benchmarks.watched import Fanout, Heard, memory, rounds_of
from headway.signals.stores import open_store

KEY = "signals/web"
PATH = f"headway/{KEY}"
VALUE_BYTES = 800
"""As long as a signed signal."""

Said = Callable[[bytes], None]


class Watcher(asyncio.Protocol):
    """One watch. ``begun`` is called once it stands, ``heard`` with each new value of the key."""

    transport: asyncio.Transport

    def __init__(self, begun: Callable[[], None], heard: Said) -> None:
        self.begun = begun
        self.heard = heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the watch."""
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        """Send the first request."""
        raise NotImplementedError


def program(name: str) -> str:
    """Where a program or file of a store's is. Raises SystemExit where it is missing."""
    found = shutil.which(name) or (name if Path(name).exists() else None)
    if found is None:
        raise SystemExit(f"{name} is missing; `make servers` installs it")
    return found


async def measure(
    kind: str,
    watcher: Callable[[Callable[[], None], Said], Watcher],
    agents: int,
    rounds: int,
    at_once: int,
    **options: object,
) -> Fanout:
    """Start the server, hold the watches, time the writes."""
    loop = asyncio.get_running_loop()
    heard, begun, gate = Heard(agents), Heard(agents), asyncio.Semaphore(at_once)
    latest = b""

    def take(value: bytes) -> None:
        if value == latest:
            heard.note()

    with (
        tempfile.TemporaryDirectory() as room,
        store_servers.start(kind, Path(room), program, 1, **options) as cluster,
    ):
        server = cluster.servers[0]
        assert server.process is not None
        store = open_store(cluster.url())
        revision = await store.put(KEY, b"first", None)
        before = memory(server.process.pid)

        async def one() -> Watcher:
            made = watcher(begun.note, take)
            async with gate:
                await loop.create_connection(lambda: made, "127.0.0.1", server.port)
            return made

        watchers = await asyncio.gather(*(one() for _ in range(agents)))
        await begun.everybody()
        await asyncio.sleep(2.0)
        number = 0

        async def write() -> None:
            nonlocal latest, revision, number
            number += 1
            latest = f"{number:08}".encode().ljust(VALUE_BYTES, b"x")
            revision = await store.put(KEY, latest, revision)

        await write()
        await heard.everybody()
        seconds = await rounds_of(rounds, heard, write)
        held = (memory(server.process.pid) - before) / agents
        for each in watchers:
            each.transport.close()
        await store.close()
        return Fanout(seconds, held)
