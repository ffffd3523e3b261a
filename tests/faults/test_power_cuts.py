"""The power is cut at any moment of an activation: after the boot one build or the other, whole.

Each cut finds the node as the one before has left it. Four hundred cuts in all; ten thousand by
``make faults``, which goes on where it was stopped.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.disks import LOGFLUSH, NOLOGFLUSH
from tests.faults.labs import PowerLab
from tests.faults.ledger import Ledger, ledger
from tests.faults.stage import FULL

FLAGS = {"logflush": LOGFLUSH, "nologflush": NOLOGFLUSH}
KINDS = [(kind, flag) for kind in ("ext4", "xfs") for flag in FLAGS]
CUTS = 2500 if FULL else 100


@pytest.fixture(scope="module")
def run() -> Ledger:
    return ledger(CUTS, len(KINDS))


@pytest.mark.parametrize(("kind", "flag"), KINDS)
def test_the_old_or_the_new_build_whole_after_a_power_cut(
    power_lab: Callable[[str], PowerLab], run: Ledger, kind: str, flag: str
) -> None:
    lab = power_lab(kind)
    met: Counter[str] = Counter()
    for dice in run.cuts(f"{kind}-{flag}", met):
        met[lab.cut(dice, FLAGS[flag])] += 1
    assert met.total() == CUTS
    assert met["failed"] > 0, "no cut fell into an activation"
    assert met["reported"] > 0, "no activation came to its end"
