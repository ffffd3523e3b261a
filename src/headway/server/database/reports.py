"""The last report of each node about each app."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select

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
    keys = [{"of_node": row["node"], "of_app": row["app"]} for row in rows]
    mine = (reports.c.node == bindparam("of_node")) & (reports.c.app == bindparam("of_app"))
    connection.execute(delete(reports).where(mine), keys)
    connection.execute(insert(reports), rows)


def every(connection: Connection) -> tuple[tuple[Report, float], ...]:
    """All last reports, each with the time at which it was received."""
    rows = connection.execute(select(reports.c.report, reports.c.received_at))
    return tuple((row.report, row.received_at) for row in rows)
