"""Evidence D: a continuous quantity on canary against control, as a confidence sequence.

A tick gives d, the logarithm of the canary's mean over the control's, in which whatever moves
both arms cancels. Its mean has the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals
of Statistics 52 (2024), theorem 2.2 and, for one side, proposition B.1: at all n at once, with
probability 1 - alpha,

    mean ± s √( 2 (n ρ² + 1) / (n² ρ²) · log( √(n ρ² + 1) / alpha ) )            (two sides)
    mean - s √( 2 (n ρ² + 1) / (n² ρ²) · log( 1 + √(n ρ² + 1) / (2 alpha) ) )    (one side)

where s estimates the deviation, before the deploy and since. Ticks that follow each other are not
independent: s² is multiplied by (1 + r) / (1 - r) with r the correlation of neighbours, the
long-run variance of an autoregression (Priestley, "Spectral Analysis and Time Series", 1981,
section 5.3). The guard speaks only once the bound has passed the minimum effect.
"""

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

Values = NDArray[np.float64]

AIMED_AT = 24.0
"""The number of ticks at which the sequence is tightest."""

FEWEST = 24.0
"""How many ticks, those before the deploy counted, it takes for the deviation to be known."""

FEWEST_SINCE = 4.0
"""How many ticks since the deploy it takes."""

MOST_BEFORE = 240.0
"""How many ticks before the deploy count at most."""

FARTHEST = np.log(4.0)
"""How far from even one tick's d may be; beyond, it counts as this."""

LEAST_DEVIATION = 0.005
"""No quantity is steadier than this from tick to tick."""

MOST_CORRELATION = 0.8


class Differences(Struct, frozen=True):
    """Sums of d over the ticks of one step, and what is known of its noise; arrays of N.

    ``noise`` sums half the squared step between neighbours over ``known`` pairs, earlier steps
    included; ``correlation`` is that of neighbours as it was before the deploy.
    """

    count: Values
    total: Values
    squares: Values
    last: Values
    noise: Values
    known: Values
    correlation: Values


def begin(series: int) -> Differences:
    """Nothing seen yet, and nothing known."""
    empty = np.zeros(series)
    return Differences(empty, empty, empty, np.full(series, np.nan), empty, empty, empty)


def baseline(history: Differences) -> Differences:
    """End the time before the deploy: keep what it says of the noise, and begin the sums anew.

    The correlation r follows from von Neumann's ratio, neighbours' noise = variance · (1 - r).
    """
    neighbours = history.noise / np.maximum(history.known, 1.0)
    around = _around(history)
    ratio = neighbours / np.maximum(np.maximum(around, neighbours), LEAST_DEVIATION**2)
    enough = history.count >= FEWEST
    correlation = np.where(enough, np.clip(1.0 - ratio, 0.0, MOST_CORRELATION), 0.0)
    return anew(structs.replace(history, correlation=correlation))


def anew(before: Differences) -> Differences:
    """Begin the sums again, as each step does, and keep what is known of the noise."""
    fresh = begin(len(before.count))
    keep = np.minimum(1.0, MOST_BEFORE / np.maximum(before.known, 1.0))
    return structs.replace(
        fresh,
        noise=before.noise * keep,
        known=before.known * keep,
        correlation=before.correlation,
    )


def log_ratio(canary: Values, weight: Values, control: Values, control_weight: Values) -> Values:
    """d of a tick; NaN where an arm has nothing or nothing positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.log(canary / weight) - np.log(control / control_weight)
    return np.where(np.isfinite(d), np.clip(d, -FARTHEST, FARTHEST), np.nan)


def add(before: Differences, d: Values) -> Differences:
    """Add a tick's d; NaN adds nothing.

    Noise is half the square of the step from the tick before (von Neumann, "Distribution of the
    Ratio of the Mean Square Successive Difference to the Variance", Annals of Mathematical
    Statistics 12, 1941), so that a lasting difference does not pass for noise.
    """
    seen = np.isfinite(d)
    value = np.where(seen, d, 0.0)
    follows = seen & np.isfinite(before.last)
    last = np.where(follows, before.last, 0.0)
    return structs.replace(
        before,
        count=before.count + seen,
        total=before.total + value,
        squares=before.squares + value * value,
        last=np.where(seen, d, before.last),
        noise=before.noise + np.where(follows, 0.5 * (value - last) ** 2, 0.0),
        known=before.known + follows,
    )


def deviation(sums: Differences) -> Values:
    """s, corrected for the correlation of neighbours; infinite while too little is known."""
    neighbours = np.maximum(sums.noise / np.maximum(sums.known, 1.0), LEAST_DEVIATION**2)
    r = sums.correlation
    long_run = neighbours * (1.0 + r) / (1.0 - r) ** 2
    around = np.where(sums.count >= FEWEST_SINCE, _around(sums), 0.0)
    enough = sums.known + 1.0 >= FEWEST
    return np.where(enough, np.sqrt(np.maximum(long_run, around)), np.inf)


def radius(count: Values, alpha: Values, two_sided: NDArray[np.bool_]) -> Values:
    """Half the width for a deviation of 1, for all counts at once with probability 1 - alpha."""
    alpha = np.minimum(alpha, 0.5)
    # The rho that makes the boundary tightest at AIMED_AT; equation 10 of the paper.
    log_alpha = -2.0 * np.log(alpha)
    rho2 = (log_alpha + np.log1p(log_alpha)) / AIMED_AT
    n = np.maximum(count, 1.0)
    grown = n * rho2 + 1.0
    both = np.log(np.sqrt(grown) / alpha)
    one = np.log1p(np.sqrt(grown) / (2.0 * alpha))
    return np.sqrt(2.0 * grown / (n * n * rho2) * np.where(two_sided, both, one))


def bounds(sums: Differences, alpha: Values, two_sided: NDArray[np.bool_]) -> tuple[Values, Values]:
    """(lower, upper) bound on the mean of d."""
    mean = sums.total / np.maximum(sums.count, 1.0)
    half = deviation(sums) * radius(sums.count, alpha, two_sided)
    half = np.where(sums.count >= FEWEST_SINCE, half, np.inf)
    return mean - half, mean + half


def _around(sums: Differences) -> Values:
    """The variance around the mean of the sums."""
    spread = sums.squares - sums.total**2 / np.maximum(sums.count, 1.0)
    return np.maximum(spread, 0.0) / np.maximum(sums.count - 1.0, 1.0)
