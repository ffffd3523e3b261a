"""Prometheus, and whatever speaks its HTTP API: ``/api/v1/query_range``.

https://prometheus.io/docs/prometheus/latest/querying/api/ says what is sent and answered. A server
refuses more than 11,000 points a series, so longer spans are asked for in parts. Values are
strings, among them NaN, +Inf and -Inf.
"""

from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from headway.errors import InvalidInput, Unreachable
from headway.guard.sources.http import Asking, problem
from headway.guard.sources.port import MOST_LINES, Line, Reading, Span, joined, line

MOST_POINTS = 11_000
"""How many points of a series one request may ask for."""


class _Series(Struct):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []
    histograms: list[Any] = []


class _Data(Struct):
    result: list[_Series] = []


class _Answer(Struct):
    status: Literal["success", "error"]
    data: _Data | None = None
    error: str = ""
    error_type: str = msgspec.field(default="", name="errorType")
    warnings: list[str] = []
    infos: list[str] = []


class Prometheus:
    """A Prometheus server."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def read(self, query: str, span: Span) -> Reading:
        """A PromQL expression; its labels tell the node. Raises as the port says."""
        return joined([await self._part(query, part) for part in span.parts(MOST_POINTS)])

    async def close(self) -> None:
        """Close every connection."""
        await self._asking.close()

    async def _part(self, query: str, span: Span) -> Reading:
        form = {
            "query": query,
            "start": f"{span.begin:.3f}",
            "end": f"{span.end:.3f}",
            "step": f"{span.step:g}",
        }
        status, body = await self._asking.post("/api/v1/query_range", form)
        url = self._asking.url
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError:
            if status == 200:
                raise Unreachable(f"{url} answers, but not as Prometheus does") from None
            raise problem(url, status, body[:200].decode("utf-8", "replace")) from None
        if status != 200 or answer.status == "error" or answer.data is None:
            raise problem(url, status if status != 200 else 422, answer.error)
        if len(answer.data.result) > MOST_LINES:
            raise InvalidInput(f"{url} gives more than {MOST_LINES:,} series; sum up by node")
        if any(series.histograms for series in answer.data.result):
            raise InvalidInput(f"{query[:80]} gives histograms; take their sum or their count")
        lines = tuple(_line(series) for series in answer.data.result)
        return Reading(lines, tuple(warning[:200] for warning in answer.warnings))


def _line(series: _Series) -> Line:
    times = np.array([at for at, _ in series.values], dtype=np.float64)
    # numpy, like float(), reads the words that Prometheus writes for what is no number.
    values = np.array([value for _, value in series.values]).astype(np.float64)
    return line(series.metric, times, values)
