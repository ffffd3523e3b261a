"""The signal store, with a watch in the hand: how long calls take, and which fail."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from time import perf_counter

from headway.errors import Conflict, StoreError
from headway.server.meters import Meters
from headway.signals.port import Entry, Lease, Revision, SignalStore


class MeteredStore:
    """Passes everything on to ``store``. That a compare-and-set loses is no error."""

    def __init__(self, store: SignalStore, meters: Meters) -> None:
        self._store = store
        self._meters = meters

    async def get(self, key: str) -> Entry | None:
        """As the store does."""
        with self._timed("get"):
            return await self._store.get(key)

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """As the store does."""
        with self._timed("put"):
            return await self._store.put(key, value, expect, lease)

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """As the store does."""
        return self._store.watch(key)

    async def list(self, prefix: str) -> dict[str, Entry]:
        """As the store does."""
        with self._timed("list"):
            return await self._store.list(prefix)

    def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """As the store does."""
        return self._store.follow(prefix)

    async def lease(self, ttl: float) -> Lease:
        """As the store does."""
        with self._timed("lease"):
            return await self._store.lease(ttl)

    async def health(self) -> str:
        """As the store does."""
        with self._timed("health"):
            return await self._store.health()

    async def close(self) -> None:
        """As the store does."""
        await self._store.close()

    @contextmanager
    def _timed(self, call: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        except Conflict:
            raise
        except StoreError as error:
            self._meters.store_errors.labels(call, error.code).inc()
            raise
        finally:
            self._meters.store.labels(call).observe(perf_counter() - began)
