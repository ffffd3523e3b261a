"""A source of metrics in memory, as the port asks for it."""

import numpy as np

from headway.errors import HeadwayError
from headway.guard.sources.port import Reading, Span, line


class FakeSource:
    """Series by query: (labels, {time: value}). ``error`` is raised instead, while it is set."""

    def __init__(self) -> None:
        self.series: dict[str, list[tuple[dict[str, str], dict[float, float]]]] = {}
        self.warnings: tuple[str, ...] = ()
        self.error: HeadwayError | None = None
        self.asked: list[tuple[str, Span]] = []

    async def read(self, query: str, span: Span) -> Reading:
        """The last value at each time of the span, or up to one step before it."""
        self.asked.append((query, span))
        if self.error is not None:
            raise self.error
        lines = []
        for labels, values in self.series.get(query, ()):
            known = np.array(sorted(values))
            times, found = [], []
            for part in span.parts(1):
                index = int(np.searchsorted(known, part.begin, side="right")) - 1
                if index >= 0 and part.begin - known[index] < span.step:
                    times.append(part.begin)
                    found.append(values[float(known[index])])
            if times:
                lines.append(line(labels, np.array(times), np.array(found)))
        return Reading(tuple(lines), self.warnings)

    async def close(self) -> None:
        """Nothing to give back."""
