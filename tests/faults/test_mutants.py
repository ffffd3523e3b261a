"""Agents with one safeguard taken out: the faults find each of them, or they find nothing."""

import random
from collections.abc import Callable

import pytest

from tests.faults.disks import LOGFLUSH, NOLOGFLUSH
from tests.faults.labs import CallLab, PowerLab
from tests.faults.stage import seed

CUTS = 100
"""More than enough: a mutant is found within a few cuts."""


@pytest.mark.parametrize(
    ("mutant", "call", "what"),
    [
        ("unlink-and-symlink", "symlinkat", "current leads to None"),
        ("no-dirty-mark", "linkat", "is not as believed"),
        ("no-spared-slot", "linkat", "current leads to .*, no build"),
    ],
)
def test_a_kill_finds(call_lab: CallLab, mutant: str, call: str, what: str) -> None:
    places = [place for place in call_lab.occurrences() if place[0] == call]
    assert places
    with pytest.raises(AssertionError, match=what):
        for _, number in places:
            call_lab.suffer((call, number, "signal=SIGKILL"), mutant)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
@pytest.mark.parametrize("flag", [LOGFLUSH, NOLOGFLUSH], ids=["logflush", "nologflush"])
def test_a_power_cut_finds_an_agent_that_never_syncs(
    power_lab: Callable[[str], PowerLab], kind: str, flag: int
) -> None:
    lab, dice = power_lab(kind), random.Random(seed())
    with pytest.raises(
        AssertionError, match=r"current leads to|not as believed|not whole|not there"
    ):
        for _ in range(CUTS):
            lab.cut(dice, flag, "no-sync")
