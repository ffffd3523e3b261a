"""What the guard says it could see, it does see."""

import numpy as np
import pytest

from headway.guard import reach
from headway.guard.budget import Allowance
from headway.guard.panel import Panel
from headway.guard.terms import terms
from headway.model.plan import Direction, Metric
from tests.unit.guard.healthy import ever_worse, ticks

ALPHA = 0.0001


@pytest.mark.parametrize(
    ("worse", "direction"), [(2.0, Direction.UP), (4.0, Direction.UP), (0.5, Direction.DOWN)]
)
def test_once_it_may_pass_nine_faults_in_ten_would_have_shown(
    worse: float, direction: Direction
) -> None:
    detect = worse if worse > 1 else 1 / worse
    metric = Metric("e", "e", per="r", detect=detect, floor=0.0, direction=direction)
    known = terms([metric] * 400, [Allowance(ALPHA, ALPHA, ALPHA)] * 400)
    panel = Panel(known)
    panel.begin_tier([])
    number = 0
    for tick in ticks(1, 400, 400, requests=4000):
        if np.median(panel.numbers().needed) <= 1:
            break
        panel.look(tick)
        number += 1
    assert 3 < number < 400
    found = ever_worse(known, [], ticks(2, 400, number, requests=4000, worse=worse))
    assert found >= 0.8
    early = ever_worse(known, [], ticks(3, 400, number // 3, requests=4000, worse=worse))
    assert early < 0.7


def test_needed_is_a_multiple_of_the_traffic() -> None:
    one = np.ones(1)

    def needed(traffic: float) -> float:
        found = reach.needed(
            2 * one, 0.01 * one, 400 * traffic * one, 19_600 * traffic * one, 0 * one, one, 7 * one
        )
        return float(found[0])

    assert needed(1.0) == pytest.approx(10 * needed(10.0), rel=1e-6)


def test_the_smallest_ratio_is_where_needed_crosses_one() -> None:
    facts = (0.01, 5000.0, 100_000.0, 0.05, 1.0, 7.0)
    smallest = reach.detectable(True, *facts)
    arrays = [np.array([fact]) for fact in facts]
    assert reach.needed(np.array([smallest]), *arrays)[0] <= 1.0
    assert reach.needed(np.array([smallest * 0.97]), *arrays)[0] > 1.0
    assert reach.detectable(True, 0.01, 0.0, 1e5, 0.05, 1.0, 7.0) == float("inf")


def test_nothing_can_be_seen_without_a_control_or_a_line() -> None:
    one = np.ones(1)
    alone = reach.needed(2 * one, one, 400 * one, 0 * one, 0 * one, one, 7 * one)
    assert alone[0] > 1e3
    assert np.isinf(reach.needed_beyond(2 * one, np.nan * one, 400 * one, one, 7 * one)[0])
