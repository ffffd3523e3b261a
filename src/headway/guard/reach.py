"""What the guard could have seen by now: a pass is worth as much as the test behind it.

If the canary were θ times as bad, the test of `headway.guard.poisson` would on average have
gathered f·a nats after f times the present traffic, with variance f·b: the Kullback-Leibler
divergence and the variance of the log-likelihood ratio (Wald, "Sequential Analysis", 1947, chapter
3). It convicts with 90 % probability once f a - 1.28 √(f b) reaches the limit and the price of not
knowing θ. ``needed`` solves that for f: at most 1 means that the traffic so far suffices.
"""

import numpy as np
from numpy.typing import NDArray

from headway.guard.poisson import RISES

Values = NDArray[np.float64]

CERTAIN = 1.2816
"""The normal quantile of 90 %."""

PRICE = float(np.log(len(RISES))) + 1.25
"""Nats that mixing costs: over the size of the effect, and over when it begins."""

FARTHEST = 1e5
"""The largest ratio that is looked for."""


def needed(
    theta: Values,
    rate: Values,
    exposure: Values,
    control_exposure: Values,
    tolerance: Values,
    phi: Values,
    log_limit: Values,
) -> Values:
    """How many times the present traffic it takes to see the ratio θ (< 1 for a drop).

    ``rate`` is the control's, ``tolerance`` the logarithm of the boundary θ₀.
    """
    up = theta >= 1.0
    boundary = np.where(up, np.exp(tolerance), np.exp(-tolerance))
    # The mixture knows no ratio beyond its grid, and errs little where it uses the nearest.
    believed = np.clip(theta / boundary, 1.0 / RISES[-1], RISES[-1])
    odds = boundary * exposure / np.maximum(control_exposure, 1e-300)
    canary, control = theta * rate * exposure, rate * control_exposure
    fewer = np.log1p(believed * odds) - np.log1p(odds)
    gain = canary * np.log(believed) - (canary + control) * fewer
    per_event = np.log(believed) - fewer
    spread = canary * per_event**2 + control * fewer**2
    return _times(gain / phi, spread / phi, log_limit)


def needed_beyond(
    theta: Values, line: Values, exposure: Values, phi: Values, log_limit: Values
) -> Values:
    """The same for one arm alone, held against the rate ``line``; infinite where that is NaN."""
    believed = np.clip(theta, 1.0 / RISES[-1], RISES[-1])
    expected = np.nan_to_num(line) * exposure
    gain = expected * (theta * np.log(believed) - (believed - 1.0))
    return _times(gain / phi, theta * expected * np.log(believed) ** 2 / phi, log_limit)


def _times(mean: Values, variance: Values, log_limit: Values) -> Values:
    goal = log_limit + PRICE
    with np.errstate(divide="ignore", invalid="ignore"):
        root = CERTAIN * np.sqrt(variance)
        root = (root + np.sqrt(root**2 + 4.0 * mean * goal)) / (2.0 * mean)
    return np.where((mean > 0) & np.isfinite(root), root**2, np.inf)


def detectable(
    up: bool,
    rate: float,
    exposure: float,
    control_exposure: float,
    tolerance: float,
    phi: float,
    log_limit: float,
) -> float:
    """The smallest ratio that the traffic so far would show; infinite where none is."""
    steps = np.geomspace(1.05, FARTHEST, 240)
    one = np.ones_like(steps)
    enough = (
        needed(
            steps if up else 1.0 / steps,
            rate * one,
            exposure * one,
            control_exposure * one,
            tolerance * one,
            phi * one,
            log_limit * one,
        )
        <= 1.0
    )
    return float(steps[np.argmax(enough)]) if enough.any() else float("inf")
