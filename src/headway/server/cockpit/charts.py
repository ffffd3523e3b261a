"""The graphs of an app's page: each of the guard's metrics, and lines where something was deployed.

The browser draws them; what it gets is small whatever the fleet's size.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard.counters import BUCKET, KEPT
from headway.guard.curves import Curves
from headway.model.plan import Kind, Metric
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.cockpit.words import short

REACH = BUCKET * KEPT
"""How far back the graphs go, in seconds."""

POINTS = 120
"""So many points a graph has at most, however fine the counters are."""


class Chart(Struct, frozen=True):
    """One metric on the build that comes (or is live), and on the others; None where unknown.

    ``share``: the values are parts of a whole, which people read in percent. ``bound`` is where
    it fails whatever the other build does.
    """

    metric: str
    share: bool
    bound: float | None
    new: tuple[float | None, ...]
    old: tuple[float | None, ...]


class Line(Struct, frozen=True):
    """Something that was done ``at`` a moment; ``kind`` is deploy, config or revert."""

    at: float
    kind: str
    label: str
    rollout: str


class Charts(Struct, frozen=True):
    """All graphs of a page, over the same ``times``, and what was deployed meanwhile."""

    since: float
    until: float
    new: str
    old: str
    times: tuple[float, ...]
    charts: tuple[Chart, ...]
    lines: tuple[Line, ...]


def step_of(seconds: float) -> float:
    """How far points lie apart so that so many seconds are at most POINTS of them."""
    return max(BUCKET, -(-seconds // (POINTS * BUCKET)) * BUCKET)


def make_charts(
    metrics: Sequence[Metric],
    curves: Curves,
    latest: Rollout | None,
    rollouts: Sequence[tuple[str, Rollout]],
    now: float,
) -> Charts:
    """The graphs; ``rollouts`` are those that lines are drawn for, each with its kind."""
    since = now - REACH
    running = latest is not None and latest.base is not None and latest.phase in LIVE
    lines = [line for kind, rollout in rollouts for line in _lines(kind, rollout)]
    return Charts(
        since=since,
        until=now,
        new=short(latest.target if latest else None),
        old=short(latest.base) if latest is not None and running else "other builds",
        times=tuple(curves.times.tolist()),
        charts=tuple(
            Chart(
                metric.name,
                metric.per is not None and metric.kind is Kind.COUNTS,
                metric.above if metric.above is not None else metric.below,
                _known(curves.new[:, index]),
                _known(curves.old[:, index]),
            )
            for index, metric in enumerate(metrics)
        ),
        lines=tuple(sorted((line for line in lines if line.at >= since), key=lambda line: line.at)),
    )


def _lines(kind: str, rollout: Rollout) -> list[Line]:
    """Where a rollout began, and where it was taken back."""
    found = [
        Line(
            rollout.started_at,
            kind,
            f"{rollout.by} deploys {short(rollout.target)}",
            rollout.id,
        )
    ]
    back = {Phase.REVERTING: rollout.since, Phase.REVERTED: rollout.ended_at}.get(rollout.phase)
    if back is not None:
        found.append(Line(back, "revert", f"back to {short(rollout.base)}", rollout.id))
    return found


def _known(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(f"{value:.6g}") for value in values.tolist())
