"""``python -m headway.testing.simulation --seed N --steps M [--shrink]``."""

import argparse
import sys
import time

from headway.testing.simulation.schedule import Run, shrink, simulate, tell


def main() -> int:
    """Simulate from a seed; tells what was met, or what is broken and how it comes to that."""
    parser = argparse.ArgumentParser(
        prog="python -m headway.testing.simulation", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument(
        "--shrink", action="store_true", help="look for the shortest schedule that breaks the law"
    )
    given = parser.parse_args()
    began = time.monotonic()
    run = simulate(given.seed, given.steps)
    pace = run.steps / (time.monotonic() - began)
    _say(f"seed {run.seed}: {run.steps:,} steps, {pace:,.0f} a second")
    return _tell(run, shorter=given.shrink)


def _tell(run: Run, shorter: bool) -> int:
    failure = run.failure
    if failure is None:
        for what, times in sorted(run.met.items()):
            _say(f"{times:8,} × {what}")
        return 0
    if shorter:
        failure = shrink(failure)
        _say(f"a shortest schedule of {len(failure.schedule.choices)} choices:")
        for number, line in enumerate(tell(failure.schedule), 1):
            _say(f"{number:6}. {line}")
    _say(f"{failure.law} is broken: {failure.sentence}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
