"""What the guard keeps of a rollout: settings, every number it looked at, and what it said.

Enough to go on after a restart, to give every verdict again bit for bit, and to see what other
settings would have done. Numbers are kept as they are in memory (float64), compressed.
"""

import zlib
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from headway.guard.budget import Allowance
from headway.guard.evidence import WIDTH, Evidence, Stretch, Values, row
from headway.model.plan import Guarding, Metric
from headway.model.verdict import Verdict


class Settings(Struct, frozen=True):
    """By what something is judged. One entry of each list for each metric.

    ``queries`` say where the numbers come from; ``sources`` name the source of each, and
    ``exposures`` the counter to divide by. ``look`` is how many seconds lie between looks at first,
    ``steps`` the number of judged steps, over which the budget is split.
    """

    id: str
    app: str
    began: float
    metrics: tuple[Metric, ...]
    guard: Guarding
    allowances: tuple[Allowance, ...]
    queries: tuple[str, ...]
    sources: tuple[str, ...]
    exposures: tuple[str, ...]
    look: float
    steps: int


class Mark(Struct, frozen=True, array_like=True):
    """Before look number ``at`` step ``part`` began; ``fresh``: in a tier of its own."""

    at: int
    tier: str
    fresh: bool
    part: int


class Told(Struct, frozen=True):
    """A verdict that was news, given after ``look`` looks in step number ``step``."""

    look: int
    step: int
    verdict: Verdict


class Chunk(Struct, frozen=True):
    """Some looks in a row, and what belongs to them. ``seq`` rises from chunk to chunk.

    ``troubles`` holds (look, metric, sentence); ``rows`` the packed numbers.
    """

    seq: int
    spans: list[float]
    marks: list[Mark]
    troubles: list[tuple[int, int, str]]
    told: list[Told]
    rows: bytes


class Record:
    """One rollout, or one change, as the guard has seen it so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.befores: dict[str, Values] = {}
        self.marks: list[Mark] = []
        self.looks: list[Values] = []
        self.spans: list[float] = []
        self.troubles: list[tuple[int, int, str]] = []
        self.told: list[Told] = []
        self._kept = [0, 0, 0, 0]

    def chunk(self) -> Chunk | None:
        """What was not kept yet; None where nothing is new."""
        looks, marks, troubles, told = self._kept
        if self._kept == self._length():
            return None
        return Chunk(
            sum(self._kept),
            self.spans[looks:],
            self.marks[marks:],
            self.troubles[troubles:],
            self.told[told:],
            pack(self.looks[looks:]),
        )

    def kept(self, chunk: Chunk) -> None:
        """A chunk has been kept."""
        news = [len(chunk.spans), len(chunk.marks), len(chunk.troubles), len(chunk.told)]
        self._kept = [done + new for done, new in zip(self._kept, news, strict=True)]

    def extend(self, chunk: Chunk) -> None:
        """Take in what was kept, in its order."""
        self.looks += unpack(chunk.rows, len(self.settings.metrics))
        self.spans += chunk.spans
        self.marks += chunk.marks
        self.troubles += chunk.troubles
        self.told += chunk.told
        self._kept = self._length()

    def trouble(self, look: int) -> list[str]:
        """What the source of each metric said instead of numbers at a look; "" for nothing."""
        found = [""] * len(self.settings.metrics)
        for at, metric, sentence in self.troubles:
            if at == look:
                found[metric] = sentence
        return found

    def course(self) -> Iterator[tuple[Mark | None, Values | None]]:
        """(a step that begins, or None; a look, or None) in the order in which they came."""
        marks = iter([*self.marks, None])
        upcoming = next(marks)
        for index, look in enumerate(self.looks):
            while upcoming is not None and upcoming.at <= index:
                yield upcoming, None
                upcoming = next(marks)
            yield None, look
        while upcoming is not None:
            yield upcoming, None
            upcoming = next(marks)

    def _length(self) -> list[int]:
        return [len(self.looks), len(self.marks), len(self.troubles), len(self.told)]

    def evidence(self, metric: int) -> Evidence:
        """All that the last verdict on one metric follows from."""
        settings = self.settings
        stretches: list[tuple[Mark, list[Values]]] = []
        for mark, look in self.course():
            if mark is not None:
                stretches.append((mark, []))
            if look is not None:
                stretches[-1][1].append(look)
        last = len(self.looks) - 1
        return Evidence(
            settings.metrics[metric],
            settings.guard,
            settings.allowances[metric],
            settings.queries[metric],
            self.spans[-1] if self.spans else settings.look,
            tuple(
                Stretch(
                    mark.tier,
                    tuple(row(look[metric]) for look in looks),
                    tuple(row(tick[metric]) for tick in self.befores[mark.tier])
                    if mark.fresh
                    else None,
                )
                for mark, looks in stretches
            ),
            self.trouble(last)[metric],
        )


def pack(looks: list[Values] | Values) -> bytes:
    """Tables of rows as bytes."""
    return zlib.compress(np.asarray(looks, dtype="<f8").tobytes(), 1)


def unpack(packed: bytes, metrics: int) -> list[Values]:
    """What was packed."""
    numbers = np.frombuffer(zlib.decompress(packed), dtype="<f8").astype(np.float64)
    return list(numbers.reshape(-1, metrics, WIDTH)) if metrics else []
