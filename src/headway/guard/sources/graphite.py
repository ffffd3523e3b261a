"""Graphite's render API, ``/render?format=json``.

https://graphite.readthedocs.io/en/latest/render_api.html says what is sent and answered. A point
carries the time at which its interval begins; the end of it is what the port speaks of. Points are
as far apart as Graphite keeps them for that age, or as ``maxDataPoints`` and ``summarize`` make
them; the step of a span is what is hoped for. The label ``target`` is the name as the target
writes it, so ``aliasByNode(web.*.requests, 1)`` names the node; tags are labels too.
"""

import json

import msgspec
import numpy as np
from msgspec import Struct

from headway.errors import InvalidInput, Unreachable
from headway.guard.sources.http import Asking, problem
from headway.guard.sources.port import MOST_LINES, Line, Reading, Span, line

TARGET = "target"


class _Series(Struct):
    target: str
    datapoints: list[tuple[float | None, float]]
    tags: dict[str, str | None] = {}


class Graphite:
    """A Graphite server."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def read(self, query: str, span: Span) -> Reading:
        """A render target. Raises as the port says."""
        form = {
            "target": query,
            # The begin is exclusive there, and times are those of an interval's begin.
            "from": f"{int(span.begin - span.step) - 1}",
            "until": f"{int(span.end)}",
            "format": "json",
            "noCache": "1",
        }
        status, body = await self._asking.post("/render", form)
        url = self._asking.url
        if status != 200:
            # Graphite answers a target that it cannot read with a page.
            raise problem(url, status, body[:200].decode("utf-8", "replace"))
        try:
            # The standard library's reader takes 1e9999, which is how Graphite writes infinity.
            found = msgspec.convert(json.loads(body), list[_Series])
        except (ValueError, RecursionError):
            raise Unreachable(f"{url} answers, but not as Graphite does") from None
        if len(found) > MOST_LINES:
            raise InvalidInput(f"{url} gives more than {MOST_LINES:,} series; sum up by node")
        return Reading(tuple(_line(series, span) for series in found))

    async def close(self) -> None:
        """Close every connection."""
        await self._asking.close()


def _line(series: _Series, span: Span) -> Line:
    begins = np.array([at for _, at in series.datapoints], dtype=np.float64)
    values = np.array(
        [np.nan if value is None else value for value, _ in series.datapoints],
        dtype=np.float64,
    )
    apart = float(begins[1] - begins[0]) if len(begins) > 1 else span.step
    ends = begins + apart
    inside = (ends >= span.begin) & (ends <= span.end)
    tags = {name: value for name, value in series.tags.items() if value is not None}
    return line({**tags, TARGET: series.target}, ends[inside], values[inside])
