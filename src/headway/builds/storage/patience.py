"""How long a reader waits: again after a passing fault, and not for ever for one that trickles."""

import http.client
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headway.errors import HeadwayError, Unreachable

ATTEMPTS = 6
FIRST_WAIT = 0.25
LONGEST_WAIT = 10.0
"""Seconds. Waits are drawn evenly from zero to a bound that doubles: full jitter."""

SLOW_SECONDS = 30.0
SLOW_BYTES = 30 * 1024
"""A server that sends less than so many bytes in so many seconds of waiting is given up."""

_BROKEN = (OSError, http.client.HTTPException)


class Later(Exception):
    """The server may do better in a while; ``wait`` is what it asked for, in seconds."""

    def __init__(self, wait: float | None, error: HeadwayError) -> None:
        super().__init__(error.sentence)
        self.wait = wait
        self.error = error


class Patience:
    """Counts the attempts at one operation and waits between them, with full jitter."""

    def __init__(self, attempts: int, sleep: Callable[[float], None]) -> None:
        self._attempts = attempts
        self._sleep = sleep
        self._failed = 0

    def renew(self) -> None:
        """There was progress: what failed before does not count any more."""
        self._failed = 0

    @contextmanager
    def tried(self, host: str, path: str) -> Iterator[None]:
        """Swallow a passing fault after a wait; raise Unreachable when it was the last attempt."""
        try:
            yield
        except Later as later:
            self._wait(later.wait, later.error)
        except _BROKEN as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self._wait(None, Unreachable(f"{host} does not answer for {path}: {reason}"))

    def _wait(self, asked: float | None, error: HeadwayError) -> None:
        self._failed += 1
        if self._failed >= self._attempts:
            raise error from None
        bound = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._failed - 1))
        drawn = random.uniform(0, bound)  # noqa: S311 - spreads retries, protects nothing
        self._sleep(drawn if asked is None else min(asked, LONGEST_WAIT) + drawn)


class Pace:
    """Sees to it that an answer comes at a least speed; only the waiting for it counts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waited = 0.0
        self._bytes = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time within."""
        began = self._clock()
        yield
        self._waited += self._clock() - began

    def keeps(self, count: int) -> bool:
        """Whether it is fast enough, now that so many bytes more have come."""
        self._bytes += count
        if self._waited < SLOW_SECONDS:
            return True
        kept = self._bytes >= SLOW_BYTES
        self._waited, self._bytes = 0.0, 0
        return kept
