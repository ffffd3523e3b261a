"""Runs what was decided. Every effect may run twice, and has its result only once."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog
from sqlalchemy import Connection

from headway.errors import StoreError
from headway.model.announcement import Occasion
from headway.model.journal import HEADWAY
from headway.model.rollout import Alert, RunSmoke, SmokeTested, WriteSignal
from headway.server.database import announcements, apps, journal, outbox, rollouts
from headway.server.database.connection import Database
from headway.server.database.outbox import Pending
from headway.server.news import News
from headway.server.publisher import Publisher
from headway.server.smoke import smoke_test

log = structlog.get_logger()

SmokeDone = Callable[[Pending, SmokeTested], Awaitable[None]]


class Effects:
    """The outbox of every app; ``smoke_done`` is called with the result of a smoke test."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        news: News,
        clock: Callable[[], float],
        smoke_done: SmokeDone,
        smoke_programs: Collection[str] = (),
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._news = news
        self._clock = clock
        self._smoke_done = smoke_done
        self._programs = smoke_programs
        self._smoking: dict[int, asyncio.Task[None]] = {}
        self._trouble: dict[str, str] = {}

    def trouble(self, app: str) -> str:
        """Why an effect of the app is waiting, or an empty string."""
        return self._trouble.get(app, "")

    async def run(self, app: str) -> None:
        """Run what is pending, in order; the caller sees to it that one runs at a time.

        What the signal store does not take stays pending, and so does all that comes after it.
        """
        self._trouble.pop(app, None)
        for pending in await self._database.read(lambda c: outbox.pending(c, app)):
            try:
                await self._run(pending)
            except StoreError as error:
                self._trouble[app] = f"the signal is not written yet: {error.sentence}"
                log.warning("effect waits", app=app, why=error.sentence)
                return

    async def close(self) -> None:
        """Stop smoke tests; they begin again with the next start."""
        for task in self._smoking.values():
            task.cancel()
        await asyncio.gather(*self._smoking.values(), return_exceptions=True)

    async def _run(self, pending: Pending) -> None:
        match pending.effect:
            case WriteSignal(signal=signal):
                await self._publisher.put_signal(signal)
                await self._database.write(lambda c: outbox.done(c, pending.id, self._clock()))
            case Alert() as alert:
                await self._database.write(lambda c: self._alert(c, pending, alert))
                self._news.journal_grew()
            case RunSmoke() as smoke if pending.id not in self._smoking:
                task = asyncio.create_task(self._smoke(pending, smoke))
                self._smoking[pending.id] = task
                task.add_done_callback(lambda _: self._smoking.pop(pending.id, None))

    def _alert(self, connection: Connection, pending: Pending, alert: Alert) -> None:
        now = self._clock()
        announcements.add(
            connection,
            at=now,
            occasion=Occasion.ALERT,
            app=pending.app,
            sentence=alert.sentence,
            rollout=pending.rollout,
            metric=alert.metric,
        )
        journal.append(
            connection,
            at=now,
            app=pending.app,
            rollout=pending.rollout,
            actor=HEADWAY,
            kind="alert",
            why=alert.sentence,
        )
        outbox.done(connection, pending.id, now)

    async def _smoke(self, pending: Pending, effect: RunSmoke) -> None:
        config = await self._database.read(lambda c: apps.get(c, pending.app))
        state = await self._database.read(lambda c: rollouts.get(c, effect.rollout))
        told = {"HEADWAY_APP": pending.app, "HEADWAY_ROLLOUT": effect.rollout}
        if state is not None:
            told |= {"HEADWAY_BUILD": state.target, "HEADWAY_TIER": state.plan[effect.step].tier}
        result = await smoke_test(config.smoke if config else (), self._programs, told)
        log.info("smoke test", app=pending.app, passed=result.passed, why=result.sentence)
        event = SmokeTested(effect.step, result.passed, result.sentence, result.findings)
        await self._smoke_done(pending, event)
