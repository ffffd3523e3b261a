"""Fans the values of a signal store out to many readers, knowing nothing of their transport.

However many readers there are, each key is watched once and each value is encoded once. Keys of
which every reader has its own, as nodes have their records, are followed together: ten thousand of
them are one watch.

What a reader does with a value that it cannot pass on yet is its own affair, as long as it does
not wait: a ``Subscription`` has a mailbox with one place per key, so that a slow one skips values,
never falls behind, never fills memory.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

import structlog

from headway.errors import StoreError
from headway.model.signal import record_key
from headway.signals.port import Entry, SignalStore

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
    """Watches ``store`` for its readers; ``encode(key, value)`` makes what they receive.

    What is under ``together`` is followed as a whole, from the first reader of it on, or from
    ``start``; ``heard(key, value)`` is told of each new value there.
    """

    def __init__(
        self,
        store: SignalStore,
        encode: Callable[[str, bytes], bytes],
        heard: Callable[[str, bytes], None] = lambda key, value: None,
        together: str = record_key(""),
    ) -> None:
        self._store = store
        self._encode = encode
        self._heard = heard
        self._together = together
        self._topics: dict[str, _Topic] = {}
        self._values: dict[str, bytes] = {}
        self._following: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    async def start(self) -> None:
        """Follow what is followed together; returns once it is known, or cannot be read yet."""
        self._begin_to_follow()
        await self._settled.wait()

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
                if key.startswith(self._together):
                    self._begin_to_follow()
                else:
                    topic.task = asyncio.create_task(self._watch(key, topic))
            topic.readers.add(reader)
            if key in self._values:
                reader.deliver(key, self._encode(key, self._values[key]))
            elif topic.latest is not None:
                reader.deliver(key, topic.latest)

    def detach(self, reader: Reader, keys: Iterable[str]) -> None:
        """Deliver no more; a key that nobody reads is no longer watched for itself."""
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
        """How many watches of the store are held."""
        alone = sum(topic.task is not None for topic in self._topics.values())
        return alone + (self._following is not None)

    async def close(self) -> None:
        """End every reader and every watch."""
        topics, self._topics = self._topics, {}
        for reader in {reader for topic in topics.values() for reader in topic.readers}:
            reader.close()
        tasks = [topic.task for topic in topics.values() if topic.task]
        if self._following is not None:
            tasks.append(self._following)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, key: str, topic: "_Topic") -> None:
        while True:
            try:
                async for entry in self._store.watch(key):
                    if entry is not None:
                        topic.publish(key, self._encode(key, entry.value))
            except StoreError as error:
                log.warning("signal watch broke off", key=key, why=error.sentence)
            # Full jitter, so that a store that comes back is not met by all watches at once.
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311

    def _begin_to_follow(self) -> None:
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            try:
                whole = True
                async for batch in self._store.follow(self._together):
                    if whole:
                        for gone in self._values.keys() - batch.keys():
                            del self._values[gone]
                    self._take(batch)
                    self._settled.set()
                    whole = False
            except StoreError as error:
                log.warning("signal watch broke off", key=self._together, why=error.sentence)
            self._settled.set()
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311

    def _take(self, batch: dict[str, Entry | None]) -> None:
        for key, entry in batch.items():
            if entry is None:
                self._values.pop(key, None)
            elif entry.value != self._values.get(key):
                self._values[key] = entry.value
                self._heard(key, entry.value)
                topic = self._topics.get(key)
                if topic is not None:
                    topic.tell(key, self._encode(key, entry.value))


class _Topic:
    __slots__ = ("latest", "readers", "task")

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.latest: bytes | None = None
        self.task: asyncio.Task[None] | None = None

    def publish(self, key: str, encoded: bytes) -> None:
        if encoded != self.latest:
            self.latest = encoded
            self.tell(key, encoded)

    def tell(self, key: str, encoded: bytes) -> None:
        for reader in tuple(self.readers):
            reader.deliver(key, encoded)

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
