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
import json
import signal
import statistics
import tempfile
import time
from pathlib import Path

import uvloop
from msgspec import Struct

from benchmarks.plot import Line, draw
from benchmarks.stage import APP, NEW, OLD, Stage, make_room
from headway.client.api import Client
from headway.model.rollout import Phase
from headway.model.views import ActionRequest, DeployRequest
from headway.testing import FakeFleet

ROUNDS = 5
LINES = 2_000
REPORT_ROUNDS = 5
POLL_SECONDS = 0.01
SPARE_FILES = 200
PATIENCE = 120.0
PLOTTED = {
    "step_heard": "every agent has heard",
    "step_attested": "every report is durable",
    "step_seconds": "the step is green",
    "revert_seconds": "a revert is green",
}


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
            while await self._phase(rollout) is not phase:  # noqa: ASYNC110
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
        # Not green before that; to ask all the while would be measured as the server's work.
        await self._fleet.until(lambda: _all(self._fleet, before + 1), PATIENCE)
        await self.reaches(rollout, until)
        green = time.monotonic()
        heard, attested = self._fleet.heard[before + 1].last, self._fleet.attested[before + 1].last
        return Times(heard - began, attested - began, green - began)

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


async def measure(size: int, restart: float, everything: bool = False) -> dict[str, float]:
    """The figures of a fleet of ``size``; those beyond a step and a revert with ``everything``."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as home:
        set_up = await asyncio.to_thread(Stage, Path(home), size)
        try:
            await asyncio.to_thread(set_up.start)
            async with FakeFleet(
                [set_up.url],
                APP,
                set_up.places,
                set_up.trust,
                restart=lambda node, build: restart,
                lines=LINES,
            ) as fleet:
                steps, reverts = await rollouts(set_up, fleet, ROUNDS)
                if everything:
                    found["reports_per_second"] = await reports_per_second(fleet)
                    found["storm_errors"], found["storm_seconds"] = await storm(set_up, fleet)
        finally:
            await asyncio.to_thread(set_up.stop)
    for name, times in (("step", steps), ("revert", reverts)):
        found[f"{name}_seconds"] = statistics.median(one.green for one in times)
        found[f"{name}_heard"] = statistics.median(one.heard for one in times)
        found[f"{name}_attested"] = statistics.median(one.attested for one in times)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--restart", type=float, default=3.0, help="seconds, for the growth")
    parser.add_argument("--plot", type=Path, help="write times against fleet size, as SVG")
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    size = arguments.agents
    if size + LINES + SPARE_FILES > make_room():
        raise SystemExit(f"{size} agents need {size + LINES + SPARE_FILES} open files: ulimit -n")

    def run(agents: int, restart: float = 0.0, everything: bool = False) -> dict[str, float]:
        found = uvloop.run(measure(agents, restart, everything))
        if not arguments.json:
            told = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
            print(f"{agents:>6} agents, restart {restart:.0f} s: {told}", flush=True)
        return found

    sizes = [size // 100, size // 10, size // 2] if arguments.plot else [size // 10]
    by_size = {agents: run(agents) for agents in sizes}
    whole = by_size[size] = run(size, everything=True)
    slow = {agents: run(agents, arguments.restart) for agents in (size // 10, size)}
    if arguments.plot:
        lines = [
            Line(name, [(size, times[key]) for size, times in sorted(by_size.items())])
            for key, name in PLOTTED.items()
        ]
        draw(arguments.plot, "agents", "seconds from the press on a button", lines)

    def growth(times: dict[int, dict[str, float]]) -> float:
        return times[size]["step_seconds"] / times[size // 10]["step_seconds"]

    result = {key: round(value, 3) for key, value in whole.items()}
    result |= {
        "growth_1k_to_10k": round(growth(slow), 2),
        "growth_empty": round(growth(by_size), 2),
    }
    print(json.dumps(result | {"agents": size, "restart": arguments.restart}))


if __name__ == "__main__":
    main()
