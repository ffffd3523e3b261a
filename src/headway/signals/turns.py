"""Takes turns: much work that has come in at once leaves room for what came in meanwhile.

An event loop serves all that is ready before it looks again. When ten thousand nodes report in the
same moment, whoever presses a button then would wait for all of them, and for each step of theirs
once more.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_SECONDS = 0.005
"""So long the work in the queue may keep the event loop at a time."""


class Turns:
    """A queue of work, done in its order, a slice of time for each turn of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._coming = False

    def add(self, work: Callable[[], None]) -> None:
        """Do ``work`` when it is its turn. What it raises, the event loop logs."""
        self._waiting.append(work)
        self._call()

    def _call(self) -> None:
        if self._waiting and not self._coming:
            self._coming = True
            asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        self._coming = False
        until = time.perf_counter() + SLICE_SECONDS
        try:
            while self._waiting and time.perf_counter() < until:
                self._waiting.popleft()()
        finally:
            self._call()
