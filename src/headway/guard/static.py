"""Evidence A: a fixed threshold on a plain value.

The rule is that of a min/max alert, with one addition: a value counts as beyond only after
several ticks in a row (``persistent``), so that one odd sample says nothing. Shares and rates of
counts are held against their line by `headway.guard.poisson.against_line` instead, which knows
chance.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

PERSISTENT = 3.0
"""How many ticks in a row must each be out of line."""


def outside(value: Values, below: Values, above: Values) -> NDArray[np.bool_]:
    """Whether a value is over ``above`` or under ``below``; a NaN bound does not bind."""
    return (value > above) | (value < below)


def persistent(streak: Values, beyond: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Values:
    """The number of ticks in a row that were beyond; a tick without a value leaves it be."""
    return np.where(seen, np.where(beyond, streak + 1.0, 0.0), streak)
