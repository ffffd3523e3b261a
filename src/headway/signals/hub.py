"""Fans the values of a signal store out to many readers, knowing nothing of their transport.

However many readers there are, each key is watched once and each value is encoded once. What a
reader does with a value that it cannot pass on yet is its own affair, as long as it does not wait:
a ``Subscription`` has a mailbox with one place per key, so that a slow one skips values, never
falls behind, never fills memory.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

import structlog

from headway.errors import StoreError
from headway.signals.port import SignalStore

RETRY_SECONDS = 2.0

log = structlog.get_logger()


class Reader(Protocol):
    """Whoever follows keys."""

    def deliver(self, key: str, encoded: bytes) -> None:
        """Take the key's newest value, without waiting."""

    def close(self) -> None:
        """There will be no more."""


class Subscription:
    """A mailbox to be read at leisure."""

    def __init__(self, keys: frozenset[str]) -> None:
        self.keys = keys
        self._pending: dict[str, bytes] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def deliver(self, key: str, encoded: bytes) -> None:
        """Put ``encoded`` in the key's place, over whatever was not read yet."""
        self._pending[key] = encoded
        self._ready.set()

    def close(self) -> None:
        """End ``batches`` for the reader."""
        self._closed = True
        self._ready.set()

    async def batches(self, quiet: float) -> AsyncIterator[bytes]:
        """What has come in since the last batch; empty after ``quiet`` seconds of nothing."""
        while not self._closed:
            try:
                async with asyncio.timeout(quiet):
                    await self._ready.wait()
            except TimeoutError:
                yield b""
                continue
            self._ready.clear()
            batch, self._pending = b"".join(self._pending.values()), {}
            if batch:
                yield batch


class Hub:
    """Watches ``store`` for its readers; ``encode(key, value)`` makes what they receive."""

    def __init__(self, store: SignalStore, encode: Callable[[str, bytes], bytes]) -> None:
        self._store = store
        self._encode = encode
        self._topics: dict[str, _Topic] = {}

    def subscribe(self, keys: Iterable[str]) -> Subscription:
        """A mailbox for ``keys``; their current values come first. Give it back when done."""
        subscription = Subscription(frozenset(keys))
        self.attach(subscription, subscription.keys)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Give a mailbox back."""
        subscription.close()
        self.detach(subscription, subscription.keys)

    def attach(self, reader: Reader, keys: Iterable[str]) -> None:
        """Deliver ``keys`` to a reader from now on, first the values that are known already."""
        for key in keys:
            topic = self._topics.get(key)
            if topic is None:
                topic = self._topics[key] = _Topic()
                topic.task = asyncio.create_task(self._follow(key, topic))
            topic.readers.add(reader)
            if topic.latest is not None:
                reader.deliver(key, topic.latest)

    def detach(self, reader: Reader, keys: Iterable[str]) -> None:
        """Deliver no more; a key that nobody reads is no longer watched."""
        for key in keys:
            topic = self._topics.get(key)
            if topic is None:
                continue
            topic.readers.discard(reader)
            if not topic.readers:
                del self._topics[key]
                topic.stop()

    @property
    def watched(self) -> int:
        """How many keys are being watched."""
        return len(self._topics)

    async def close(self) -> None:
        """End every reader and every watch."""
        topics, self._topics = self._topics, {}
        for reader in {reader for topic in topics.values() for reader in topic.readers}:
            reader.close()
        for topic in topics.values():
            topic.stop()
        tasks = [topic.task for topic in topics.values() if topic.task]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, key: str, topic: "_Topic") -> None:
        while True:
            try:
                async for entry in self._store.watch(key):
                    if entry is not None:
                        topic.publish(key, self._encode(key, entry.value))
            except StoreError as error:
                log.warning("signal watch broke off", key=key, why=error.sentence)
            # Full jitter, so that a store that comes back is not met by all watches at once.
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311


class _Topic:
    __slots__ = ("latest", "readers", "task")

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.latest: bytes | None = None
        self.task: asyncio.Task[None] | None = None

    def publish(self, key: str, encoded: bytes) -> None:
        if encoded == self.latest:
            return
        self.latest = encoded
        for reader in tuple(self.readers):
            reader.deliver(key, encoded)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
