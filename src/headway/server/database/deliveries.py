"""Messages from forges that have been heard, so that each counts once."""

from sqlalchemy import Connection, delete, insert, select

from headway.server.database.tables import deliveries

KEPT_SECONDS = 90 * 86400.0
"""How long a message is remembered."""


def is_new(connection: Connection, mark: str, now: float) -> bool:
    """Remember a message; False when it was heard before."""
    connection.execute(delete(deliveries).where(deliveries.c.at < now - KEPT_SECONDS))
    if connection.scalar(select(deliveries.c.mark).where(deliveries.c.mark == mark)):
        return False
    connection.execute(insert(deliveries).values(mark=mark, at=now))
    return True
