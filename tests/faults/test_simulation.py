"""The simulated fleet keeps every law: a million steps, or a hundred million in the long run.

The short run has the same seeds every time; the long one draws its own, and goes on where it was
stopped.
"""

from collections import Counter

import pytest

from headway.testing.simulation import Run, simulate
from tests.faults.ledger import Ledger
from tests.faults.stage import FULL, REPOSITORY

PART = 100_000
PARTS = 1000
SEEDS = range(11)

MET = {
    "started",
    "soaking → succeeded",
    "succeeded → reverting",
    "reverting → reverted",
    "rolling → paused",
    "paused → soaking",
    "soaking → waiting",
    "waiting → rolling",
    "aborted → reverting",
    "flipped back",
    "indeterminate",
    "conflict",
    "forked",
    "refused",
}
"""What a run must have met at least once, or it has shown little."""


def lawful(seed: int) -> Run:
    run = simulate(seed, PART)
    command = f"python -m headway.testing.simulation --seed {seed} --steps {PART} --shrink"
    failure = run.failure
    assert failure is None, f"{failure.law}: {failure.sentence}; see `{command}`"
    return run


def test_a_million_steps_keep_every_law() -> None:
    steps, met = 0, Counter[str]()
    for seed in SEEDS:
        run = lawful(seed)
        print(f"seed {seed}: {run.steps:,} steps")
        steps += run.steps
        met.update(run.met)
    assert steps >= 1_000_000
    assert not MET - met.keys(), "a simulation that does not get around shows nothing"


@pytest.mark.skipif(not FULL, reason="a hundred million steps: `make faults` makes them")
def test_a_hundred_million_steps_keep_every_law() -> None:
    met = Counter[str]()
    ledger = Ledger(REPOSITORY / ".simulation.json", PARTS, 1, "parts")
    for dice in ledger.cuts("simulation", met):
        lawful(dice.getrandbits(32))
        met["kept every law"] += 1
    assert met.total() * PART >= 10**8
