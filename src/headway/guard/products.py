"""Products of likelihood ratios that may be looked at any time, for a change at any time.

For every alternative of a grid the ratio of its likelihood to the null's is multiplied up from
tick to tick: Wald's martingale, at most 1 on average while the null holds. A mixture over the grid
(Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
Statistics 41, 1970) needs no guess of the size. By Ville's inequality it ever reaches 1/alpha with
probability alpha at most, however often it is looked at. Two additions keep it so, and useful:

- A product that has seen an hour of health takes long to turn, so products begin at every tick k
  with weight 1/√k - 1/√(k+1), which sums to 1 (mixing over the moment of change: Shin, Ramdas and
  Rinaldo, "E-detectors", New England Journal of Statistics in Data Science 2, 2023). Those still
  to begin count as 1.
- No tick counts for more than ``cap``: a minimum with a constant only lowers the average. One bad
  minute cannot convict.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Products(Struct, frozen=True):
    """The products so far: ``log_e`` is (K, N), ``looks`` is N. Memory does not grow."""

    log_e: Values
    looks: Values


def begin(alternatives: int, series: int) -> Products:
    """Nothing seen yet."""
    return Products(np.full((alternatives, series), -np.inf), np.zeros(series))


def multiply(before: Products, log_ratio: Values, seen: NDArray[np.bool_], cap: Values) -> Products:
    """Add a tick's log-likelihood ratios (K, N) to the series that saw something; cap in nats."""
    step = np.minimum(log_ratio, cap)
    k = before.looks + 1.0
    log_start = np.log(1.0 / np.sqrt(k) - 1.0 / np.sqrt(k + 1.0))
    log_e = np.where(seen, np.logaddexp(before.log_e, log_start) + step, before.log_e)
    return Products(log_e, before.looks + seen)


def grid(sizes: Values, up: NDArray[np.bool_], down: NDArray[np.bool_]) -> tuple[Values, Values]:
    """(alternatives, log weights), each (2 · sizes, N), for series that are bad up, down or both.

    The alternatives are ``sizes`` and their negatives; those of a side that counts weigh alike.
    """
    shape = (len(sizes), len(up))
    rises = np.broadcast_to(sizes[:, None], shape)
    sides = np.vstack([np.broadcast_to(up, shape), np.broadcast_to(down, shape)])
    number = len(sizes) * np.maximum(up.astype(float) + down, 1.0)
    return np.vstack([rises, -rises]), np.where(sides, -np.log(number), -np.inf)


def log_evidence(products: Products, log_weight: Values) -> Values:
    """The logarithm of the e-value: the mixture, and the products still to begin as 1 each."""
    mixed = np.full_like(products.looks, -np.inf)
    for row, weight in zip(products.log_e, log_weight, strict=True):
        mixed = np.logaddexp(mixed, row + weight)
    return np.logaddexp(mixed, -0.5 * np.log1p(products.looks))
