"""Headway's own hub in front of the embedded store, both in one process, as in a control plane.

Started by itself (``python -m benchmarks.fanout_hub DIR AGENTS``) it is that process: it writes a
signal for each line that it reads.
"""

import asyncio
import gc
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import uvloop

from benchmarks.stage import APP, NEW, OLD
from benchmarks.watched import Fanout, Heard, memory, rounds_of
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
from headway.signals import process
from headway.signals.embedded import EmbeddedSignals
from headway.signing import Signer, Trust
from headway.testing.lines import Watch

AT_ONCE = 200


async def measure(agents: int, rounds: int) -> Fanout:
    """Start the hub, hold the watches, time the writes."""
    with tempfile.TemporaryDirectory() as home:
        hub = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.fanout_hub", home, str(agents)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert hub.stdin is not None and hub.stdout is not None
        stdin, watches = hub.stdin, []
        try:
            port = json.loads(await hub.stdout.readline())
            before = memory(hub.pid)
            heard = Heard(agents)
            signal = f'{{"key":"{signal_key(APP)}"'.encode()

            def take(data: bytes) -> None:
                if data.startswith(signal):
                    heard.note()

            watches = await _watch(port, agents, take)

            async def write() -> None:
                stdin.write(b"write\n")

            await write()
            await heard.everybody()
            seconds = await rounds_of(rounds, heard, write)
            return Fanout(seconds, (memory(hub.pid) - before) / agents)
        finally:
            for watch in watches:
                watch.close()
            hub.terminate()
            await hub.wait()


async def _watch(port: int, agents: int, take: Callable[[bytes], None]) -> list[Watch]:
    begun, gate = Heard(agents), asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()

    def ended(why: str) -> None:
        raise SystemExit(f"a watch has ended: {why}")

    async def one(number: int) -> Watch:
        node = _name(number)
        request = (
            f"GET /v1/node/watch?apps={APP}&node={node} HTTP/1.1\r\nHost: hub\r\n"
            f"Authorization: Bearer {_token(node)}\r\n\r\n"
        )
        watch = Watch(request.encode(), begun.note, take, ended)
        async with gate:
            await loop.create_connection(lambda: watch, "127.0.0.1", port)
        return watch

    watches = await asyncio.gather(*map(one, range(agents)))
    await begun.everybody()
    await asyncio.sleep(1.0)
    return list(watches)


def _name(number: int) -> str:
    return f"node-{number:06}"


def _token(node: str) -> str:
    return f"token-of-{node}"


async def _be(home: Path, agents: int) -> None:
    """The process that is measured."""
    signer = Signer.generate()
    store = EmbeddedSignals(home / "signals.db")

    async def enrol(number: int) -> None:
        node = _name(number)
        token = sha256(_token(node).encode()).hexdigest()
        seats = {APP: Seat("production", number / agents)}
        record = NodeRecord(node, 1, "zone", seats, token=token)
        await store.put(
            record_key(node), signer.seal(msgspec.json.encode(record), RECORD_TYPE), None
        )

    await asyncio.gather(*map(enrol, range(agents)))
    hub = RunningHub(store, Trust.of(signer.public_pem), "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await hub.start(listener)
        gc.collect()
        gc.freeze()
        print(json.dumps(listener.getsockname()[1]), flush=True)
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        revision = None
        for epoch in range(1, 1 << 30):
            await lines.readline()
            signal = Signal(
                app=APP,
                epoch=epoch,
                rollout=f"{APP}-1",
                base=OLD,
                target=NEW,
                fractions={"canary": 1.0, "production": random.random()},
                attempt=1,
                prepare=True,
                issued_at=time.time(),
                by="benchmark",
                why="production 25 %: the wave rises to 25 %",
            )
            sealed = signer.seal(msgspec.json.encode(signal), SIGNAL_TYPE)
            revision = await store.put(signal_key(APP), sealed, revision)


if __name__ == "__main__":
    process.make_room()
    uvloop.run(_be(Path(sys.argv[1]), int(sys.argv[2])))
