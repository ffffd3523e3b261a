"""Evidence D, for a change at any time: the same quantity as a product of Gaussian ratios.

The confidence sequence of `headway.guard.confidence` is about the mean of a whole step, and a fault
that begins late moves that mean slowly. Here the likelihood ratio of each tick's d for a shift δ
beyond the minimum effect m, exp((δ (d - m) - δ²/2) / s²), is multiplied up by
`headway.guard.products`, over a grid of δ and every beginning. With s known from the ticks before,
and d normal, its mean is at most 1 while the shift is at most m (Robbins 1970); else that holds in
the limit of many ticks, as for the confidence sequence, which is the same mixture turned inside
out (Waudby-Smith et al. 2024, section 2).
"""

import numpy as np
from numpy.typing import NDArray

from headway.guard.products import Products, multiply

Values = NDArray[np.float64]

SHIFTS = np.log([1.03, 1.07, 1.15, 1.3, 1.6, 2.5])
"""The shifts beyond the minimum effect that the mixture considers, as logarithms of a ratio."""


def against_control(
    before: Products, d: Values, shifts: Values, margin: Values, deviation: Values, cap: Values
) -> Products:
    """Add a tick's d; NaN, or an unknown (infinite) deviation, adds nothing.

    ``shifts`` (K, N) are the alternatives beyond ``margin`` ≥ 0, and beyond its negative where
    they are negative.
    """
    seen = np.isfinite(d) & np.isfinite(deviation)
    s2 = np.where(seen, deviation, 1.0) ** 2
    off = np.where(seen, d, 0.0) - np.sign(shifts) * margin
    return multiply(before, (shifts * off - 0.5 * shifts**2) / s2, seen, cap)
