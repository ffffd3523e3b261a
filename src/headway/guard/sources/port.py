"""What the guard asks of a source of metrics: one question, one answer.

    read(query, span) → Reading      close()

A query is in the source's own language, and is asked once for all nodes, not once a node: every
line of the answer carries the labels that tell which node it is of. Times are the ends of what a
value stands for, in seconds since the epoch. What is no finite number is left out, and so is what
the source does not have: a gap is never a zero.

Errors are Unreachable (no answer, or a server's fault: ask again), Denied (the credentials), and
InvalidInput (the query, which will not get better by itself).
"""

from math import floor
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOST_BYTES = 64 * 1024 * 1024
"""An answer that is longer is refused: the query is not summed up by node."""

MOST_LINES = 50_000
"""As is one with more lines than any fleet has nodes."""


class Span(Struct, frozen=True):
    """The times ``begin``, ``begin + step``, … up to ``end``, both inclusive; in seconds."""

    begin: float
    end: float
    step: float

    def parts(self, most: int) -> "tuple[Span, ...]":
        """The same times in spans of ``most`` at a time."""
        count = floor((self.end - self.begin) / self.step + 1e-9) + 1
        firsts = range(0, max(count, 0), most)
        return tuple(
            Span(
                self.begin + first * self.step,
                self.begin + (min(first + most, count) - 1) * self.step,
                self.step,
            )
            for first in firsts
        )


class Line(Struct, frozen=True):
    """One series: its labels, and a value at each of its times, which rise."""

    labels: dict[str, str]
    times: Values
    values: Values


class Reading(Struct, frozen=True):
    """An answer. ``warnings`` are the source's own: what it gave may be less than there is."""

    lines: tuple[Line, ...] = ()
    warnings: tuple[str, ...] = ()


class Source(Protocol):
    """A source of metrics."""

    async def read(self, query: str, span: Span) -> Reading:
        """The query's values at the times of ``span``. Raises Unreachable, Denied, InvalidInput."""

    async def close(self) -> None:
        """Give back what it holds."""


def line(labels: dict[str, str], times: Values, values: Values) -> Line:
    """A line of what is finite."""
    sound = np.isfinite(values)
    return Line(labels, times[sound], values[sound])


def joined(parts: list[Reading]) -> Reading:
    """Readings of spans that follow each other, as one."""
    found: dict[tuple[tuple[str, str], ...], list[Line]] = {}
    for part in parts:
        for each in part.lines:
            found.setdefault(tuple(sorted(each.labels.items())), []).append(each)
    lines = tuple(
        Line(
            pieces[0].labels,
            np.concatenate([piece.times for piece in pieces]),
            np.concatenate([piece.values for piece in pieces]),
        )
        for pieces in found.values()
    )
    warnings = dict.fromkeys(warning for part in parts for warning in part.warnings)
    return Reading(lines, tuple(warnings))
