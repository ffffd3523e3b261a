"""What metrics came to over the last half hour, on one build and on the others beside it."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard.counters import Arm, Bucket, Counters

Values = NDArray[np.float64]


class Curves(Struct, frozen=True):
    """``times`` in seconds since the epoch, T of them; ``new`` and ``old`` are (T, metrics).

    NaN where there was nothing to divide by: no traffic, or no node that ran the build.
    """

    times: Values
    new: Values
    old: Values


NOTHING = Curves(np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))
"""What is known where no guard watches."""


def curves(
    counters: Counters,
    pairs: Sequence[tuple[str, str]],
    arms: tuple[list[Arm], list[Arm]],
    since: float,
    step: float,
) -> Curves:
    """Each of ``pairs``, a counter over an exposure, every ``step`` seconds on both sides."""
    new, old = (counters.pieces(side, since) for side in arms)
    begins = sorted({bucket.begin // step * step for bucket in (*new, *old)})
    places = {begin: index for index, begin in enumerate(begins)}
    shape = len(begins), len(pairs)
    sides = [_values(side, pairs, places, shape, step) for side in (new, old)]
    return Curves(np.array(begins), *sides)


def _values(
    buckets: Sequence[Bucket],
    pairs: Sequence[tuple[str, str]],
    places: dict[float, int],
    shape: tuple[int, int],
    step: float,
) -> Values:
    sums = np.zeros((*shape, 2))
    for bucket in buckets:
        into = sums[places[bucket.begin // step * step]]
        for index, (counter, exposure) in enumerate(pairs):
            into[index] += bucket.sums.get(counter, 0.0), bucket.sums.get(exposure, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan)
