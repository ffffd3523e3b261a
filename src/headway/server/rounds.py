"""Upkeep by the clock: at set hours every app's garbage is collected and its packs are merged."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import structlog

from headway.errors import HeadwayError
from headway.model.journal import HEADWAY
from headway.model.views import CollectRequest, RepackRequest
from headway.server import upkeep
from headway.server.config import UpkeepSettings
from headway.server.database import apps
from headway.server.plane import ControlPlane

LOOK_SECONDS = 30.0
"""How often the clock is looked at."""

_HOUR = 3600.0

log = structlog.get_logger()


class Rounds:
    """When a round is due, and what it does. A server that is away at that hour leaves it out."""

    def __init__(self, plane: ControlPlane, settings: UpkeepSettings) -> None:
        self._plane = plane
        self._settings = settings
        self._last: int | None = None

    async def look(self) -> bool:
        """Make a round if one is due; returns whether it was."""
        hour = int(self._plane.clock() // _HOUR)
        if hour == self._last or time.gmtime(hour * _HOUR).tm_hour not in self._settings.hours:
            return False
        self._last = hour
        for app in await self._plane.database.read(apps.every):
            await self._keep_up(app.name)
        return True

    async def _keep_up(self, app: str) -> None:
        """Collect first, for what is merged counts as new; its old packs go the next time."""
        ours = self._settings
        kept = CollectRequest(keep=ours.keep, days=ours.days)
        await self._tried(app, "gc", upkeep.collect_app(self._plane, app, kept, HEADWAY))
        few = RepackRequest(most=ours.packs)
        await self._tried(app, "repack", upkeep.repack_app(self._plane, app, few, HEADWAY))

    async def _tried(self, app: str, kind: str, work: Awaitable[object]) -> None:
        """What goes wrong with one app is told, and must not keep the round from the others."""
        try:
            await work
        except HeadwayError as error:
            why = f"upkeep of {app} was not done: {error.sentence}"
            log.warning("upkeep", app=app, why=error.sentence)
            await upkeep.record(self._plane, app, HEADWAY, kind, why)


@asynccontextmanager
async def rounds(plane: ControlPlane, settings: UpkeepSettings | None) -> AsyncIterator[None]:
    """Make rounds meanwhile, if there are settings for them."""
    task = asyncio.create_task(_run(Rounds(plane, settings))) if settings else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _run(ours: Rounds) -> None:
    while True:
        try:
            await ours.look()
        except Exception:
            log.exception("a defect in upkeep; the next round is tried all the same")
        await asyncio.sleep(LOOK_SECONDS)
