"""Headway itself as the commander: it cuts a release in each slot, deploys it, and opens gates.

It does what a person could do, by the same ways, and is refused by the same sentences. It never
lifts a hold, never signs off, never overrules, and never tries again what was taken back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from headway.core import schedule
from headway.core.green import held_by
from headway.core.next_step import next_action, standing
from headway.errors import HeadwayError
from headway.model.plan import AppConfig
from headway.model.release import Release
from headway.model.rollout import LIVE, Phase, Rollout
from headway.model.schedule import Schedule
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import apps, releases, rollouts, trains
from headway.server.database.connection import Database
from headway.server.engine import Engine
from headway.server.lookup import find_build
from headway.server.release_book import EARLIER
from headway.server.releases import Releases
from headway.server.situation import Situation, look
from headway.server.trips import barred

BOT = "headway-bot"
"""The actor of what it does."""

LOOK_SECONDS = 2.0
"""How often it looks at each app."""

FETCH_SECONDS = 60.0
"""How often it looks into a repository of which it has not heard."""

T = TypeVar("T")

log = structlog.get_logger()


class _Seen(Struct, frozen=True):
    """``driven``: people are aboard the app's train, and so it is theirs to go on."""

    known: Situation
    driven: bool
    newest: Release | None
    tried: tuple[Rollout, ...]


class Bot:
    """The commander of the apps whose schedule says so."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        desk: Releases,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._engine = engine
        self._desk = desk
        self._clock = clock
        self._fetched: dict[str, float] = {}
        self._heard = -1
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Drive from now on."""
        self._task = asyncio.create_task(self._drive())

    async def close(self) -> None:
        """Stop; people go on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self, app: str) -> str:
        """Do the next thing for an app, if there is one; what was done, or an empty string.

        Raises a HeadwayError where it is refused.
        """
        now = self._clock()
        seen = await self._database.read(lambda c: _see(c, app, now))
        known = seen.known
        plan = known.times.schedule
        if plan is None or not schedule.bot_drives(plan, now) or seen.driven:
            return ""
        if known.latest is not None and known.latest.phase in LIVE:
            return await self._open_gate(known, known.latest, now)
        steps = known.config.plans.get("default", ())
        tier = steps[0].tier if steps else ""
        if held_by(app, {tier}, known.holds) or known.bars(tier, now, hotfix=False, begins=True):
            return ""
        return await self._begin(app, seen, plan, now)

    async def _open_gate(self, known: Situation, state: Rollout, now: float) -> str:
        if state.phase is not Phase.WAITING:
            return ""
        fleet = self._engine.view(known, now)
        closed = barred(known, fleet, now)
        action, _, blockers = next_action(state, fleet, known.holds, state.verdicts, now, closed)
        if action != "advance" or blockers:
            return ""
        request = ActionRequest("the step is green", standing(state))
        await self._engine.act(state.id, "advance", request, BOT)
        return f"opens the next step of {state.id}"

    async def _begin(self, app: str, seen: _Seen, plan: Schedule, now: float) -> str:
        newest, live = seen.newest, seen.known.live_build
        is_new = newest is not None and newest.number > _number(seen)
        if newest is not None and is_new and newest.build != live:
            if newest.build is None:
                return ""
            build = await self._database.read(lambda c: find_build(c, app, newest.id))
            reason = f"{newest.id}, in its slot"
            rollout = await self._engine.deploy(
                app, build, DeployRequest(newest.id, reason=reason), BOT
            )
            return f"deploys {newest.id} as {rollout}"
        if seen.known.home is None or not self._is_due(app, now):
            return ""
        cut = await self._desk.cut_what_is_fit(app, plan.batch, BOT)
        return f"cuts {cut}" if cut else ""

    def _is_due(self, app: str, now: float) -> bool:
        """Whether to look into the app's repository: a forge has called, or it was long ago."""
        heard = self._desk.heard
        if heard != self._heard:
            self._heard = heard
            self._fetched.clear()
        if now - self._fetched.get(app, -FETCH_SECONDS) < FETCH_SECONDS:
            return False
        self._fetched[app] = now
        return True

    async def _drive(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            found: tuple[AppConfig, ...] = (
                await self._guarded(self._database.read(apps.every)) or ()
            )
            for app in found:
                done = await self._guarded(self.look(app.name))
                if done:
                    log.info("the bot", app=app.name, did=done)

    async def _guarded(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except HeadwayError as error:
            log.info("the bot waits", why=error.sentence)
        except Exception:
            log.exception("a defect in the bot; it looks again all the same")
        return None


def _see(connection: Connection, app: str, now: float) -> _Seen:
    train = trains.get(connection, app)
    return _Seen(
        known=look(connection, app, now, deep=True),
        driven=bool(train.order) and not (train.unled and train.run is None),
        newest=next(iter(releases.newest(connection, app, 1)), None),
        tried=rollouts.newest(connection, app, EARLIER),
    )


def _number(seen: _Seen) -> int:
    """The number of the last release that a rollout was begun for, whatever became of it."""
    prefix = f"{seen.known.config.name}-r"
    tried = (one.release.removeprefix(prefix) for one in seen.tried if one.release)
    return max((int(number) for number in tried if number.isdigit()), default=0)
