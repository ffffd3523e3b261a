"""What follows from the numbers: one finding for each series. Pure, and on all series at once.

The order is the policy. Silence first: what is not heard cannot be judged. Then incidents: when
the old build moved as far as the new one, the deploy is not to blame, whatever the tests say. Then
the tests. A pass is what is left, and only where a fault would have been seen.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from headway.guard import static
from headway.guard.numbers import Numbers
from headway.guard.static import PERSISTENT
from headway.guard.terms import Terms

Codes = NDArray[np.int8]

MOVED = float(np.log(2.0))
"""The least movement since before the deploy that means anything by itself: to twice or half."""

STEADY = 6.0
"""How many ticks in a row it must have moved for that."""

FEWEST_LOOKS = 3.0
"""How many ticks it takes to pass."""


DOUBTFUL_FROM = 2 / 3
"""The share of what it takes to fail, in logarithms, from which on nothing passes."""


class Finding(IntEnum):
    """What the evidence on one series comes to."""

    PASSES = 0
    """No test failed, and a fault would have been seen."""
    THIN = 1
    """Too little was seen to tell."""
    ALONE = 2
    """There is nothing to hold it against: no old build beside it, and no fixed line."""
    SILENT = 3
    """Neither build says anything."""
    CANARY_SILENT = 4
    """The new build says nothing while the old one does."""
    INCIDENT = 5
    """Both builds moved together: not the deploy's fault."""
    WORSE = 6
    """The new build is worse than the old one beside it."""
    BEYOND = 7
    """The new build is beyond the fixed line."""
    CHANGED = 8
    """It is not what it was before the deploy, and no old build is left to compare with."""
    DOUBTFUL = 9
    """Not enough to fail it, too much to pass it."""


FAILURES = (
    Finding.CANARY_SILENT,
    Finding.INCIDENT,
    Finding.WORSE,
    Finding.BEYOND,
    Finding.CHANGED,
)


def conclude(terms: Terms, numbers: Numbers, silence: float) -> Codes:
    """A `Finding` for each series. ``silence`` is in ticks."""
    n = numbers
    beside = (n.control_silent == 0) & np.isfinite(terms.alpha)
    gone = n.canary_silent >= silence
    compared = (n.log_e >= terms.log_limit) | (~terms.counts & _bound_passed(terms, n))
    line = np.where(terms.counts, n.line_log_e >= terms.line_limit, n.line_streak >= PERSISTENT)
    with np.errstate(divide="ignore", invalid="ignore"):
        common = np.log(n.control_value / n.control_before)
        apart = np.log(n.value / n.control_value)
        since = np.log(n.value / n.canary_before)
        further = np.sign(common) * apart > np.abs(common)
    bad = (terms.up & (common > MOVED)) | (terms.down & (common < -MOVED))
    together = bad & (n.control_streak >= STEADY) & (n.canary_streak >= STEADY)
    together &= ~further
    shared = line & beside & ~compared & _outside(n)
    changed = ~beside & np.isfinite(terms.alpha) & (n.canary_streak >= STEADY)
    changed &= (terms.up & (since > MOVED)) | (terms.down & (since < -MOVED))
    lined = np.isfinite(terms.line_limit) | (
        ~terms.counts & (np.isfinite(terms.above) | np.isfinite(terms.below))
    )
    enough = (n.needed <= 1.0) | (~beside & lined & (~terms.counts | (n.line_needed <= 1.0)))
    enough &= (n.exposure >= terms.least) & ((n.looks >= FEWEST_LOOKS) | ~beside)
    doubtful = n.log_e >= DOUBTFUL_FROM * terms.log_limit
    doubtful |= terms.counts & (n.line_log_e >= DOUBTFUL_FROM * terms.line_limit)
    nothing = ~lined & (n.control_exposure <= 0)
    return np.select(
        [
            gone & (n.control_silent > 0),
            gone,
            (beside & together) | shared,
            compared,
            line,
            changed,
            nothing,
            ~enough,
            doubtful,
        ],
        [
            Finding.SILENT,
            Finding.CANARY_SILENT,
            Finding.INCIDENT,
            Finding.WORSE,
            Finding.BEYOND,
            Finding.CHANGED,
            Finding.ALONE,
            Finding.THIN,
            Finding.DOUBTFUL,
        ],
        default=Finding.PASSES,
    ).astype(np.int8)


def _bound_passed(terms: Terms, n: Numbers) -> NDArray[np.bool_]:
    return (terms.up & (n.low > n.margin)) | (terms.down & (n.high < -n.margin))


def _outside(n: Numbers) -> NDArray[np.bool_]:
    """Whether the control, too, is beyond the line."""
    return static.outside(n.control_value, n.below, n.above)
