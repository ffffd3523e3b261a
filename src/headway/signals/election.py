"""Electing one leader over any signal store, with a fence that tells an old leader from a new one.

Two keys per election: ``leader`` is held under the candidate's lease, ``fence`` counts the terms.
A lease alone is never enough: its holder may be paused, and wake up after it has ended. So each
leader has a number higher than that of every leader before it, and whoever is told something by a
leader refuses a number that it has passed.
"""

import asyncio
from contextlib import aclosing

from msgspec import Struct

from headway.errors import Conflict, Indeterminate, LeaseLost
from headway.signals.port import Entry, Lease, SignalStore


class Leadership(Struct, frozen=True):
    """Being the leader of ``name`` for as long as ``lease`` lasts.

    ``fence`` is higher than that of every leader before. To look at the lease is no proof of
    leading still by the time a word arrives: send the fence along.
    """

    name: str
    fence: int
    lease: Lease


async def elect(store: SignalStore, name: str, lease: Lease) -> Leadership:
    """Wait until nobody else leads ``name``, then lead.

    Raises LeaseLost when the lease ends before that, Unavailable or StoreDenied.
    """
    winning = asyncio.create_task(_win(store, name, lease))
    ending = asyncio.create_task(lease.ended())
    try:
        await asyncio.wait((winning, ending), return_when=asyncio.FIRST_COMPLETED)
        if winning.done():
            return winning.result()
        raise LeaseLost(f"the lease ended before its holder could lead {name}; take another")
    finally:
        winning.cancel()
        ending.cancel()
        await asyncio.gather(winning, ending, return_exceptions=True)


async def _win(store: SignalStore, name: str, lease: Lease) -> Leadership:
    place, claim = f"elections/{name}/leader", lease.id.encode()
    while True:
        if await _vacant_or(claim, store, place) is None:
            try:
                await store.put(place, claim, None, lease)
            except (Conflict, Indeterminate):
                continue
        fence = await _next_term(store, f"elections/{name}/fence")
        # Whoever was paused between the two writes may hold a higher number than the rightful
        # leader: it no longer finds itself in the leader's place, and its number is never used.
        entry = await store.get(place)
        if entry is not None and entry.value == claim:
            lease.check()
            return Leadership(name, fence, lease)


async def _vacant_or(claim: bytes, store: SignalStore, place: str) -> Entry | None:
    """Wait for the leader's place to be empty (None) or to hold ``claim``."""
    async with aclosing(store.watch(place)) as entries:
        async for entry in entries:
            if entry is None or entry.value == claim:
                return entry
    raise LeaseLost("the signal store was closed while waiting to lead")


async def _next_term(store: SignalStore, counter: str) -> int:
    while True:
        entry = await store.get(counter)
        term = int(entry.value) + 1 if entry else 1
        try:
            await store.put(counter, b"%d" % term, entry.revision if entry else None)
        except (Conflict, Indeterminate):
            continue
        return term
