"""Telling the watchers inside this process that a key has changed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from headway.signals.port import Entry


class Changes:
    """One wake-up per watcher. A watcher that sleeps through three changes sees the last.

    Belongs to one event loop, as do all who call it.
    """

    def __init__(self) -> None:
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._followers: dict[asyncio.Event, tuple[str, set[str]]] = {}
        self._closed = False

    def announce(self, key: str) -> None:
        """Wake whoever watches ``key``, or follows a prefix of it."""
        for changed in self._watchers.get(key, ()):
            changed.set()
        for changed, (prefix, keys) in self._followers.items():
            if key.startswith(prefix):
                keys.add(key)
                changed.set()

    async def watch(
        self, key: str, current: Callable[[], Entry | None]
    ) -> AsyncGenerator[Entry | None, None]:
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

    async def follow(
        self, prefix: str, entries: Mapping[str, Entry]
    ) -> AsyncGenerator[dict[str, Entry | None], None]:
        """What ``entries`` holds under ``prefix``, then what was announced since."""
        changed = asyncio.Event()
        keys: set[str] = set(entries)
        self._followers[changed] = prefix, keys
        try:
            batch = {key: entries.get(key) for key in keys if key.startswith(prefix)}
            while not self._closed:
                keys.clear()
                changed.clear()
                yield batch
                await changed.wait()
                batch = {key: entries.get(key) for key in keys}
        finally:
            del self._followers[changed]

    def close(self) -> None:
        """End every watch."""
        self._closed = True
        for changed in (*self._followers, *(e for es in self._watchers.values() for e in es)):
            changed.set()
