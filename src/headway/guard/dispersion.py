"""How much more than chance the two arms differ from tick to tick.

For each pair of neighbouring ticks the 2×2 table (tick, arm) of counts is tested for equal
shares by Pearson's χ², exposures allowed for. Its mean over pairs is φ, the overdispersion
(Wedderburn 1974; McCullagh and Nelder, "Generalized Linear Models", 1989, section 4.5). Neighbours
are compared with each other, not with a model of the whole rollout, so that a lasting difference
between the arms, which is what the guard looks for, does not pass for noise.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

PRIOR_PAIRS = 12.0
"""How many pairs of ticks the first assumption counts for."""

ODDEST = 20.0
"""How many times the mean so far one pair may count for: one bad tick is not the usual noise."""

ALIKE = 0.7
"""How far the logarithm of the arms' traffic ratio may move between two ticks to be compared."""

PRIOR_PHI = 1.4
"""What is assumed before anything is seen."""

LASTING = 2.5
"""Noise lasts: neighbours that correlate by r differ by 1 - r of their variance, and their sum
varies by (1 + r) / (1 - r) of it; this is (1 + r) / (1 - r)² at r = 0.28."""


class Dispersion(Struct, frozen=True):
    """Sums over the pairs seen so far, and the tick before; each an array of N."""

    chi2: Values
    pairs: Values
    spread: Values
    canary: Values
    total: Values
    odds: Values

    def phi(self, spread: Values) -> Values:
        """φ for a tick whose binomial variance is ``spread``; never under 1.

        Noise that hits a whole arm grows with the square of its traffic, so φ - 1 grows with the
        variance where a tick has more of it than those that φ was estimated from.
        """
        excess = LASTING * (self.chi2 / self.pairs - 1.0)
        usual = np.maximum(self.spread / self.pairs, 1.0)
        return 1.0 + np.maximum(excess, 0.0) * np.maximum(spread / usual, 1.0)


def begin(series: int) -> Dispersion:
    """Nothing seen yet."""
    return Dispersion(
        chi2=np.full(series, PRIOR_PHI * PRIOR_PAIRS),
        pairs=np.full(series, PRIOR_PAIRS),
        spread=np.zeros(series),
        canary=np.zeros(series),
        total=np.zeros(series),
        odds=np.zeros(series),
    )


def add(
    before: Dispersion,
    canary: Values,
    exposure: Values,
    control: Values,
    control_exposure: Values,
) -> Dispersion:
    """Add a tick. One with other shares of traffic than the tick before begins a new chain."""
    total = canary + control
    live = (exposure > 0) & (control_exposure > 0)
    odds = np.where(live, exposure / np.where(live, control_exposure, 1.0), 0.0)
    tilt = np.log(np.where(live, odds, 1.0) / np.where(before.odds > 0, before.odds, 1.0))
    both = total + before.total
    mine = canary + before.canary
    usable = (
        live
        & (before.odds > 0)
        & (np.abs(tilt) < ALIKE)
        & (mine > 0)
        & (mine < both)
        & (total > 0)
        & (before.total > 0)
    )
    share = np.where(usable, mine / np.maximum(both, 1.0), 0.5)
    # A change of exposure between the ticks tilts the expected shares about their mean.
    lean = share * (1.0 - share) * tilt * before.total / np.maximum(both, 1.0)
    expected = total * np.clip(share + lean, 0.0, 1.0)
    variance = share * (1.0 - share) * total * before.total / np.maximum(both - 1.0, 1.0)
    chi2 = (canary - expected) ** 2 / np.where(usable, np.maximum(variance, 1e-12), 1.0)
    chi2 = np.minimum(chi2, ODDEST * before.chi2 / before.pairs)
    spread = share * (1.0 - share) * 0.5 * both
    return Dispersion(
        chi2=before.chi2 + np.where(usable, chi2, 0.0),
        pairs=before.pairs + usable,
        spread=before.spread + np.where(usable, spread, 0.0),
        canary=canary,
        total=total,
        odds=odds,
    )
