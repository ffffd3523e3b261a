"""A lease and its renewal, alike for every store."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable

from headway.errors import Conflict, LeaseLost, StoreError
from headway.signals.port import Lease

RENEWALS = 3
"""How often a lease is renewed within its time."""


class KeptLease:
    """Implements ``headway.signals.port.Lease``; belongs to one event loop.

    ``renew`` returns once the store has renewed it and raises LeaseLost when the store knows it
    no longer; any other StoreError is tried again while the time lasts. ``end`` ends it in the
    store. ``granted`` is ``now()`` from before the store was asked for the lease.
    """

    def __init__(
        self,
        name: str,
        ttl: float,
        granted: float,
        renew: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self.id = name
        self.ttl = ttl
        self._until = granted + ttl
        self._renew = renew
        self._end = end
        self._over = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())

    @property
    def lost(self) -> bool:
        """Whether it has ended, or was not renewed in time."""
        return self._over.is_set() or now() >= self._until

    def check(self) -> None:
        """Raise LeaseLost if it is lost."""
        if self.lost:
            raise LeaseLost("the lease has ended; stop acting under it and take another")

    async def ended(self) -> None:
        """Return once it is lost or released."""
        await self._over.wait()

    def lose(self) -> None:
        """Count it as lost from now on."""
        self._over.set()
        self._keeper.cancel()

    async def release(self) -> None:
        """End it in the store too, if that can be reached; else it runs out there."""
        known = not self._over.is_set()
        self.lose()
        await asyncio.gather(self._keeper, return_exceptions=True)
        if known:
            with contextlib.suppress(StoreError):
                await self._end()

    async def _keep(self) -> None:
        try:
            while not self.lost:
                await asyncio.sleep(min(self.ttl / RENEWALS, self._until - now()))
                asked = now()
                self.check()
                try:
                    async with asyncio.timeout(self._until - asked):
                        await self._renew()
                except LeaseLost:
                    raise
                except (StoreError, TimeoutError):
                    continue
                self._until = asked + self.ttl
        except LeaseLost:
            pass
        finally:
            self._over.set()


def now() -> float:
    """Seconds on a clock that nobody sets, and that runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LocalLeases:
    """The leases of a store that lives in this process, and which keys are bound to which."""

    def __init__(self, drop: Callable[[str], None]) -> None:
        self._drop = drop
        self._granted: dict[str, KeptLease] = {}
        self._ends: set[asyncio.Task[None]] = set()
        self._bound: dict[str, str] = {}

    def grant(self, ttl: float) -> KeptLease:
        """A lease that nothing but a pause of this process makes late."""
        lease = KeptLease(uuid.uuid4().hex, ttl, now(), renew=_nothing, end=_nothing)
        self._granted[lease.id] = lease
        ending = asyncio.create_task(self._end(lease))
        self._ends.add(ending)
        ending.add_done_callback(self._ends.discard)
        return lease

    def holds(self, key: str) -> bool:
        """Whether ``key`` is bound to a lease."""
        return key in self._bound

    def bind(self, key: str, lease: Lease | None, *, new: bool) -> None:
        """Let a write of ``key`` under ``lease`` through. Raises Conflict or LeaseLost."""
        if lease is not None:
            if lease.id not in self._granted:
                raise LeaseLost("the lease has ended; stop acting under it and take another")
            lease.check()
        name = lease.id if lease else None
        if not new and self._bound.get(key) != name:
            raise Conflict(f"{key} is bound to another lease, or to none")
        if name is not None:
            self._bound[key] = name

    async def close(self) -> None:
        """Release every lease."""
        for lease in list(self._granted.values()):
            await lease.release()
        await asyncio.gather(*self._ends)

    async def _end(self, lease: KeptLease) -> None:
        await lease.ended()
        del self._granted[lease.id]
        for key in [key for key, name in self._bound.items() if name == lease.id]:
            del self._bound[key]
            self._drop(key)


async def _nothing() -> None:
    """Nothing has to be told: the store is in this process."""
