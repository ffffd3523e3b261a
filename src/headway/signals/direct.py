"""A node's link to the signal store itself, without a hub between.

The node watches its signals and its record, and says what it does in one key of its own, under a
lease: the key is there for as long as the node is, and is written only when there is news.
"""

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from headway.errors import (
    Conflict,
    Denied,
    HeadwayError,
    Indeterminate,
    LeaseLost,
    StoreDenied,
    StoreError,
    Unavailable,
    Unreachable,
)
from headway.model.report import Enrolment, Presence, Report, presence_key
from headway.model.signal import record_key, signal_key
from headway.signals.memory import MAX_VALUE_BYTES
from headway.signals.port import Lease, Revision, SignalStore, Update
from headway.signals.stores import open_store

TTL = 10.0
"""How long the node counts as present after it fell silent; Consul may double it."""

_RETRY_FIRST = 0.5
_RETRY_LAST = 30.0

T = TypeVar("T")


class DirectLink:
    """Implements ``headway.signals.port.Link`` over the store at ``url``.

    Raises InvalidInput for a URL, file or library that does not serve.
    """

    def __init__(self, url: str, node: str) -> None:
        self._node = node
        self._updates: SimpleQueue[Update | None] = SimpleQueue()
        self._closed = False
        self._enrolment: Enrolment | None = None
        self._reports: tuple[Report, ...] = ()
        self._saying = asyncio.Lock()
        self._said: Presence | None = None
        self._lease: Lease | None = None
        self._revision: Revision | None = None
        self._following: list[asyncio.Task[None]] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._serve, name="store", daemon=True).start()
        try:
            self._store: SignalStore = self._run(_opened(url))
        except HeadwayError:
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise

    def enrol(self, enrolment: Enrolment) -> None:
        """Present the node; the control plane answers with its record."""
        self._enrolment = enrolment
        self._run(self._say())

    def report(self, reports: tuple[Report, ...]) -> None:
        """Say what is new. Once the link is closed, the last word is that the node has gone."""
        if self._closed:
            if not self._loop.is_closed():
                self._run(self._leave())
                self._loop.call_soon_threadsafe(self._loop.stop)
            return
        self._reports = reports
        self._run(self._say())

    def watch(self, apps: tuple[str, ...]) -> Iterator[Update]:
        """Updates for ever; ends when the link is closed."""
        keys = (record_key(self._node), *map(signal_key, apps))
        self._run(self._begin(keys))
        while (update := self._updates.get()) is not None:
            yield update

    def close(self) -> None:
        """End the watch; a last report may still be handed in."""
        self._closed = True
        self._updates.put(None)

    async def _begin(self, keys: tuple[str, ...]) -> None:
        self._following = [asyncio.create_task(self._follow(key)) for key in keys]

    async def _follow(self, key: str) -> None:
        failures = 0
        while True:
            try:
                async for entry in self._store.watch(key):
                    if failures or entry is None:
                        self._updates.put(Update("", b""))
                    failures = 0
                    if entry is not None:
                        self._updates.put(Update(key, entry.value))
            except StoreError as error:
                self._updates.put(Update("", b"", connected=False, why=error.sentence))
            failures = min(failures + 1, 10)
            # Full jitter: a store that comes back is not met by the whole fleet at once.
            most = min(_RETRY_LAST, _RETRY_FIRST * 2**failures)
            await asyncio.sleep(random.uniform(0, most))  # noqa: S311

    async def _say(self) -> None:
        """Write the node's key if there is news."""
        async with self._saying:
            if self._enrolment is None:
                raise Unavailable(f"{self._node} has not been enrolled yet")
            if self._lease is None or self._lease.lost:
                self._lease, self._revision, self._said = await self._store.lease(TTL), None, None
            presence = Presence(self._enrolment, self._reports, self._lease.id)
            if _timeless(presence) == self._said:
                return
            self._revision = await self._put(_encoded(presence))
            self._said = _timeless(presence)

    async def _put(self, value: bytes) -> Revision:
        key = presence_key(self._node)
        for _ in range(2):
            try:
                return await self._store.put(key, value, self._revision, self._lease)
            except LeaseLost:
                self._lease = None
                raise
            except (Conflict, Indeterminate):
                entry = await self._store.get(key)
                if entry is not None and entry.value == value:
                    return entry.revision
                self._revision = entry.revision if entry else None
        # An agent of this node that was killed has it still; its key ends with its lease.
        raise Unavailable(f"{self._node}'s place in the store is not free yet")

    async def _leave(self) -> None:
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._store.close()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except StoreDenied as error:
            raise Denied(error.sentence) from None
        except StoreError as error:
            raise Unreachable(error.sentence) from None


async def _opened(url: str) -> SignalStore:
    return open_store(url)


def _encoded(presence: Presence) -> bytes:
    value = msgspec.json.encode(presence)
    if len(value) <= MAX_VALUE_BYTES:
        return value
    # Many apps have failed at once, each with its last lines; the log has them too.
    reports = (structs.replace(report, output="") for report in presence.reports)
    return msgspec.json.encode(structs.replace(presence, reports=tuple(reports)))


def _timeless(presence: Presence) -> Presence:
    """Without what changes although nothing has happened."""
    reports = (structs.replace(report, seq=0, at=0.0) for report in presence.reports)
    return structs.replace(presence, reports=tuple(reports))
