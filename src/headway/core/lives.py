"""When each rollout's build was what its app ran, everywhere.

A rollout's build is live from the moment in which every step was green. It ceases to be with the
next that goes live, or when it is taken back itself; then the one before it is live again once
every node has attested it. What is reverted, aborted or superseded on the way never was live.
"""

from collections.abc import Iterable

from msgspec import Struct


class Course(Struct, frozen=True):
    """How a rollout went; times in seconds since the epoch.

    ``live_at`` is when it went live, None if it never did. If it was taken back after that,
    ``left_at`` is when the revert began, and ``back_at`` when it ended.
    """

    rollout: str
    live_at: float | None = None
    left_at: float | None = None
    back_at: float | None = None


class Life(Struct, frozen=True):
    """A stretch of time in which a build was live; ``end`` is None while it is."""

    begin: float
    end: float | None = None


def lives(courses: Iterable[Course]) -> dict[str, tuple[Life, ...]]:
    """The lives of each rollout that had one, oldest first; ``courses`` oldest first, no gap."""
    found: dict[str, list[Life]] = {}
    line: list[str] = []

    def close(at: float) -> None:
        if line and found[line[-1]][-1].end is None:
            begin = found[line[-1]][-1].begin
            found[line[-1]][-1] = Life(begin, max(begin, at))

    for course in courses:
        if course.live_at is None:
            continue
        close(course.live_at)
        line.append(course.rollout)
        found.setdefault(course.rollout, []).append(Life(course.live_at))
        if course.left_at is not None:
            close(course.left_at)
            line.pop()
            if line and course.back_at is not None:
                found[line[-1]].append(Life(course.back_at))
    return {rollout: tuple(spans) for rollout, spans in found.items()}
