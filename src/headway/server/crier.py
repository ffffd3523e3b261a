"""Sends out what is announced: each piece to each place that wants it, until it has arrived.

Announcements are written in the transaction that decides them. What a place does not take is tried
again, later and later, for a day; then it is dead, and a person may send it again. Each place is
served by itself: one that is slow, or does not answer, keeps no other waiting, and is left in peace
for a while, also with everything else that is for it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from urllib.parse import quote

import structlog
from msgspec import structs
from sqlalchemy import Connection

from headway.announce.port import Announcer
from headway.errors import Busy, Denied, HeadwayError, Unreachable
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

PEACE = 30.0
"""The longest time, in seconds, for which a place that did not answer hears nothing at all; one
that asks for patience names the time itself."""

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
        self._in_peace: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def places(self) -> tuple[str, ...]:
        """The names of all places."""
        return tuple(self._announcers)

    def start(self) -> None:
        """Begin to send."""
        works: list[Callable[[], Awaitable[None]]] = [self._spread_all]
        works += [partial(self._serve, place) for place in self._announcers]
        self._tasks = [asyncio.create_task(self._again(work)) for work in works]

    async def close(self) -> None:
        """Stop; what has not arrived is sent after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for announcer in self._announcers.values():
            await announcer.close()

    async def round(self) -> None:
        """Send what is due, to every place."""
        await self._spread_all()
        await asyncio.gather(*map(self._serve, self._announcers))

    async def _spread_all(self) -> None:
        """Put what is new on its way; give up what is for places that are gone."""
        now = self._clock()
        if await self._database.read(announcements.fresh):
            await self._database.write(lambda c: self._spread(c, now))
        for delivery in await self._database.read(
            lambda c: announcements.astray(c, self._announcers, AT_ONCE)
        ):
            await self._failed(
                delivery, f"{delivery.to} is not configured any more", now, dead=True
            )

    def _spread(self, connection: Connection, now: float) -> None:
        for announcement in announcements.fresh(connection):
            linked = structs.replace(announcement, link=self._link(announcement))
            targets = [name for name, one in self._announcers.items() if one.wants(linked)]
            announcements.spread(connection, linked, targets, now)
        announcements.forget(connection, now - KEPT)

    async def _serve(self, place: str) -> None:
        """Send a place what is due, until it does not answer."""
        now = self._clock()
        if now < self._in_peace.get(place, now):
            return
        due = await self._database.read(lambda c: announcements.due(c, place, now, AT_ONCE))
        for delivery in due:
            if not await self._send(delivery, self._announcers[place]):
                return

    async def _send(self, delivery: Delivery, announcer: Announcer) -> bool:
        """Try once; whether the place has taken it, or never will."""
        try:
            await announcer.announce(delivery.announcement)
        except (Unreachable, Denied) as error:
            # A secret that has lapsed is replaced some day, and then everything is to arrive.
            await self._later(delivery, error.sentence, error)
            return False
        except HeadwayError as error:
            await self._failed(delivery, error.sentence, self._clock(), dead=True)
            return True
        except Exception as error:
            log.exception("a defect in telling a place", to=delivery.to)
            await self._later(delivery, "a defect in Headway; its log tells more", error)
            return False
        self._count(delivery, "arrived")
        await self._database.write(lambda c: announcements.delivered(c, delivery.id))
        return True

    async def _later(self, delivery: Delivery, sentence: str, error: Exception) -> None:
        now = self._clock()
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0**delivery.tries) * random.uniform(0.5, 1.0)  # noqa: S311
        peace = min(wait, PEACE)
        if isinstance(error, Busy):
            asked = min(LONGEST_WAIT, error.after)
            wait, peace = max(wait, asked), max(peace, asked)
        self._in_peace[delivery.to] = now + peace
        late = now + wait > delivery.announcement.at + GIVE_UP_AFTER
        await self._failed(delivery, sentence, now + wait, dead=late)

    async def _failed(self, delivery: Delivery, error: str, next_at: float, *, dead: bool) -> None:
        log.warning("announcement has not arrived", to=delivery.to, why=error, dead=dead)
        self._count(delivery, "given up" if dead else "failed")
        await self._database.write(
            lambda c: announcements.failed(c, delivery, error, next_at, dead)
        )

    def _count(self, delivery: Delivery, result: str) -> None:
        self._meters.announced.labels(delivery.to, result).inc()

    def _link(self, announcement: Announcement) -> str:
        """A metric leads to its graph, a rollout to its history, all else to the app."""
        page = f"{self._url}/apps/{quote(announcement.app)}"
        if announcement.rollout and announcement.metric:
            return f"{page}/guard/{quote(announcement.rollout)}#{quote(announcement.metric)}"
        return page + (f"/history/{quote(announcement.rollout)}" if announcement.rollout else "")

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except HeadwayError as error:
                log.warning("announcements wait", why=error.sentence)
            except Exception:
                log.exception("a defect in the crier; it goes on all the same")
            await asyncio.sleep(LOOK_SECONDS)
