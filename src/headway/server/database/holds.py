"""Holds in force."""

from sqlalchemy import Connection, delete, insert, select

from headway.model.hold import Hold
from headway.server.database.tables import holds


def add(connection: Connection, hold: Hold) -> None:
    """Place a hold; placing the same one again changes nothing."""
    if get(connection, hold.id) is None:
        connection.execute(insert(holds).values(id=hold.id, hold=hold, at=hold.at))


def get(connection: Connection, hold: str) -> Hold | None:
    """A hold, or None."""
    found: Hold | None = connection.scalar(select(holds.c.hold).where(holds.c.id == hold))
    return found


def every(connection: Connection) -> tuple[Hold, ...]:
    """All holds that were not lifted, oldest first; some may have lapsed."""
    return tuple(connection.scalars(select(holds.c.hold).order_by(holds.c.at, holds.c.id)))


def lift(connection: Connection, hold: str) -> None:
    """Remove a hold."""
    connection.execute(delete(holds).where(holds.c.id == hold))
