"""One write to the last of N watchers: ``python -m benchmarks.fanout --agents 10000 --json``.

Each contender is a module ``benchmarks.fanout_NAME`` with ``async def measure(agents, rounds) ->
Fanout``: it starts its server as a process of its own, holds one watch for each agent over the
loopback, and times single durable writes until the last watcher has the value. Whoever cannot be
measured here is left out of the answer.
"""

import argparse
import importlib.util
import json
import statistics

import uvloop

from benchmarks.stage import make_room
from benchmarks.watched import Fanout

CONTENDERS = ("hub", "consul", "zookeeper", "etcd")
ROUNDS = 15
SPARE_FILES = 200


def main() -> None:
    """Measure whoever is here, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    if arguments.agents + SPARE_FILES > make_room():
        raise SystemExit(f"{arguments.agents} watchers need more open files: ulimit -n")
    result: dict[str, float] = {"agents": arguments.agents}
    for name in CONTENDERS:
        if importlib.util.find_spec(f"benchmarks.fanout_{name}") is None:
            continue
        contender = importlib.import_module(f"benchmarks.fanout_{name}")
        found: Fanout = uvloop.run(contender.measure(arguments.agents, arguments.rounds))
        result[f"{name}_ms"] = round(statistics.median(found.seconds) * 1000, 1)
        result[f"{name}_worst_ms"] = round(max(found.seconds) * 1000, 1)
        if name == "hub":
            result["bytes_per_agent"] = round(found.bytes_per_agent)
        if not arguments.json:
            worst = result[f"{name}_worst_ms"]
            print(
                f"{name:>9}: {result[f'{name}_ms']:8.1f} ms, worst {worst:.1f}"
                f" ms, {found.bytes_per_agent:,.0f} bytes for each watcher",
                flush=True,
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
