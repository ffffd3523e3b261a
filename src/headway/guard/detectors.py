"""The first two tiers of evidence: a static threshold and a z-score. Pure functions of arrays."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.model.plan import Direction

Values = NDArray[np.float64]

CERTAIN = 3.09
"""Normal quantile of 99.9 %, one-sided: how sure a share must be to count as over a threshold."""

PERSISTENT = 3
"""How many buckets in a row must each be out of line."""

HISTORY = 6
"""How many buckets of the control a z-score needs at least."""


class Finding(Struct, frozen=True):
    """A detector's answer: out of line or not, with the numbers that say so."""

    failed: bool
    value: float
    reference: float
    score: float = 0.0


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """The Wilson score interval of a share, at 99.9 % on each side.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927).
    """
    share = min(hits / trials, 1.0)
    z2 = CERTAIN * CERTAIN
    middle = share + z2 / (2 * trials)
    spread = CERTAIN * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    return float((middle - spread) / scale), float((middle + spread) / scale)


def beyond_share(hits: float, trials: float, above: float | None, below: float | None) -> Finding:
    """Whether a share is certainly over ``above`` or under ``below``, chance allowed for."""
    low, high = wilson(hits, trials)
    value = hits / trials
    if above is not None and low > above:
        return Finding(True, value, above)
    if below is not None and high < below:
        return Finding(True, value, below)
    return Finding(False, value, above if above is not None else below or 0.0)


def beyond_value(value: float, above: float | None, below: float | None) -> Finding:
    """Whether a plain value is over ``above`` or under ``below``."""
    if above is not None and value > above:
        return Finding(True, value, above)
    if below is not None and value < below:
        return Finding(True, value, below)
    return Finding(False, value, above if above is not None else below or 0.0)


def zscore(
    canary: Values, noise: Values, control: Values, limit: float, direction: Direction
) -> Finding | None:
    """Whether the canary's last buckets are each ``limit`` standard deviations off the control.

    z = (x - mean) / s over the control's trailing window, the rule of Slack's ReleaseBot; s is
    at least ``noise``, the standard error of each canary bucket, so that a quiet control or
    little traffic cannot make chance look like a change. None where there is too little of
    either to tell. All arrays are one value per bucket.
    """
    if len(control) < HISTORY or len(canary) < PERSISTENT:
        return None
    mean, spread = float(np.mean(control)), float(np.std(control, ddof=1))
    last = canary[-PERSISTENT:]
    scale = np.maximum(np.hypot(spread, noise[-PERSISTENT:]), 1e-12)
    scores = (last - mean) / scale
    match direction:
        case Direction.UP:
            weakest = float(np.min(scores))
        case Direction.DOWN:
            weakest = float(np.max(scores))
            return Finding(weakest <= -limit, float(np.mean(last)), mean, weakest)
        case Direction.BOTH:
            same_side = bool(np.all(scores > 0) or np.all(scores < 0))
            weakest = float(np.min(np.abs(scores))) if same_side else 0.0
    return Finding(weakest >= limit, float(np.mean(last)), mean, weakest)
