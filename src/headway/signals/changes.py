"""Telling the watchers inside this process that a key has changed."""

import asyncio
from collections.abc import AsyncIterator, Callable

from headway.signals.port import Entry


class Changes:
    """One wake-up per watcher and key. A watcher that sleeps through three changes sees the last.

    Belongs to one event loop, as do all who call it.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._closed = False

    def announce(self, key: str) -> None:
        """Wake whoever watches ``key``."""
        for changed in self._watchers.get(key, ()):
            changed.set()

    async def follow(
        self, key: str, current: Callable[[], Entry | None]
    ) -> AsyncIterator[Entry | None]:
        """What ``current`` gives at once, and again after each announcement of ``key``."""
        changed = asyncio.Event()
        self._watchers.setdefault(key, set()).add(changed)
        try:
            while not self._closed:
                changed.clear()
                yield current()
                await changed.wait()
        finally:
            watchers = self._watchers[key]
            watchers.discard(changed)
            if not watchers:
                del self._watchers[key]

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        for key in self._watchers:
            self.announce(key)
