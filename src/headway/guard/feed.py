"""Brings what a source outside has to say into the counters: one query each for all nodes.

All queries of a source are answered or none counts: a counter that is missing beside its traffic
would read as 0. What failed is asked for again the next time, from where it stopped.
"""

import asyncio
from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import structs

from headway.errors import HeadwayError
from headway.guard.counters import SLOT, Sample, seconds_of
from headway.guard.sources.port import Line, Reading, Source, Span
from headway.guard.whereabouts import Whereabouts
from headway.model.source import SourceConfig

FARTHEST = 1800.0
"""How many seconds back is asked for at most, after a source was away."""

AT_ONCE = 4
"""Queries under way at a time."""


class Feed:
    """One source of one app.

    ``reached`` is the time up to which it has been read. ``trouble`` is one sentence, or empty.
    """

    def __init__(self, app: str, config: SourceConfig, source: Source) -> None:
        self._app = app
        self._config = config
        self._source = source
        self._totals: dict[str, dict[str, float]] = {}
        self._last: dict[str, float] = {}
        self.reached = 0.0
        self.trouble = ""

    @property
    def name(self) -> str:
        """The source's name."""
        return self._config.name

    async def pull(self, nodes: Whereabouts, now: float) -> list[tuple[float, Sample]]:
        """What is new, oldest first, each with its time; nothing where there is trouble."""
        every = self._config.every
        end = (now - self._config.delay) // every * every
        begin = max(self.reached + every, end - FARTHEST // every * every)
        if not self.reached:
            begin = end
        if begin > end:
            return []
        try:
            readings = await self._read(Span(begin, end, every))
        except HeadwayError as error:
            self.trouble = f"{self.name}: {error.sentence}"
            return []
        warnings = [warning for reading in readings.values() for warning in reading.warnings]
        self.trouble = f"{self.name} warns: {warnings[0]}" if warnings else ""
        self.reached = end
        return self._samples(readings, nodes)

    async def history(
        self, nodes: Whereabouts, spans: Iterable[tuple[float, float]], tiers: set[str]
    ) -> dict[float, dict[str, float]]:
        """What the nodes of some tiers (all, if none are named) told in earlier slots, added up.

        Nodes count by the tier that they are in now. Raises as the source does.
        """
        found: dict[float, dict[str, float]] = {}
        heard: set[tuple[float, str]] = set()
        ours = self._config
        for begin, end in spans:
            for name, query in ours.queries.items():
                step = ours.every if name in ours.counts else SLOT
                reading = await self._source.read(query, Span(begin, end, step))
                for line in reading.lines:
                    node = nodes.find(self._app, line.labels.get(ours.node, ""))
                    place = nodes.latest(self._app, node) if node else None
                    if node is None or place is None or (tiers and place.tier not in tiers):
                        continue
                    for slot, value in _slots(line, name in ours.totals, name in ours.levels):
                        into = found.setdefault(slot, {})
                        into[name] = into.get(name, 0.0) + value
                        if (slot, node) not in heard:
                            heard.add((slot, node))
                            seconds = seconds_of(ours.name)
                            into[seconds] = into.get(seconds, 0.0) + SLOT
        return found

    async def close(self) -> None:
        """Close the source."""
        await self._source.close()

    async def _read(self, span: Span) -> dict[str, Reading]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(query: str) -> Reading:
            async with gate:
                return await self._source.read(query, span)

        queries = self._config.queries
        answers = await asyncio.gather(*map(one, queries.values()))
        return dict(zip(queries, answers, strict=True))

    def _samples(
        self, readings: dict[str, Reading], nodes: Whereabouts
    ) -> list[tuple[float, Sample]]:
        heard: dict[tuple[float, str], dict[str, float]] = {}
        for name, reading in readings.items():
            for line in reading.lines:
                node = nodes.find(self._app, line.labels.get(self._config.node, ""))
                if node is None:
                    continue
                for at, value in zip(line.times.tolist(), line.values.tolist(), strict=True):
                    values = heard.setdefault((at, node), {})
                    values[name] = values.get(name, 0.0) + value
        samples = []
        for (at, node), values in sorted(heard.items()):
            empty = nodes.sample(self._app, node, at)
            if empty is not None:
                samples.append((at, self._filled(empty, values, at)))
        return samples

    def _filled(self, empty: Sample, values: dict[str, float], at: float) -> Sample:
        ours = self._config
        # A total that is not there this time has not moved, as far as anybody knows.
        totals = self._totals.get(empty.node, {}) | {
            name: value for name, value in values.items() if name in ours.totals
        }
        self._totals[empty.node] = totals
        gap = at - self._last.get(empty.node, at) > 1.5 * ours.every
        self._last[empty.node] = at
        return structs.replace(
            empty,
            totals=totals,
            counts={name: value for name, value in values.items() if name in ours.counts},
            levels={name: value for name, value in values.items() if name in ours.levels},
            source=ours.name,
            anew=gap and bool(ours.counts),
        )


def _slots(line: Line, total: bool, level: bool) -> Iterator[tuple[float, float]]:
    """(begin of a slot, what a series adds to it): what happened, or a level times its time."""
    if not len(line.times):
        return
    values, slots = line.values, np.ceil(line.times / SLOT) * SLOT - SLOT
    if total:
        rise = np.diff(values)
        values = np.where(rise < 0, values[1:], rise)
        # What rose over a gap belongs to no slot.
        near = np.diff(line.times) <= 1.5 * SLOT
        values, slots = values[near], slots[1:][near]
    begins, index = np.unique(slots, return_inverse=True)
    sums = np.bincount(index, values, len(begins)).astype(np.float64)
    if level:
        sums = sums / np.bincount(index, minlength=len(begins)) * SLOT
    yield from zip(begins.tolist(), sums.tolist(), strict=True)
