"""What the origin sends of a large build as a fleet grows: ``python -m benchmarks.peers_in_zone``.

Real: a control plane, and up to ``--agents`` agents, each a process of its own with a slot, a store
and a door for its peers, in ``ZONES`` zones. A build of ``--megabytes`` of random bytes is deployed
to all, once without peers and once with them. ``origin_mb`` is all that the control plane sends
to agents meanwhile, signals included: they reach it through a proxy that counts.

Simulated: the control plane's own matchmaking (``headway.server.swarm``) in virtual time, a zone of
nodes asking within two seconds, transfers of ten seconds, and one node in twenty that dies in
its transfer. ``origin_copies`` is how many times the origin sends the build.
"""

import argparse
import asyncio
import contextlib
import heapq
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.server_process import Server

from benchmarks.stage import make_room
from headway.builds import layout, storage
from headway.builds.publish import publish
from headway.builds.storage.port import read_whole
from headway.demo.site import free_ports
from headway.model.plan import AppConfig, Checks, Step
from headway.model.views import DeployRequest
from headway.server.swarm import Swarm
from headway.signing import MAX_ENVELOPE_BYTES, Signer

ZONES = 2
FILES = 16
PATIENCE = 240.0
SIMULATED = (10, 100, 1_000, 10_000)
TRANSFER_SECONDS = 10.0
DYING = 0.05

AGENT = """
node = "{node}"
server = "{server}"
token_file = "token"
root = "root"
zone = "{zone}"
[trust]
build = ["{keys}/build.key.pub"]
release = ["{keys}/release.key.pub"]
[[apps]]
name = "web"
tier = "production"
"""
PEERS = """
[peers]
listen = "127.0.0.1:{port}"
above_megabytes = 1.0
"""


class Proxy:
    """Passes connections on to ``port`` and counts the bytes that come back."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._passing: set[asyncio.Task[None]] = set()
        self._running = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._running.start()
        self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        self.port = int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Pass nothing on any more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._running.join()
        self._loop.close()

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._begin, "127.0.0.1", 0, backlog=512)

    async def _end(self) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await asyncio.sleep(0.1)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._pass(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._to)
            try:
                await asyncio.gather(
                    self._pump(reader, back, counts=False), self._pump(there, writer, counts=True)
                )
            finally:
                back.transport.abort()
                writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(256 * 1024):
                self.sent += len(piece) if counts else 0
                writer.write(piece)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def agents(room: Path, server: Server, port: int, count: int, peers: bool) -> Iterator[None]:
    """So many agents, until the end of the block."""
    ports = free_ports(count)
    running = []
    try:
        for number in range(count):
            node = f"n{number:03}"
            home = room / node
            home.mkdir(parents=True)
            (home / "token").write_text(server.node_token(node))
            facts = {"node": node, "zone": f"zone-{number % ZONES}", "port": ports[number]}
            text = AGENT + PEERS * peers
            text = text.format(
                server=f"http://127.0.0.1:{port}", keys=server.data / "keys", **facts
            )
            (home / "agent.toml").write_text(text)
            argv = [sys.executable, "-m", "headway", "agent"]
            with (home / "log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [*argv, "--config", str(home / "agent.toml")], stdout=log, stderr=log
                    )
                )
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait(30)


def measure(count: int, megabytes: int, peers: bool) -> dict[str, float]:
    """Deploy one large build to so many agents."""
    with tempfile.TemporaryDirectory() as home:
        room = Path(home)
        server = Server(room / "control")
        try:
            step = Step("production", soak=0, checks=Checks.NONE, concurrency="100%")
            server.set_up(AppConfig("web", plans={"default": (step,)}, metrics=()))
            build = _publish(server, room, megabytes)
            proxy = Proxy(int(server.url.rpartition(":")[2]))
            with (
                contextlib.closing(proxy),
                agents(room / "nodes", server, proxy.port, count, peers),
            ):
                _until(lambda: len(server.call("GET", "/v1/nodes").json()) == count)
                before, began = proxy.sent, time.monotonic()
                asked = DeployRequest(build)
                made = server.call("POST", "/v1/apps/web/rollouts", asked).json()
                _until(lambda: server.phase(made["rollout"]["id"]) == "succeeded")
                seconds = time.monotonic() - began
                return {
                    "agents": count,
                    "origin_mb": round((proxy.sent - before) / 1e6, 1),
                    "seconds": round(seconds, 1),
                }
        finally:
            server.stop()


def _publish(server: Server, room: Path, megabytes: int) -> str:
    tree = room / "tree"
    tree.mkdir()
    for number in range(FILES):
        (tree / f"part-{number:02}").write_bytes(os.urandom(megabytes * 1_000_000 // FILES))
    store = storage.open(f"{server.url}/v1/store", server.token)
    made, _ = publish(
        tree,
        app="web",
        commit="c0ffee",
        by="benchmark",
        subject="",
        signer=Signer.load(server.data / "keys" / "build.key"),
        storage=store,
        earlier=[],
        now=time.time(),
    )
    envelope = read_whole(store, layout.attestation("web", made.id), MAX_ENVELOPE_BYTES)
    store.close()
    answer = server.call("POST", "/v1/apps/web/builds", envelope)
    assert answer.status_code == 201, answer.text
    return made.id


def _until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise SystemExit("it never came to that")
        time.sleep(0.1)


def simulate(size: int, seed: int = 1) -> dict[str, float]:
    """One zone of ``size`` nodes, in virtual time."""
    dice = random.Random(seed)
    swarm = Swarm()
    events = [(dice.uniform(0, 2), number, "ask") for number in range(size)]
    heapq.heapify(events)
    copies = there = 0
    now = 0.0
    while events:
        now, number, what = heapq.heappop(events)
        node = f"n{number}"
        if what == "there":
            there += 1
            swarm.arrived(node)
            continue
        answer = swarm.ask(node, f"10.0.0.1:{number}", (), now)
        if answer.origin or answer.peer is not None:
            copies += answer.origin
            if dice.random() >= DYING:
                heapq.heappush(events, (now + TRANSFER_SECONDS, number, "there"))
        else:
            pause = answer.again * dice.uniform(0.5, 1.5)
            heapq.heappush(events, (now + pause, number, "ask"))
    return {"agents": size, "origin_copies": copies, "seconds": round(now, 1), "there": there}


def main() -> None:
    """Measure, simulate, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    make_room()
    simulated = [simulate(size) for size in SIMULATED]
    if not arguments.json:
        for row in simulated:
            _tell("simulated", row)
    real: dict[str, list[dict[str, float]]] = {}
    sizes = sorted({max(ZONES, arguments.agents // 5), arguments.agents})
    for name, peers in (("with_peers", True), ("without_peers", False)):
        real[name] = []
        for size in sizes:
            real[name].append(measure(size, arguments.megabytes, peers))
            if not arguments.json:
                _tell(name, real[name][-1])
    first, last = real["with_peers"][0], real["with_peers"][-1]
    growth = last["origin_mb"] / first["origin_mb"]
    result = {
        "megabytes": arguments.megabytes,
        **real,
        "simulated": simulated,
        "origin_growth": round(growth, 2),
        "fleet_growth": last["agents"] / first["agents"],
    }
    print(json.dumps(result))


def _tell(name: str, row: dict[str, float]) -> None:
    figures = ", ".join(f"{key} {value}" for key, value in row.items())
    print(f"{name:>14}: {figures}", flush=True)


if __name__ == "__main__":
    main()
