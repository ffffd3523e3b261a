"""Freezes that people have declared, and who has taken the shift over."""

from sqlalchemy import Connection, delete, insert, select

from headway.model.schedule import Frozen, Takeover
from headway.server.database.tables import freezes, takeovers


def add_freeze(connection: Connection, freeze: Frozen) -> None:
    """Declare a freeze."""
    connection.execute(insert(freezes).values(id=freeze.id, app=freeze.app, freeze=freeze))


def freeze(connection: Connection, id: str) -> Frozen | None:
    """A freeze, or None."""
    found: Frozen | None = connection.scalar(select(freezes.c.freeze).where(freezes.c.id == id))
    return found


def freezes_of(connection: Connection, app: str) -> tuple[Frozen, ...]:
    """All freezes of an app that were declared and not taken back, some of which may be over."""
    query = select(freezes.c.freeze).where(freezes.c.app == app).order_by(freezes.c.id)
    return tuple(connection.scalars(query))


def end_freeze(connection: Connection, id: str) -> None:
    """Take a freeze back."""
    connection.execute(delete(freezes).where(freezes.c.id == id))


def takeover(connection: Connection, app: str) -> Takeover | None:
    """Who has taken the app's shift over last, or None."""
    query = select(takeovers.c.takeover).where(takeovers.c.app == app)
    found: Takeover | None = connection.scalar(query)
    return found


def take_over(connection: Connection, change: Takeover) -> None:
    """Note who has the shift from now on."""
    connection.execute(delete(takeovers).where(takeovers.c.app == change.app))
    connection.execute(insert(takeovers).values(app=change.app, takeover=change))
