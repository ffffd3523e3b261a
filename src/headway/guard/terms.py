"""What a panel of series is judged by, as arrays: built once a rollout from its metrics."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard import products
from headway.guard.budget import Allowance
from headway.guard.poisson import RISES
from headway.guard.shift import SHIFTS
from headway.model.plan import Direction, Kind, Metric

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

PLAIN_LIMIT = 4.0
"""The z-score that is too far where a metric names none."""

PASSABLE = 0.01
"""The share that need not be noticed where a metric names none."""


class Terms(Struct, frozen=True):
    """Arrays of N, one entry a series, but where (K, N) is said.

    ``log_limit`` and ``line_limit`` are the logarithms that e-values must reach, infinite where
    the test is off; ``alpha`` is for each confidence sequence; ``cap`` and ``line_cap`` bound a
    tick's evidence. ``least`` is the exposure that a pass takes. The weights (K, N)
    are those of the mixtures over ``log_theta`` and ``shifts``.
    """

    counts: Flags
    up: Flags
    down: Flags
    tolerance: Values
    detect: Values
    floor: Values
    least: Values
    above: Values
    below: Values
    z_limit: Values
    alpha: Values
    log_limit: Values
    line_limit: Values
    cap: Values
    line_cap: Values
    log_theta: Values
    log_weight: Values
    line_weight: Values
    shifts: Values
    shift_weight: Values

    def of(self, index: int) -> "Terms":
        """Those of one series."""
        return Terms(*(getattr(self, name)[..., index] for name in self.__struct_fields__))


def terms(metrics: Sequence[Metric], allowances: Sequence[Allowance]) -> Terms:
    """The terms of some metrics, each a series."""

    def array(values: list[float | None]) -> Values:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    up = np.array([m.direction is not Direction.DOWN for m in metrics], dtype=bool)
    down = np.array([m.direction is not Direction.UP for m in metrics], dtype=bool)
    counts = np.array([m.kind is Kind.COUNTS for m in metrics], dtype=bool)
    above, below = array([m.above for m in metrics]), array([m.below for m in metrics])
    compare = np.array([m.compare for m in metrics], dtype=bool)
    lined = counts & (np.isfinite(above) | np.isfinite(below))
    control = array([a.control for a in allowances])
    line = array([a.line for a in allowances])
    sequence = array([a.sequence for a in allowances])
    log_limit = np.where(compare, -np.log(control), np.inf)
    line_limit = np.where(lined, -np.log(line), np.inf)
    log_theta, log_weight = products.grid(np.log(RISES), up, down)
    _, line_weight = products.grid(np.log(RISES), np.isfinite(above), np.isfinite(below))
    shifts, shift_weight = products.grid(SHIFTS, up, down)
    return Terms(
        counts=counts,
        up=up,
        down=down,
        tolerance=np.log1p(array([m.min_effect for m in metrics])),
        detect=array([m.detect for m in metrics]),
        floor=array([_floor(m) for m in metrics]),
        least=array([m.min_count for m in metrics]),
        above=above,
        below=below,
        z_limit=array([m.zscore or PLAIN_LIMIT for m in metrics]),
        alpha=np.where(compare, sequence, np.nan),
        log_limit=log_limit,
        line_limit=line_limit,
        cap=cap(log_limit),
        line_cap=cap(line_limit),
        log_theta=log_theta,
        log_weight=log_weight,
        line_weight=line_weight,
        shifts=shifts,
        shift_weight=shift_weight,
    )


def cap(log_limit: Values) -> Values:
    """Half of what it takes: with the price of mixing, that makes three ticks at least."""
    return np.where(np.isfinite(log_limit), 0.5 * log_limit, 1.0)


def _floor(metric: Metric) -> float:
    if metric.floor is not None:
        return metric.floor
    if metric.above is not None:
        return metric.above
    return PASSABLE if metric.per is not None and metric.kind is Kind.COUNTS else 0.0
