"""When the engine looks: soon after something has happened, and now and then when nothing has."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from headway.errors import HeadwayError
from headway.server.database import apps
from headway.server.database.connection import Database
from headway.server.meters import Meters
from headway.server.roster import Roster
from headway.server.situation import under_way

PACE_SECONDS = 0.1
"""The shortest time between two observations; a report is noticed within it."""

IDLE_SECONDS = 1.0
"""The longest time between two observations of a rollout that is under way."""

LOOK_SECONDS = 2.0
"""How often the signal store is looked at, in case somebody else has written to it."""

Visit = Callable[[str], Awaitable[None]]
"""Does something for an app."""

T = TypeVar("T")

log = structlog.get_logger()


class Ticker:
    """Calls ``observe`` for each app that is under way, and ``look`` for all now and then."""

    def __init__(
        self, database: Database, roster: Roster, meters: Meters, observe: Visit, look: Visit
    ) -> None:
        self._database = database
        self._roster = roster
        self._meters = meters
        self._observe = observe
        self._look = look
        self._stirred = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Tick from now on."""
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._look_out())]

    async def close(self) -> None:
        """Tick no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stir(self) -> None:
        """Something has happened: observe as soon as the pace allows."""
        self._stirred.set()

    async def _tick(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                pass
            self._stirred.clear()
            with self._meters.ticks.time():
                await self._guarded(self._roster.catch_up())
                for app in await self._guarded(self._database.read(under_way)) or ():
                    await self._guarded(self._observe(app))
            await asyncio.sleep(PACE_SECONDS)

    async def _look_out(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for app in await self._guarded(self._database.read(apps.every)) or ():
                await self._guarded(self._look(app.name))

    async def _guarded(self, work: Awaitable[T]) -> T | None:
        """Do one thing of the ticker's; what goes wrong with it must not keep it from the rest."""
        try:
            return await work
        except HeadwayError as error:
            log.warning("cannot observe", why=error.sentence)
        except Exception:
            log.exception("cannot observe")
        return None
