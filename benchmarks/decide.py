"""How long the control plane thinks, by size of the fleet: ``python -m benchmarks.decide --json``.

Times one observation (every report held against the signal, then the decision) in the middle of
a production step, for 100 to 10,000 nodes; medians of several runs. ``growth`` is how many times
longer ten times as many nodes take; 10 would be proportional.
"""

import argparse
import json
import statistics
import sys
import time

from headway.core import fleet, positions, rollout
from headway.core.fleet import Member
from headway.core.signalling import signal_of
from headway.model.plan import AppConfig, Step
from headway.model.report import Activity, Report
from headway.model.rollout import Observed, Rollout
from headway.model.signal import NodeRecord, Seat

SIZES = (100, 1_000, 10_000)
RUNS = 15
LATEST = 1_000
"""An epoch that every node has heard of."""

BASE, TARGET = "b" * 64, "a" * 64


def members(size: int, share: float) -> list[Member]:
    """A production tier in three zones, ``share`` of it on the new build, as it should be."""
    zones = {f"node-{i:05}": f"zone-{i % 3}" for i in range(size)}
    found = []
    for node, position in positions.assign(zones).items():
        record = NodeRecord(node, 1, zones[node], {"web": Seat("production", position)})
        running = TARGET if position < share else BASE
        report = Report(
            node=node,
            app="web",
            boot="b",
            seq=1,
            epoch=LATEST,
            activity=Activity.IDLE,
            running=running,
            prepared=TARGET,
            why="",
            at=0.0,
        )
        found.append(Member(record, report, 100.0))
    return found


def half_way(size: int) -> Rollout:
    """A rollout whose wave stands at half of production; every node is where the wave is."""
    app = AppConfig("web", plans={"default": (Step("production", concurrency="10%"),)}, metrics=())
    state: Rollout | None = None
    signal = None
    while state is None or state.fractions.get("production", 0.0) < 0.5:
        share = state.fractions.get("production", 0.0) if state is not None else 0.0
        view = fleet.view("web", members(size, share), signal, 100.0, 15.0)
        if state is None:
            decision = rollout.start(
                id="r",
                app=app,
                plan_name="default",
                base=BASE,
                target=TARGET,
                by="bench",
                reason="",
                epoch=1,
                fleet=view,
                holds=(),
                now=100.0,
            )
        else:
            decision = rollout.decide(state, Observed(view), 100.0)
        state = decision.state
        signal = signal_of(state)
    return state


def measure(size: int) -> float:
    """Milliseconds for one observation, median."""
    state = half_way(size)
    everybody = members(size, state.fractions["production"])
    signal = signal_of(state)
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        view = fleet.view("web", everybody, signal, 100.0, 15.0)
        rollout.decide(state, Observed(view), 100.0)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    found = {size: measure(size) for size in SIZES}
    growth = found[10_000] / found[1_000]
    if not arguments.json:
        for size, milliseconds in found.items():
            print(f"{size:>6} nodes: {milliseconds:8.2f} ms per observation")
    result = {f"ms_{size}": round(value, 3) for size, value in found.items()}
    print(json.dumps(result | {"growth": round(growth, 2)}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
