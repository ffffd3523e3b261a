"""Takes in the reports of nodes: many at once, durable before they are acknowledged."""

import asyncio
from collections.abc import Callable, Sequence

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
    """Reports that arrive within a few milliseconds, or while others are written, share a
    transaction.

    ``heard`` is called with each report that is news. One that says nothing but that the node is
    still there is noted in memory: it could be lost without a loss. What a node
    says of damage to its trees goes into the journal when it appears and when it is gone.
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
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Know again what was handed in before the control plane was restarted."""
        for report, at in await self._database.read(table.every):
            record = self._fleet.record(report.node)
            if record is not None and report.app in record.seats:
                # On a clock that was set back since, nobody has been heard in the future.
                self._fleet.hear(report, min(at, self._clock()))

    async def hand_in(self, reports: Sequence[Report], caller: Identity) -> None:
        """Return when the reports are durable. Raises Denied, InvalidInput or Refused."""
        await asyncio.shield(self.take(reports, caller))

    def take(self, reports: Sequence[Report], caller: Identity) -> asyncio.Task[None]:
        """Take reports in; what is returned is shared, and done when they are durable.

        Raises Denied, InvalidInput or Refused.
        """
        if len(reports) > MAX_REPORTS:
            raise InvalidInput(f"{len(reports)} reports at once, {MAX_REPORTS} are allowed")
        for report in reports:
            self._check(report, caller)
        now = self._clock()
        for report in reports:
            key = report.node, report.app
            before = self._fleet.heard(*key)
            if self._fleet.hear(report, now):
                told = drift.news(before[0] if before else None, report)
                self._told += ((report, why) for why in told)
                if before is None or _says_more(report, before[0]):
                    self._waiting[key] = report, now
                self._heard(report)
        # Also a report that is no news waits: it may be on its way to the disk with another one.
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._commit_soon())
        return self._gathering

    async def close(self) -> None:
        """Make durable what was taken in, also for whoever no longer waits for it."""
        if self._gathering is not None:
            await asyncio.gather(self._gathering, return_exceptions=True)

    def _check(self, report: Report, caller: Identity) -> None:
        if report.node != caller.name:
            raise Denied(f"{caller.name} cannot report for {report.node}")
        record = self._fleet.record(report.node)
        if record is None or report.app not in record.seats:
            raise Refused(f"{report.node} is not enrolled for {report.app}; enrol first")

    async def _commit_soon(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        async with self._writing:
            batch, self._waiting, self._gathering = self._waiting, {}, None
            told, self._told = self._told, []
            if not batch:
                return
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


def _says_more(report: Report, before: Report) -> bool:
    """Whether a report differs from the one before in more than its number and its counters."""
    return (
        report.boot != before.boot
        or report.epoch != before.epoch
        or report.activity is not before.activity
        or report.running != before.running
        or report.prepared != before.prepared
        or report.why != before.why
        or report.error != before.error
        or report.output != before.output
        or report.failed != before.failed
        or report.inspection != before.inspection
        or report.serial != before.serial
    )
