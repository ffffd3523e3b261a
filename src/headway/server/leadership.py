"""Which of the control planes on one signal store acts: the one that holds the lease.

Two may be started on one store by mistake, or on purpose, for when the first one dies. Each has
its own database, so only one may decide. A lease alone does not keep a paused one from waking up
and writing: it is asked for between the reading and the compare-and-set of every write, and a new
leader first writes each signal again as it is, so that nothing read before it led can be replaced.
"""

import asyncio
import contextlib
import random
import time

import msgspec
import structlog
from msgspec import Struct

from headway.errors import Conflict, StoreError
from headway.model.signal import signal_key
from headway.signals.election import Leadership, elect
from headway.signals.port import SignalStore

ELECTION = "control"
LEASE_SECONDS = 10.0
"""How long a leader that has died is waited for; Consul may take twice as long."""
RETRY_SECONDS = 1.0

_PLACE = f"elections/{ELECTION}/leader"
_WHO = f"elections/{ELECTION}/who"

log = structlog.get_logger()


class Leader(Struct, frozen=True):
    """Who leads, as it says itself: ``place`` is its host and where it listens."""

    place: str
    since: float


class Leading:
    """Being the one that acts. Made by ``lead``."""

    def __init__(self, store: SignalStore, leadership: Leadership, place: str) -> None:
        self._store = store
        self._place = place
        self._leadership = leadership
        self._tasks = [asyncio.create_task(self._introduce()), asyncio.create_task(self._keep())]

    @property
    def fence(self) -> int:
        """The number of this term; higher than that of every one before."""
        return self._leadership.fence

    def check(self) -> None:
        """Raise LeaseLost while it is not certain that nobody else leads."""
        self._leadership.lease.check()

    async def deposed(self) -> None:
        """Return when another one has led; what is known here is out of date then."""
        await asyncio.shield(self._tasks[-1])

    async def close(self) -> None:
        """Let another one lead at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leadership.lease.release()

    async def _keep(self) -> None:
        """While the store is away the lease runs out; lead on if nobody else has led by then."""
        while True:
            await self._leadership.lease.ended()
            log.warning("the lease has ended; nothing is written until it is certain who leads")
            leadership = await self._again()
            if leadership is None:
                return
            self._leadership = leadership
            self._tasks.insert(0, asyncio.create_task(self._introduce()))
            log.info("leading again", fence=leadership.fence)

    async def _again(self) -> Leadership | None:
        last = self._leadership
        while True:
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311
            try:
                entry = await self._store.get(_PLACE)
                if entry is not None:
                    if entry.value != last.lease.id.encode():
                        return None
                    continue
                async with asyncio.timeout(LEASE_SECONDS):
                    leadership = await _elected(self._store)
            except (StoreError, TimeoutError):
                continue
            if leadership.fence == last.fence + 1:
                return leadership
            await leadership.lease.release()
            return None

    async def _introduce(self) -> None:
        """Say who leads, for those who stand by. What the last leader said goes with its lease."""
        value = msgspec.json.encode(Leader(self._place, time.time()))
        while True:
            with contextlib.suppress(StoreError):
                entry = await self._store.get(_WHO)
                if entry is None:
                    await self._store.put(_WHO, value, None, self._leadership.lease)
                elif entry.value == value:
                    return
            await asyncio.sleep(RETRY_SECONDS)


async def lead(store: SignalStore, place: str) -> Leading:
    """Wait until nobody else leads, for as long as it takes, and for the store if it is away."""
    while True:
        try:
            leadership = await _elected(store)
            try:
                await _fence_off(store)
                leadership.lease.check()
            except BaseException:
                await leadership.lease.release()
                raise
        except StoreError as error:
            log.warning("cannot lead yet", why=error.sentence)
            await asyncio.sleep(random.uniform(0, 2 * RETRY_SECONDS))  # noqa: S311
            continue
        log.info("leading", fence=leadership.fence)
        return Leading(store, leadership, place)


async def leader(store: SignalStore) -> str:
    """Who leads, as a sentence for whoever asks one that stands by."""
    try:
        entry = await store.get(_WHO)
        found = msgspec.json.decode(entry.value, type=Leader) if entry else None
    except StoreError as error:
        return f"this control plane stands by, and cannot see who leads: {error.sentence}"
    except msgspec.MsgspecError:
        found = None
    who = f"{found.place} leads" if found else "nobody leads yet"
    return (
        f"{who}; this control plane stands by: it does nothing, and takes over when the leader's"
        " lease ends"
    )


async def _elected(store: SignalStore) -> Leadership:
    lease = await store.lease(LEASE_SECONDS)
    try:
        return await elect(store, ELECTION, lease)
    except BaseException:
        await lease.release()
        raise


async def _fence_off(store: SignalStore) -> None:
    """Write every signal again as it is: a write that was begun before this one leads must lose."""
    for key, entry in (await store.list(signal_key(""))).items():
        with contextlib.suppress(Conflict):
            await store.put(key, entry.value, entry.revision)
