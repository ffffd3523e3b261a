"""Nodes: what was decided about each."""

from sqlalchemy import Connection, delete, insert, select, update

from headway.model.signal import NodeRecord
from headway.server.database.tables import nodes, reports


def add(connection: Connection, record: NodeRecord, version: str, now: float) -> None:
    """Record a node that enrols for the first time."""
    row = {"name": record.node, "enrolled_at": now, "version": version, "record": record}
    connection.execute(insert(nodes).values(row))


def put(connection: Connection, record: NodeRecord) -> None:
    """Replace what was decided about a node."""
    connection.execute(update(nodes).where(nodes.c.name == record.node).values(record=record))


def every(connection: Connection) -> tuple[NodeRecord, ...]:
    """All nodes, by name."""
    return tuple(connection.scalars(select(nodes.c.record).order_by(nodes.c.name)))


def forget(connection: Connection, name: str) -> None:
    """Remove a node and its reports."""
    connection.execute(delete(reports).where(reports.c.node == name))
    connection.execute(delete(nodes).where(nodes.c.name == name))
