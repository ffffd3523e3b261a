"""Writes decisions down, in one transaction with what belongs to them, and then tells of them."""

from collections.abc import Callable, Iterable

import structlog
from sqlalchemy import Connection

from headway.server.database import outbox
from headway.server.database.connection import Database
from headway.server.decisions import Step, record
from headway.server.meters import Meters
from headway.server.news import News

Along = Callable[[Connection], None]
"""Writes, in the transaction of a decision, what was decided with it."""

log = structlog.get_logger()


class Recorder:
    """The steps of every rollout, as the database, the log, the meters and open pages get them."""

    def __init__(
        self, database: Database, news: News, meters: Meters, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._news = news
        self._meters = meters
        self._clock = clock

    async def record(
        self, steps: list[Step], void: Iterable[int] = (), along: Along | None = None
    ) -> None:
        """Write steps down; the effects ``void`` are done with."""
        now = self._clock()

        def write(connection: Connection) -> None:
            for effect in void:
                outbox.done(connection, effect, now)
            for step in steps:
                record(connection, step, now)
            if along is not None:
                along(connection)

        await self._database.write(write)
        self._news.journal_grew()
        for step in steps:
            state = step.decision.state
            log.info(step.kind, app=state.app, rollout=state.id, why=step.decision.why)
            self._meters.decided(step, now)
            self._news.fleet_moved(state.app)
