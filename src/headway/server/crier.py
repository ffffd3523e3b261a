"""Sends out what is announced: each piece to each place that wants it, until it has arrived.

Announcements are written in the transaction that decides them. What a place does not take is tried
again, later and later, for a day; then it is dead, and a person may send it again.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from urllib.parse import quote

import structlog
from msgspec import structs
from sqlalchemy import Connection

from headway.announce.port import Announcer
from headway.errors import Busy, HeadwayError, Unreachable
from headway.model.announcement import Announcement, Delivery
from headway.server.database import announcements
from headway.server.database.connection import Database
from headway.server.meters import Meters

FIRST_WAIT = 2.0
LONGEST_WAIT = 3600.0
GIVE_UP_AFTER = 86_400.0
"""Seconds after which a place is not tried any more."""

KEPT = 30 * 86_400.0
"""Seconds for which announcements are kept."""

LOOK_SECONDS = 1.0
AT_ONCE = 20

log = structlog.get_logger()


class Crier:
    """``public_url`` is where people reach the cockpit; links lead there."""

    def __init__(
        self,
        database: Database,
        announcers: Sequence[Announcer],
        public_url: str,
        clock: Callable[[], float],
        meters: Meters | None = None,
    ) -> None:
        self._database = database
        self._announcers = {announcer.name: announcer for announcer in announcers}
        self._url = public_url.rstrip("/")
        self._clock = clock
        self._meters = meters or Meters()
        self._task: asyncio.Task[None] | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The names of all places."""
        return tuple(self._announcers)

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what has not arrived is sent after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for announcer in self._announcers.values():
            await announcer.close()

    async def round(self) -> None:
        """Send what is due. One place that does not answer keeps no other waiting."""
        now = self._clock()
        if await self._database.read(announcements.fresh):
            await self._database.write(lambda c: self._spread(c, now))
        if not self._announcers:
            return
        due = await self._database.read(lambda c: announcements.due(c, now, AT_ONCE))
        places = {delivery.to for delivery in due}
        await asyncio.gather(*(self._serve([d for d in due if d.to == to]) for to in places))

    def _spread(self, connection: Connection, now: float) -> None:
        for announcement in announcements.fresh(connection):
            linked = structs.replace(announcement, link=self._link(announcement))
            targets = [name for name, one in self._announcers.items() if one.wants(linked)]
            announcements.spread(connection, linked, targets, now)
        announcements.forget(connection, now - KEPT)

    async def _serve(self, due: list[Delivery]) -> None:
        for delivery in due:
            if not await self._send(delivery):
                return

    async def _send(self, delivery: Delivery) -> bool:
        """Try once; whether the place answered at all."""
        announcer = self._announcers.get(delivery.to)
        now = self._clock()
        if announcer is None:
            told = f"{delivery.to} is not configured any more"
            await self._failed(delivery, told, now, dead=True)
            return True
        try:
            await announcer.announce(delivery.announcement)
        except Unreachable as error:
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0**delivery.tries) * random.uniform(0.5, 1.0)  # noqa: S311
            if isinstance(error, Busy):
                wait = max(wait, min(LONGEST_WAIT, error.after))
            late = now + wait > delivery.announcement.at + GIVE_UP_AFTER
            await self._failed(delivery, error.sentence, now + wait, dead=late)
            return False
        except HeadwayError as error:
            await self._failed(delivery, error.sentence, now, dead=True)
            return True
        self._count(delivery, "arrived")
        await self._database.write(lambda c: announcements.delivered(c, delivery.id))
        return True

    async def _failed(self, delivery: Delivery, error: str, next_at: float, *, dead: bool) -> None:
        log.warning("announcement has not arrived", to=delivery.to, why=error, dead=dead)
        self._count(delivery, "given up" if dead else "failed")
        await self._database.write(
            lambda c: announcements.failed(c, delivery, error, next_at, dead)
        )

    def _count(self, delivery: Delivery, result: str) -> None:
        self._meters.announced.labels(delivery.to, result).inc()

    def _link(self, announcement: Announcement) -> str:
        page = f"{self._url}/apps/{quote(announcement.app)}"
        if announcement.rollout:
            page += f"/guard/{quote(announcement.rollout)}"
        return page + (f"#{quote(announcement.metric)}" if announcement.metric else "")

    async def _run(self) -> None:
        while True:
            try:
                await self.round()
            except HeadwayError as error:
                log.warning("announcements wait", why=error.sentence)
            except Exception:
                log.exception("a defect in the crier; it goes on all the same")
            await asyncio.sleep(LOOK_SECONDS)
