"""A whole fleet, at work: ``python -m benchmarks.fleet --agents 10000 --json``.

One server process, and in this process the fleet: agents that hold their watch on a real socket,
check signatures, decide with the agent's own logic, and report. Everything is on the loopback.

``step_seconds``: from the press on ``advance`` to the step's being green, with every node's
report durable, where fetching and restarting take no time. ``revert_seconds``: the same from the
press on ``revert``. ``growth_1k_to_10k``: how many times longer a step takes with all agents than
with a tenth of them, when a restart takes ``--restart`` seconds; ``growth_empty`` when it takes
none. ``reports_per_second``: every node says something new, again and again, as fast as the
server takes it. ``storm_errors``: what goes wrong, other than that nobody answers, when the
server is killed and started again and all agents come back.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop
from msgspec import Struct

from benchmarks.stage import APP, NEW, OLD, Stage, make_room, stage
from headway.client.api import Client
from headway.errors import HeadwayError
from headway.model.rollout import Phase
from headway.model.views import ActionRequest, DeployRequest
from headway.signals.patience import FIRST_SECONDS, LAST_SECONDS
from headway.testing import FakeFleet

ROUNDS = 5
LINES = 2_000
REPORT_ROUNDS = 5
POLL_SECONDS = 0.02
PATIENCE = 120.0


class Times(Struct):
    """Seconds from the press on a button: every agent has heard, has attested, and it is green."""

    heard: float
    attested: float
    green: float


class Pressing:
    """The person at the buttons, with a fleet at the other end."""

    def __init__(self, client: Client, fleet: FakeFleet) -> None:
        self._client = client
        self._fleet = fleet

    async def deploy(self, build: str) -> str:
        """Bring ``build`` onto the canary; the rollout's id, once it waits for ``advance``."""
        view = await asyncio.to_thread(self._client.deploy, APP, DeployRequest(build))
        await self.reaches(view.rollout.id, Phase.WAITING)
        return view.rollout.id

    async def advance(self, rollout: str) -> Times:
        """Press on, and wait for green."""
        return await self._press(rollout, "advance", Phase.SUCCEEDED)

    async def revert(self, rollout: str) -> Times:
        """Press back, and wait for green; then lift the hold that a revert leaves."""
        times = await self._press(rollout, "revert", Phase.REVERTED)
        for hold in await asyncio.to_thread(self._client.holds):
            await asyncio.to_thread(self._client.lift_hold, hold.id)
        return times

    async def reaches(self, rollout: str, phase: Phase) -> None:
        """Return when the rollout is in ``phase``."""
        async with asyncio.timeout(PATIENCE):
            while await self._phase(rollout) is not phase:
                await asyncio.sleep(POLL_SECONDS)

    async def quiet(self) -> None:
        """Return when every agent has attested the last signal that it heard."""
        fleet = self._fleet
        last = max(fleet.heard)
        await fleet.until(lambda: max(fleet.heard) == last and _all(fleet, last), PATIENCE)
        await asyncio.sleep(0.3)

    async def _press(self, rollout: str, action: str, until: Phase) -> Times:
        await self.quiet()
        before = max(self._fleet.heard)
        began = time.monotonic()
        await asyncio.to_thread(self._client.act, rollout, action, ActionRequest("benchmark"))
        await self.reaches(rollout, until)
        green = time.monotonic() - began
        heard, attested = self._fleet.heard[before + 1], self._fleet.attested[before + 1]
        return Times(heard.last - began, attested.last - began, green)

    async def _phase(self, rollout: str) -> Phase:
        view = await asyncio.to_thread(self._client.rollout, rollout)
        return view.rollout.phase


def _all(fleet: FakeFleet, epoch: int) -> bool:
    return epoch in fleet.attested and fleet.attested[epoch].count >= len(fleet.nodes)


async def rollouts(set_up: Stage, fleet: FakeFleet, rounds: int) -> tuple[list[Times], list[Times]]:
    """Steps and reverts, alternating, each of the whole fleet but for its canary."""
    steps, reverts = [], []
    with set_up.client() as client:
        press = Pressing(client, fleet)
        first = await press.deploy(OLD)
        await press.advance(first)
        for _ in range(rounds):
            rollout = await press.deploy(NEW)
            steps.append(await press.advance(rollout))
            reverts.append(await press.revert(rollout))
    return steps, reverts


async def reports_per_second(fleet: FakeFleet) -> float:
    """Every node says something new, and again when that is durable."""
    began = time.monotonic()
    for round_ in range(REPORT_ROUNDS):
        done = fleet.taken + len(fleet.nodes)
        for node in fleet.nodes.values():
            node.why = f"round {round_} at {began}"
            node.tell()
        await fleet.until(lambda done=done: fleet.taken >= done, PATIENCE)  # type: ignore[misc]
    return REPORT_ROUNDS * len(fleet.nodes) / (time.monotonic() - began)


async def storm(set_up: Stage, fleet: FakeFleet) -> tuple[int, float]:
    """Kill the server, start it again; what went wrong, and for how long nodes were away."""
    before = fleet.errors.total()
    await asyncio.to_thread(set_up.stop, signal.SIGKILL)
    await fleet.until(lambda: fleet.connected == 0)
    await asyncio.to_thread(set_up.start)
    began = time.monotonic()
    await fleet.until(lambda: fleet.connected == len(fleet.nodes), PATIENCE)
    seconds = time.monotonic() - began
    await asyncio.sleep(2.0)
    return fleet.errors.total() - before, seconds


async def measure(size: int, restart: float, rounds: int, everything: bool) -> dict[str, float]:
    """All figures of a fleet of ``size``; the rest only with ``everything``."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        set_up = await asyncio.to_thread(Stage, Path(home), size)
        try:
            await asyncio.to_thread(set_up.start)
            fleet = FakeFleet(
                [set_up.url],
                APP,
                set_up.places,
                set_up.trust,
                restart=lambda node, build: restart,
                lines=LINES,
            )
            began = time.monotonic()
            async with fleet:
                print(f"up {time.monotonic() - began:.2f}", file=sys.stderr)
                steps, reverts = await rollouts(set_up, fleet, rounds)
                print(steps, reverts, file=sys.stderr)
                if everything:
                    found["reports_per_second"] = await reports_per_second(fleet)
                    found["storm_errors"], found["storm_seconds"] = await storm(set_up, fleet)
                found["errors"] = fleet.errors.total()
                print(fleet.errors, fleet.breaks, file=sys.stderr)
        finally:
            await asyncio.to_thread(set_up.stop)
    found["step_seconds"] = statistics.median(times.green for times in steps)
    found["revert_seconds"] = statistics.median(times.green for times in reverts)
    return found


if __name__ == "__main__":
    make_room()
    print(uvloop.run(measure(int(sys.argv[1]), 0.0, 3, True)))
