"""The power is cut at any moment of an activation: after the boot one build or the other, whole.

Each cut finds the node as the one before has left it. Hundreds of cuts in all; ten thousand by
``make faults``.
"""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.disks import LOGFLUSH, NOLOGFLUSH
from tests.faults.labs import PowerLab
from tests.faults.stage import FULL, seed

CUTS = 2500 if FULL else 40


@pytest.mark.parametrize("flag", [LOGFLUSH, NOLOGFLUSH], ids=["logflush", "nologflush"])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_old_or_the_new_build_whole_after_a_power_cut(
    power_lab: Callable[[str], PowerLab], kind: str, flag: int
) -> None:
    lab, dice = power_lab(kind), random.Random(seed())
    met = Counter(lab.cut(dice, flag) for _ in range(CUTS))
    print(f"{kind}: {CUTS} cuts: {dict(met)}")
    assert met["failed"] > 0, "no cut fell into an activation"
