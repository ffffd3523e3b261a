"""Takes in the reports of nodes: many at once, durable before they are acknowledged."""

import asyncio
from collections.abc import Callable

from sqlalchemy import Connection

from headway.core import drift
from headway.errors import Denied, InvalidInput, Refused, StorageFailed
from headway.model.access import Identity
from headway.model.report import Report
from headway.server.database import journal
from headway.server.database import reports as table
from headway.server.database.connection import Database
from headway.server.fleet import Fleet
from headway.server.news import News

GATHER_SECONDS = 0.01
MAX_REPORTS = 64


class ReportDesk:
    """Reports that arrive within a few milliseconds share one transaction.

    ``heard`` is called with each report that is news. What a node says of damage to its trees
    goes into the journal when it appears and when it is gone.
    """

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        heard: Callable[[Report], None],
        news: News,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._heard = heard
        self._news = news
        self._clock = clock
        self._waiting: dict[tuple[str, str], tuple[Report, float]] = {}
        self._told: list[tuple[Report, str]] = []
        self._gathering: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Know again what was handed in before the control plane was restarted."""
        for report, at in await self._database.read(table.every):
            record = self._fleet.record(report.node)
            if record is not None and report.app in record.seats:
                self._fleet.hear(report, at)

    async def hand_in(self, reports: tuple[Report, ...], caller: Identity) -> None:
        """Return when the reports are durable. Raises Denied, InvalidInput or Refused."""
        if len(reports) > MAX_REPORTS:
            raise InvalidInput(f"{len(reports)} reports at once, {MAX_REPORTS} are allowed")
        for report in reports:
            self._check(report, caller)
        now = self._clock()
        for report in reports:
            before = self._fleet.heard(report.node, report.app)
            if self._fleet.hear(report, now):
                told = drift.news(before[0] if before else None, report)
                self._told += ((report, why) for why in told)
                self._waiting[report.node, report.app] = report, now
                self._heard(report)
        # Also a report that is no news waits: it may be on its way to the disk with another one.
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._commit_soon())
        await asyncio.shield(self._gathering)

    def _check(self, report: Report, caller: Identity) -> None:
        if report.node != caller.name:
            raise Denied(f"{caller.name} cannot report for {report.node}")
        record = self._fleet.record(report.node)
        if record is None or report.app not in record.seats:
            raise Refused(f"{report.node} is not enrolled for {report.app}; enrol first")

    async def _commit_soon(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        batch, self._waiting, self._gathering = self._waiting, {}, None
        told, self._told = self._told, []
        now = self._clock()

        def write(connection: Connection) -> None:
            table.put(connection, batch.values())
            for report, why in told:
                journal.append(
                    connection, at=now, app=report.app, actor=report.node, kind="drift", why=why
                )

        try:
            await self._database.write(write)
        except StorageFailed:
            self._waiting = batch | self._waiting
            self._told = told + self._told
            raise
        if told:
            self._news.journal_grew()
