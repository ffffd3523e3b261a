"""Evidence C: counts on canary against control, as a test that may be looked at any time.

Given the events of both arms in a tick, m, those of the canary are binomial: with canary and
control exposed n₁ and n₀ (requests, node-seconds), and rates that stand as θ to 1, each event is
the canary's with odds θ n₁/n₀. Whatever moves both arms cancels. `headway.guard.products`
multiplies up, for every θ of a grid, the likelihood ratio against the boundary θ₀ of "no worse
than"; with θ beyond θ₀ its mean is at most 1 for every canary that is no worse, as it grows with
the true odds.
For canary releases: Lindon, Sanden and Shirikian, "Rapid Regression Detection in Software
Deployments through Sequential Testing", KDD 2022.

Overdispersion: each ratio is raised to 1/φ (quasi-likelihood: Wedderburn, Biometrika 61, 1974).
φ ≥ 1 is known before the tick, so by Jensen's inequality this never adds evidence. A fall is tested
by the same grid with 1/θ against the boundary 1/θ₀.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard.dispersion import Dispersion
from headway.guard.products import Products, multiply

Values = NDArray[np.float64]

RISES = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0])
"""The ratios to the boundary that the mixture considers, each as likely as the others."""


class Counts(Struct, frozen=True):
    """One tick of N series: events and exposure of both arms, each an array of N."""

    canary: Values
    exposure: Values
    control: Values
    control_exposure: Values


def against_control(
    before: Products, tick: Counts, log_theta: Values, tolerance: Values, cap: Values, phi: Values
) -> Products:
    """Add a tick. ``log_theta`` (K, N) are alternatives beyond the boundary, ``tolerance`` is
    log θ₀ ≥ 0, ``cap`` in nats, ``phi`` ≥ 1; each of those an array of N."""
    total = tick.canary + tick.control
    seen = (total > 0) & (tick.exposure > 0) & (tick.control_exposure > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_odds = np.where(seen, np.log(tick.exposure) - np.log(tick.control_exposure), 0.0)
    log_null = log_odds + np.sign(log_theta) * tolerance
    log_ratio = tick.canary * log_theta - total * (
        np.logaddexp(0.0, log_null + log_theta) - np.logaddexp(0.0, log_null)
    )
    return multiply(before, log_ratio / phi, seen, cap)


def against_line(
    before: Products,
    events: Values,
    exposure: Values,
    line: Values,
    log_theta: Values,
    cap: Values,
    phi: Values,
) -> Products:
    """Add a tick of one arm alone, whose rate is held against the fixed rate ``line`` (K, N).

    The ratio of two Poisson likelihoods, θ^x exp(-(θ-1) λ n); for a share of trials the
    binomial's mean of it is lower still, so it remains a test.
    """
    log_ratio = events * log_theta - np.expm1(log_theta) * line * exposure
    return multiply(before, log_ratio / phi, exposure > 0, cap)


def spread(tick: Counts) -> Values:
    """The binomial variance m p q of the canary's events in a tick, at equal rates."""
    whole = np.maximum(tick.exposure + tick.control_exposure, 1e-300)
    share = tick.exposure / whole
    return (tick.canary + tick.control) * share * (1.0 - share)


def overdispersion(dispersion: Dispersion, tick: Counts) -> Values:
    """φ of a tick, from what was seen before it."""
    return dispersion.phi(spread(tick))
