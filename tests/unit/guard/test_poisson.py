"""Evidence on counts is what scipy says the likelihoods are, and a martingale to the digit."""

import numpy as np
import pytest
from scipy import stats

from headway.guard import poisson, products
from headway.guard.poisson import RISES, Counts

ONE = np.ones(1)
LOOSE = np.full(1, 1e9)


def counts(canary: float, exposure: float, control: float, control_exposure: float) -> Counts:
    return Counts(*(np.array([float(v)]) for v in (canary, exposure, control, control_exposure)))


def theta(up: bool = True) -> np.ndarray:
    values, weights = products.grid(np.log(RISES), np.array([up]), np.array([not up]))
    return values[np.isfinite(weights[:, 0])]


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
@pytest.mark.parametrize("up", [True, False])
def test_a_tick_is_the_binomial_likelihood_ratio_of_scipy(up: bool, tolerance: float) -> None:
    alternatives = theta(up)
    boundary = tolerance if up else -tolerance
    odds = 400 / 19_600

    def share(log_theta: float) -> float:
        tilted = odds * np.exp(log_theta)
        return float(tilted / (1 + tilted))

    seen = [(5, 90), (0, 120), (12, 100)]
    state = products.begin(len(alternatives), 1)
    expected = np.full(len(alternatives), -np.inf)
    for k, (canary, control) in enumerate(seen, start=1):
        tick = counts(canary, 400, control, 19_600)
        margin = np.array([tolerance])
        state = poisson.against_control(state, tick, alternatives, margin, LOOSE, ONE)
        ratios = [
            stats.binom.logpmf(canary, canary + control, share(a + boundary))
            - stats.binom.logpmf(canary, canary + control, share(boundary))
            for a in alternatives[:, 0]
        ]
        start = np.log(1 / np.sqrt(k) - 1 / np.sqrt(k + 1))
        expected = np.logaddexp(expected, start) + ratios
    assert state.log_e[:, 0] == pytest.approx(expected, abs=1e-9)


def test_a_tick_against_a_line_is_the_poisson_likelihood_ratio_of_scipy() -> None:
    alternatives = theta()
    state = poisson.against_line(
        products.begin(len(alternatives), 1),
        np.array([9.0]),
        np.array([300.0]),
        np.full((len(alternatives), 1), 0.02),
        alternatives,
        LOOSE,
        ONE,
    )
    expected = [
        stats.poisson.logpmf(9, 6.0 * np.exp(a)) - stats.poisson.logpmf(9, 6.0)
        for a in alternatives[:, 0]
    ]
    start = np.log(1 - 1 / np.sqrt(2))
    assert state.log_e[:, 0] == pytest.approx(np.array(expected) + start, abs=1e-9)


@pytest.mark.parametrize("worse", [1.0, 0.7])
@pytest.mark.parametrize("phi", [1.0, 2.5])
@pytest.mark.parametrize("cap", [2.0, 1e9])
def test_no_tick_adds_evidence_on_average(worse: float, phi: float, cap: float) -> None:
    """Summed over every outcome that is possible, not sampled: Ville's inequality rests on this."""
    events, odds = 40, worse * 0.25
    x = np.arange(events + 1.0)
    tick = Counts(x, np.full(41, 100.0), events - x, np.full(41, 400.0))
    one = np.ones(41)
    alternatives = np.broadcast_to(theta(), (len(RISES), 41))
    first = products.Products(np.zeros((len(RISES), 41)), np.full(41, 1e12))
    after = poisson.against_control(first, tick, alternatives, 0 * one, cap * one, phi * one)
    likely = stats.binom.pmf(x, events, odds / (1 + odds))
    means = np.exp(after.log_e) @ likely
    assert np.all(means <= 1 + 1e-6)
    if worse == phi == 1.0 and cap > 100:
        assert means == pytest.approx(np.ones(len(RISES)), abs=1e-6)


def test_the_weights_of_all_beginnings_sum_to_one() -> None:
    state = products.begin(1, 1)
    none = np.zeros((1, 1))
    for _ in range(50):
        state = products.multiply(state, none, np.array([True]), LOOSE)
    assert products.log_evidence(state, none)[0] == pytest.approx(0.0, abs=1e-12)


def test_a_series_that_saw_nothing_is_left_as_it_was() -> None:
    alternatives = theta()
    state = products.begin(len(alternatives), 1)
    for tick in (counts(0, 100, 0, 900), counts(3, 0, 5, 900), counts(3, 100, 5, 0)):
        after = poisson.against_control(state, tick, alternatives, 0 * ONE, LOOSE, ONE)
        assert after.looks[0] == 0
        assert np.all(np.isneginf(after.log_e))


def test_one_tick_can_never_convict() -> None:
    alternatives = theta()
    weights = np.full((len(RISES), 1), -np.log(len(RISES)))
    cap = np.array([0.5 * np.log(1000)])
    state = products.begin(len(alternatives), 1)
    logs = []
    for _ in range(4):
        tick = counts(500, 100, 10, 900)
        state = poisson.against_control(state, tick, alternatives, 0 * ONE, cap, ONE)
        logs.append(products.log_evidence(state, weights)[0])
    assert logs[0] < np.log(1000)
    assert logs[1] < np.log(1000)
    assert logs[3] > np.log(1000)
