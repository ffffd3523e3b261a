"""The confidence sequence is the one that a library of them computes."""

import numpy as np
import pytest
from ville._boundaries import normal_mixture

from headway.guard import confidence, products, shift
from headway.guard.confidence import AIMED_AT
from tests.unit.guard.healthy import quantities

ALPHA = 0.01


@pytest.mark.parametrize("count", [4.0, 24.0, 300.0])
def test_two_sides_are_robbins_mixture_as_ville_has_it(count: float) -> None:
    log_alpha = -2 * np.log(ALPHA)
    rho = AIMED_AT / (log_alpha + np.log1p(log_alpha))
    theirs = float(normal_mixture(count, ALPHA, rho)) / count
    ours = confidence.radius(np.array([count]), np.array([ALPHA]), np.array([True]))
    assert ours[0] == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("count", [4.0, 24.0, 300.0])
def test_one_side_is_close_above_the_exact_mixture_of_ville(count: float) -> None:
    """The closed form is an upper bound of the half-normal mixture, and never a loose one."""
    log_alpha = -2 * np.log(ALPHA)
    rho = AIMED_AT / (log_alpha + np.log1p(log_alpha))
    exact = float(normal_mixture(count, ALPHA, rho, one_sided=True)) / count
    ours = confidence.radius(np.array([count]), np.array([ALPHA]), np.array([False]))[0]
    assert exact <= ours * (1 + 1e-9)
    assert ours <= exact * 1.15


def test_the_mean_is_covered_at_every_look() -> None:
    """2,000 series of 120 ticks; at 1 %, some 20 may ever leave the sequence."""
    series = 2000
    sums = confidence.begin(series)
    for tick in quantities(1, series, 120):
        sums = confidence.add(sums, confidence.log_ratio(*tick.stacked()))
    sums = confidence.baseline(sums)
    outside = np.zeros(series, dtype=bool)
    truth = np.log(1.3)
    for tick in quantities(2, series, 120, worse=1.3):
        sums = confidence.add(sums, confidence.log_ratio(*tick.stacked()))
        low, high = confidence.bounds(sums, np.full(series, ALPHA), np.ones(series, dtype=bool))
        outside |= (low > truth) | (high < truth)
    assert outside.mean() <= 2 * ALPHA
    assert np.median(high - low) < 0.06


def test_nothing_is_said_before_the_noise_is_known() -> None:
    sums = confidence.begin(1)
    for _ in range(20):
        sums = confidence.add(sums, np.array([2.0]))
    low, high = confidence.bounds(sums, np.array([ALPHA]), np.array([True]))
    assert low[0] == -np.inf
    assert high[0] == np.inf


def test_memory_of_the_noise_widens_the_sequence() -> None:
    sums = confidence.begin(500)
    for tick in quantities(3, 500, 200, memory=0.6, noise=0.1):
        sums = confidence.add(sums, confidence.log_ratio(*tick.stacked()))
    known = confidence.baseline(sums)
    long_run = 0.1 * np.sqrt((1 + 0.6) / (1 - 0.6))
    assert np.median(confidence.deviation(known)) == pytest.approx(long_run, rel=0.1)


def test_an_arm_without_a_value_adds_nothing() -> None:
    d = confidence.log_ratio(
        np.array([1.0, 0.0, 5.0]), np.array([0.0, 1.0, 1.0]), np.ones(3), np.ones(3)
    )
    assert np.isnan(d[:2]).all()
    assert d[2] == confidence.FARTHEST
    assert confidence.add(confidence.begin(3), d).count.tolist() == [0, 0, 1]


def test_no_shift_adds_evidence_on_average() -> None:
    """The mean over a fine grid of the normal distribution, at the boundary and well below it."""
    deviation, margin = 0.08, 0.05
    grid = np.linspace(-10, 10, 20_001)
    density = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])
    shifts = np.broadcast_to(shift.SHIFTS[:, None], (len(shift.SHIFTS), len(grid)))
    ones = np.ones(len(grid))
    first = products.Products(np.zeros_like(shifts), np.full(len(grid), 1e12))
    for mean in (margin, 0.0, -0.2):
        d = mean + deviation * grid
        after = shift.against_control(first, d, shifts, margin * ones, deviation * ones, 1e9 * ones)
        # The largest shifts have their weight beyond the grid.
        means = (np.exp(after.log_e) @ density)[:4]
        assert np.all(means <= 1 + 1e-3)
        if mean == margin:
            assert means == pytest.approx(np.ones(4), abs=1e-3)
