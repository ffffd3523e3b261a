"""What the guard looked at, as graphs: each metric on the new build and the old one beside it."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from headway.guard.record import Record
from headway.guard.wording import show
from headway.model.plan import Metric
from headway.model.verdict import Verdict
from headway.server.cockpit.panel import VERDICT_STATES
from headway.server.cockpit.words import duration

Values = NDArray[np.float64]

WIDTH, HEIGHT = 720.0, 140.0
MOST_POINTS = 180
"""More looks than this are drawn together."""


class Said(Struct, frozen=True):
    """A verdict that was news, and when it was given."""

    after: str
    state: str
    outcome: str
    sentence: str


class StepMark(Struct, frozen=True):
    """Where a step began, from the left."""

    x: float
    tier: str


class Graph(Struct, frozen=True):
    """One metric. ``new`` and ``old`` are SVG paths in a box of WIDTH by HEIGHT."""

    metric: str
    query: str
    state: str
    outcome: str
    sentence: str
    new: str
    old: str
    top: str
    line: float | None
    line_label: str
    lasted: str
    steps: tuple[StepMark, ...]
    said: tuple[Said, ...]


class GuardPage(Struct, frozen=True):
    """The page of what the guard saw of one rollout."""

    app: str
    rollout: str
    graphs: tuple[Graph, ...]


def make_graphs(record: Record, latest: Sequence[Verdict]) -> tuple[Graph, ...]:
    """A graph for each metric, in their order."""
    said = {verdict.metric: verdict for verdict in latest}
    spans = np.array(record.spans)
    looks = np.array(record.looks) if record.looks else None
    return tuple(
        _graph(record, index, metric, said.get(metric.name), spans, looks)
        for index, metric in enumerate(record.settings.metrics)
    )


def _graph(
    record: Record,
    index: int,
    metric: Metric,
    verdict: Verdict | None,
    spans: Values,
    looks: Values | None,
) -> Graph:
    ends = np.cumsum(spans)
    lasted = float(ends[-1]) if len(ends) else 0.0
    new = old = np.zeros(0)
    times = np.zeros(0)
    if looks is not None:
        size = -(-len(looks) // MOST_POINTS)
        bins = np.arange(0, len(looks), size)
        sums = np.add.reduceat(np.nan_to_num(looks[:, index, :4]), bins, axis=0)
        times = ends[np.minimum(bins + size - 1, len(ends) - 1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            new = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
            old = np.where(sums[:, 3] > 0, sums[:, 2] / sums[:, 3], np.nan)
    lined = metric.above if metric.above is not None else metric.below
    seen = [float(np.nanmax(part)) for part in (new, old) if np.isfinite(part).any()]
    top = max([*seen, 0.0]) * 1.15 or 1.0
    within = lined is not None and 0 < lined <= 3 * top
    if within and lined is not None:
        top = max(top, lined * 1.1)
    outcome = verdict.outcome.value if verdict else "nothing said yet"
    return Graph(
        metric.name,
        record.settings.queries[index],
        VERDICT_STATES[verdict.outcome] if verdict else "unknown",
        outcome,
        verdict.sentence if verdict else "",
        _path(times, new, lasted, top),
        _path(times, old, lasted, top),
        show(top, metric),
        _y(lined, top) if within and lined is not None else None,
        show(lined, metric) if lined is not None else "",
        duration(lasted),
        tuple(
            StepMark(_x(float(ends[mark.at - 1]) if mark.at else 0.0, lasted), mark.tier)
            # Of steps that began in the same moment only the last one was looked at.
            for mark in {mark.at: mark for mark in record.marks}.values()
        ),
        tuple(
            Said(
                duration(float(ends[one.look - 1]) if one.look else 0.0),
                VERDICT_STATES[one.verdict.outcome],
                one.verdict.outcome.value,
                one.verdict.sentence,
            )
            for one in record.told
            if one.verdict.metric == metric.name
        ),
    )


def _path(times: Values, values: Values, lasted: float, top: float) -> str:
    """A line through the values, broken where there is none."""
    parts, pen = [], "M"
    for at, value in zip(times.tolist(), values.tolist(), strict=True):
        if not np.isfinite(value):
            pen = "M"
            continue
        parts.append(f"{pen}{_x(at, lasted)} {_y(value, top)}")
        pen = "L"
    return "".join(parts)


def _x(at: float, lasted: float) -> float:
    return round(WIDTH * at / max(lasted, 1e-9), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - min(value / top, 1.0)), 1)
