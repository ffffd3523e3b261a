"""The last report of each node about each app."""

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from headway.model.report import Report
from headway.server.database.tables import reports


def put(connection: Connection, received: Iterable[tuple[Report, float]]) -> None:
    """Replace the last report of each node and app; with each, when it was received."""
    rows = [
        {"node": report.node, "app": report.app, "received_at": at, "report": report}
        for report, at in received
    ]
    if not rows:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    into = insert(reports)
    news = {"received_at": into.excluded.received_at, "report": into.excluded.report}
    connection.execute(into.on_conflict_do_update(index_elements=["node", "app"], set_=news), rows)


def every(connection: Connection) -> tuple[tuple[Report, float], ...]:
    """All last reports, each with the time at which it was received."""
    rows = connection.execute(select(reports.c.report, reports.c.received_at))
    return tuple((row.report, row.received_at) for row in rows)
