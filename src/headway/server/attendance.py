"""Hears the nodes that report in the signal store itself, where they are for as long as they live.

Each shard of the fleet is followed by itself, so that a change costs the reading of one shard at
most. A node that is there need not repeat itself: while its key stands and the store is in sight,
what it said last counts as said now.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec
import structlog

from headway.errors import HeadwayError, StoreError
from headway.model.access import Identity, Role
from headway.model.report import PRESENCE_SHARDS, Presence, presence_key, presence_shard
from headway.server.desk import ReportDesk
from headway.server.fleet import Fleet
from headway.server.roster import Roster
from headway.signals.port import Entry, SignalStore

RETRY_SECONDS = 2.0
VOUCH_SECONDS = 2.0
"""How often those who are present count as having said again what they said last."""

log = structlog.get_logger()


class Attendance:
    """Who is present in ``store``, and what they say."""

    def __init__(
        self,
        store: SignalStore,
        roster: Roster,
        desk: ReportDesk,
        fleet: Fleet,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._roster = roster
        self._desk = desk
        self._fleet = fleet
        self._clock = clock
        self._present: dict[str, Presence] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow every shard until ``close``."""
        shards = map(presence_shard, range(PRESENCE_SHARDS))
        self._tasks = [asyncio.create_task(self._follow(shard)) for shard in shards]
        self._tasks.append(asyncio.create_task(self._vouch()))

    async def close(self) -> None:
        """Hear nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, shard: str) -> None:
        while True:
            try:
                async for batch in self._store.follow(shard):
                    await asyncio.gather(*(self._hear(k, e) for k, e in batch.items()))
            except StoreError as error:
                log.warning("nodes in the signal store are out of sight", why=error.sentence)
            for key in [key for key in self._present if key.startswith(shard)]:
                del self._present[key]
            await asyncio.sleep(random.uniform(0, RETRY_SECONDS))  # noqa: S311

    async def _hear(self, key: str, entry: Entry | None) -> None:
        self._present.pop(key, None)
        if entry is None:
            return
        try:
            presence = msgspec.json.decode(entry.value, type=Presence)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("what stands at a node's place is not understood", key=key, why=str(error))
            return
        node = presence.enrolment.node
        if key != presence_key(node):
            log.warning("a node is not in its place", key=key, node=node)
            return
        self._present[key] = presence
        try:
            await self._roster.enrol(presence.enrolment)
            if presence.reports:
                await self._desk.hand_in(presence.reports, Identity(node, Role.NODE))
        except HeadwayError as error:
            log.warning("a node in the signal store is not heard", node=node, why=error.sentence)

    async def _vouch(self) -> None:
        while True:
            await asyncio.sleep(VOUCH_SECONDS)
            now = self._clock()
            for presence in self._present.values():
                for report in presence.reports:
                    self._fleet.vouch(report, now)
