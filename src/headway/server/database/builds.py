"""Published builds."""

from sqlalchemy import Connection, insert, select

from headway.model.build import Build
from headway.server.database.tables import builds


def add(connection: Connection, build: Build, now: float) -> bool:
    """Record a published build; False when it was recorded before."""
    if find(connection, build.app, build.id):
        return False
    row = {"app": build.app, "id": build.id, "published_at": now, "document": build}
    connection.execute(insert(builds).values(row))
    return True


def newest(connection: Connection, app: str, limit: int) -> tuple[Build, ...]:
    """The app's last published builds, newest first."""
    query = select(builds.c.document).where(builds.c.app == app)
    return tuple(connection.scalars(query.order_by(builds.c.seq.desc()).limit(limit)))


def find(connection: Connection, app: str, prefix: str) -> tuple[Build, ...]:
    """At most two of the app's builds whose id begins with ``prefix``."""
    query = select(builds.c.document).where(
        builds.c.app == app, builds.c.id.startswith(prefix, autoescape=True)
    )
    return tuple(connection.scalars(query.order_by(builds.c.seq).limit(2)))
