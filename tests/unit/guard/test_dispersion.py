"""Noise is measured as what it is, and a fault does not pass for it."""

import numpy as np
import pytest

from headway.guard import dispersion
from headway.guard.dispersion import LASTING, ODDEST, PRIOR_PAIRS, PRIOR_PHI, Dispersion
from tests.unit.guard.healthy import ticks

SERIES = 400


def learned(*batches: object) -> Dispersion:
    state = dispersion.begin(SERIES)
    for batch in batches:
        for tick in batch:  # type: ignore[attr-defined]
            counts = (tick.canary, tick.exposure, tick.control, tick.control_exposure)
            state = dispersion.add(state, *counts)
    return state


def measured(state: Dispersion) -> float:
    """The mean χ² of the pairs seen, without the prior's."""
    chi2 = state.chi2 - PRIOR_PHI * PRIOR_PAIRS
    return float((chi2 / (state.pairs - PRIOR_PAIRS)).mean())


@pytest.mark.parametrize("share", [0.02, 0.5])
@pytest.mark.parametrize("worse", [1.0, 4.0])
def test_independent_counts_have_none_whatever_their_level(share: float, worse: float) -> None:
    state = learned(ticks(1, SERIES, 60, share=share, worse=worse))
    assert measured(state) == pytest.approx(1.0, abs=0.05)


def test_events_in_lots_have_the_size_of_the_lots() -> None:
    assert measured(learned(ticks(2, SERIES, 60, cluster=6))) == pytest.approx(6.0, rel=0.1)


def test_a_lasting_fault_is_not_noise_and_its_beginning_counts_for_little() -> None:
    calm, bad = ticks(3, SERIES, 60, rate=0.1), ticks(4, SERIES, 60, rate=0.1, worse=10.0)
    state = learned(calm, bad)
    assert measured(state) < 1.0 + ODDEST * 1.5 / 120


def test_phi_grows_with_traffic_and_is_never_under_one() -> None:
    state = learned(ticks(5, SERIES, 60, noise=0.3))
    little, much = state.phi(np.ones(SERIES)), state.phi(np.full(SERIES, 1e4))
    assert np.all(little >= 1.0)
    assert np.median(much) > 20 * np.median(little)


def test_before_anything_is_seen_some_noise_is_assumed() -> None:
    assert dispersion.begin(1).phi(np.ones(1))[0] == pytest.approx(1 + LASTING * (PRIOR_PHI - 1))


def test_a_step_that_moves_the_traffic_is_not_compared_across() -> None:
    state = learned(ticks(6, SERIES, 1, share=0.02), ticks(7, SERIES, 1, share=0.1))
    assert np.all(state.pairs == PRIOR_PAIRS)
