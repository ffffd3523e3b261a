"""How fast a network may be talked to, and how fast anybody may talk to Headway."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

BURST = 4
"""How many lines may go out at once before the pace counts."""

LINES = 10
SECONDS = 10.0
"""How many lines of one account are read in how many seconds."""

MAX_ACCOUNTS = 1000


class Pace:
    """Lets ``burst`` things through at once, and then one in ``seconds``."""

    def __init__(
        self, seconds: float, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._burst = burst
        self._clock = clock
        self._next = 0.0

    async def __call__(self) -> None:
        """Wait for one's turn."""
        now = self._clock()
        self._next = max(self._next, now - self._seconds * (self._burst - 1))
        wait, self._next = self._next - now, self._next + self._seconds
        if wait > 0:
            await asyncio.sleep(wait)


class Patience:
    """Tells who talks too much; ``is_too_much`` is true once, and then silence is the answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, deque[float]] = {}

    def count(self, account: str) -> int:
        """How many lines too many this one of ``account`` is; 0 where it is none."""
        now = self._clock()
        if len(self._said) >= MAX_ACCOUNTS:
            self._said = {a: d for a, d in self._said.items() if d and now - d[-1] < SECONDS}
        said = self._said.setdefault(account, deque(maxlen=4 * LINES))
        while said and now - said[0] >= SECONDS:
            said.popleft()
        said.append(now)
        return max(0, len(said) - LINES)
