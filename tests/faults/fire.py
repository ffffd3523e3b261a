"""A control plane, its rival, a fleet and a cluster of three, and everything that befalls them.

``python -m tests.faults.fire --kind etcd --room DIR --rounds 2 --seed 7``, in a network namespace
of its own (the cluster's and the control planes' traffic is dropped there by nft). In each round
some things happen in an order that the seed gives; then all is healed, and

- the epoch in the store has never fallen, and on no agent either;
- every agent has the signal that the store accepted last, and runs what it says;
- the control plane brings out another build.

Everybody has the same address, so a server that is cut off from its peers still reaches them: only
what they begin is dropped, which is the nastier half.
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import msgspec

from headway.cli import signal_store
from headway.core.emergency import go_back
from headway.core.goal import wanted
from headway.demo.site import free_ports
from headway.errors import HeadwayError, StoreError
from headway.model.plan import AppConfig, Checks, Step
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.model.views import DeployRequest
from headway.signals.stores import open_store
from headway.signing import Signer, Trust
from headway.testing import FakeFleet, Place
from tests.acceptance.server_process import Server
from tests.contract.store_servers import Cluster, start

NODES = 12
LEASES = {"etcd": 3.0, "zookeeper": 4.0, "consul": 10.0}
PATIENCE = 180.0
CONFIG = AppConfig(
    name="web",
    plans={"default": (Step("production", soak=0, checks=Checks.NONE, concurrency="50%"),)},
    metrics=(),
    silent_after=5.0,
)
SHORT = "from headway.server import leadership; leadership.LEASE_SECONDS = {}"


class Fire:
    """One site, until ``close``."""

    def __init__(self, kind: str, cluster: Cluster, room: Path, dice: random.Random) -> None:
        self.cluster, self.dice = cluster, dice
        self.url = cluster.url("fire")
        self._room, self._sabotage = room, SHORT.format(LEASES[kind])
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        # libfaketime 0.9.10 lets short sleeps fail, of which kazoo's thread dies for good.
        self._moves_clocks = kind != "zookeeper"
        self._clock = room / "clock"
        self._clock.write_text("+0")
        (room / "control").mkdir()
        self.control = self._start_control(stands_by=False)
        self.rival: Server | None = None
        self.signer = Signer.load(self.control.data / "keys" / "release.key")
        self.trust = Trust.of(self.signer.public_pem)
        self.control.set_up(CONFIG)
        self.builds = [self.control.publish("web", b"build %d" % n) for n in range(4)]
        tokens = {f"n{n:02}": self.control.node_token(f"n{n:02}") for n in range(NODES)}
        self.places = [Place(node, token) for node, token in tokens.items()]
        self.store = open_store(self.url)
        self.highest = 0
        self.reached: dict[str, int] = {}
        self.story: list[str] = []
        self.fleet: FakeFleet

    # What may happen.

    async def deploy(self) -> None:
        build = self.dice.choice(self.builds)
        with contextlib.suppress(httpx2.HTTPError):
            request = DeployRequest(build, supersede=True)
            await asyncio.to_thread(self.control.call, "POST", "/v1/apps/web/rollouts", request)

    async def emergency(self) -> None:
        with contextlib.suppress(HeadwayError):
            standing = await signal_store.read(self.store, "web", self.trust)
            to = self.dice.choice([None, *self.builds])
            told = go_back(standing.signal, to, 0, "root", "fire", time.time())
            await signal_store.replace(self.store, standing, told, self.signer)

    async def kill_the_stores_leader(self) -> None:
        leader = await asyncio.to_thread(self.cluster.who_leads)
        if leader is not None and all(server.process for server in self.cluster.servers):
            leader.kill()

    async def pause_a_store_server(self) -> None:
        server = self.dice.choice(self.cluster.servers)
        if server.process is not None:
            server.signal(signal.SIGSTOP)

    async def cut_a_store_server_off(self) -> None:
        drop(self.dice.choice(self.cluster.servers).peer)

    async def cut_clients_off(self) -> None:
        drop(self.dice.choice(self.cluster.servers).port)

    async def cut_agents_off(self) -> None:
        drop(int(self.control.listen.rpartition(":")[2]))

    async def pause_the_control_plane(self) -> None:
        self._signal(signal.SIGSTOP)
        await asyncio.sleep(self.dice.uniform(0.5, 6.0))
        self._signal(signal.SIGCONT)

    async def kill_the_control_plane(self) -> None:
        if self.control.process.poll() is None:
            self.control.kill()
        self.control = self._start_control(stands_by=True)

    async def start_a_rival(self) -> None:
        if self.rival is None:
            data = self._room / "rival"
            data.mkdir(exist_ok=True)
            shutil.copytree(self.control.data / "keys", data / "d" / "keys", dirs_exist_ok=True)
            self.rival = Server(
                data / "d", self._addresses[1], self._sabotage, self.url, stands_by=True
            )

    async def move_the_clock(self) -> None:
        self._clock.write_text(self.dice.choice(["-7200", "-60", "+0", "+60", "+86400"]))

    async def break_connections(self) -> None:
        for node in self.dice.sample(sorted(self.fleet.nodes), 4):
            watch = self.fleet.nodes[node]._watch
            if watch is not None and watch.transport is not None:
                watch.transport.abort()

    @property
    def actions(self) -> list[Callable[[], Awaitable[None]]]:
        clocks = [self.move_the_clock] * self._moves_clocks
        return [
            *clocks,
            self.deploy, self.deploy, self.emergency, self.kill_the_stores_leader,
            self.pause_a_store_server, self.cut_a_store_server_off, self.cut_clients_off,
            self.cut_agents_off, self.pause_the_control_plane, self.kill_the_control_plane,
            self.start_a_rival, self.break_connections,
        ]  # fmt: skip

    # What must hold.

    async def watch_epochs(self) -> None:
        """The epoch in the store, read so that no older value can be the answer, never falls."""
        while True:
            with contextlib.suppress(StoreError):
                told = await self.signal()
                epoch = told.epoch if told else 0
                assert epoch >= self.highest, f"the store fell from {self.highest} to {epoch}"
                self.highest = epoch
            for name, node in self.fleet.nodes.items():
                epoch = max(node.epoch, node.signal.epoch if node.signal else 0)
                assert epoch >= self.reached.get(name, 0), f"{name} fell to {epoch}"
                self.reached[name] = epoch
            await asyncio.sleep(0.05)

    async def signal(self) -> Signal | None:
        entry = await self.store.get(signal_key("web"))
        if entry is None:
            return None
        return msgspec.json.decode(self.trust.open(entry.value, SIGNAL_TYPE), type=Signal)

    async def round(self) -> None:
        for _ in range(self.dice.randint(2, 5)):
            action = self.dice.choice(self.actions)
            self.story.append(action.__name__)
            await action()
            await asyncio.sleep(self.dice.uniform(0.0, 1.5))
        await self.heal()
        await self.until(self.converged, "every agent has the last signal that was accepted")
        await self.works()

    async def heal(self) -> None:
        drop(None)
        self._clock.write_text("+0")
        for server in self.cluster.servers:
            if server.process is None:
                server.start()
            server.signal(signal.SIGCONT)
        if self.rival is not None:
            self.rival.kill()
            self.rival = None
        await asyncio.to_thread(self.cluster.ready)
        await self.until(self._leads, "the control plane leads again")

    async def converged(self) -> bool:
        told = await self.signal()
        if told is None:
            return True
        return all(
            node.signal is not None
            and node.signal.epoch == told.epoch
            and node.record is not None
            and wanted(told, node.record.seats["web"])[0] in (node.running, None)
            for node in self.fleet.nodes.values()
        )

    async def works(self) -> None:
        """It brings out another build, once a person has lifted what holds it."""
        build = self.dice.choice(self.builds)
        ours: list[str] = []

        async def done() -> bool:
            if self.control.process.poll() is not None:
                # It has found only now that the rival led meanwhile, and is started again.
                ours.clear()
                await self._leads()
            with contextlib.suppress(httpx2.HTTPError):
                if not ours:
                    for hold in (await self._call("GET", "/v1/holds")).json():
                        await self._call("DELETE", f"/v1/holds/{hold['id']}")
                    request = DeployRequest(build, supersede=True)
                    answer = await self._call("POST", "/v1/apps/web/rollouts", request)
                    if "is live already" in answer.text:
                        return True
                    if answer.status_code == 201:
                        ours.append(answer.json()["rollout"]["id"])
                    else:
                        self.story.append(answer.text)
                return bool(ours) and self.control.phase(ours[0]) == "succeeded"
            return False

        await self.until(done, "another build is out")
        await self.until(self.converged, "every agent has heard the end of it")

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(StoreError):
                if await holds():
                    return
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        for server in (self.control, self.rival):
            if server is not None and server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
                server.kill()
        await self.store.close()

    async def _call(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return await asyncio.to_thread(self.control.call, method, path, body)

    async def _leads(self) -> bool:
        if self.control.process.poll() is not None:
            self.control.stop()
            self.control = self._start_control(stands_by=True)
        self._signal(signal.SIGCONT)
        try:
            return (await self._call("GET", "/v1/health")).status_code == 200
        except httpx2.HTTPError:
            return False

    def _signal(self, number: int) -> None:
        if self.control.process.poll() is None:
            self.control.process.send_signal(number)

    def _start_control(self, stands_by: bool) -> Server:
        """The control plane, on a clock that can be moved."""
        faked = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        faked = faked if self._moves_clocks else {}
        os.environ |= faked
        try:
            data = self._room / "control" / "data"
            server = Server(data, self._addresses[0], self._sabotage, self.url, stands_by)
        finally:
            for name in faked:
                del os.environ[name]
        if stands_by:
            server.listen = self._addresses[0]
            server.token = self.control.token
        return server


FAKETIME = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"


def drop(port: int | None) -> None:
    """Drop what is sent to and from a port of this namespace; None lets all through again."""
    if port is None:
        nft("flush", "chain", "inet", "fire", "wire")
        return
    for side in ("sport", "dport"):
        nft("add", "rule", "inet", "fire", "wire", "tcp", side, str(port), "drop")


def nft(*words: str) -> None:
    subprocess.run(["nft", *words], check=True, timeout=30)


async def burn(kind: str, room: Path, rounds: int, seed: int) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=30)
    nft("add", "table", "inet", "fire")
    nft("add", "chain", "inet", "fire", "wire", "{ type filter hook input priority 0 ; }")
    with start(kind, room / "store", find, 3) as cluster:
        fire = Fire(kind, cluster, room, random.Random(f"{seed}"))
        try:
            async with FakeFleet(
                [fire.control.url], "web", fire.places, fire.trust, report_every=1.0
            ) as fire.fleet:
                watching = asyncio.create_task(fire.watch_epochs())
                await fire.works()
                for number in range(rounds):
                    fire.story.append(f"round {number}:")
                    await fire.round()
                    if watching.done():
                        watching.result()
                    print(" ".join(fire.story), f"epoch {fire.highest}", flush=True)
                    fire.story.clear()
                watching.cancel()
        except BaseException:
            print("FAILED after", *fire.story, file=sys.stderr)
            told = fire.control.log.read_text().splitlines()
            said = [line for line in told if '"event": "request"' not in line]
            print("\n".join(said)[-6000:], file=sys.stderr)
            raise
        finally:
            await fire.close()


def find(program: str) -> str:
    return program if Path(program).is_file() else str(shutil.which(program))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", required=True)
    parser.add_argument("--room", type=Path, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(burn(asked.kind, asked.room, asked.rounds, asked.seed))
