"""Published builds."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

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
    return tuple(one for _, one in numbered(connection, app, limit))


def numbered(
    connection: Connection, app: str, limit: int, before: int | None = None
) -> tuple[tuple[int, Build], ...]:
    """The app's last builds, newest first, each with its number; those ``before`` a number."""
    query = select(builds.c.seq, builds.c.document).where(builds.c.app == app)
    if before is not None:
        query = query.where(builds.c.seq < before)
    rows = connection.execute(query.order_by(builds.c.seq.desc()).limit(limit))
    return tuple((row.seq, row.document) for row in rows)


def find(connection: Connection, app: str, prefix: str) -> tuple[Build, ...]:
    """At most two of the app's builds whose id begins with ``prefix``."""
    query = select(builds.c.document).where(
        builds.c.app == app, builds.c.id.startswith(prefix, autoescape=True)
    )
    return tuple(connection.scalars(query.order_by(builds.c.seq).limit(2)))


def named(connection: Connection, app: str, ids: Collection[str]) -> dict[str, Build]:
    """Those of the app's builds that are known, by their ids."""
    found: dict[str, Build] = {}
    wanted = list(ids)
    for begin in range(0, len(wanted), 500):
        some = builds.c.id.in_(wanted[begin : begin + 500])
        query = select(builds.c.document).where(builds.c.app == app, some)
        found |= {build.id: build for build in connection.scalars(query)}
    return found


class Published(NamedTuple):
    """A published build as it stands in the table, in its place among the others."""

    seq: int
    app: str
    id: str
    published_at: float
    document: Build


def every(connection: Connection, app: str) -> tuple[Published, ...]:
    """All of the app's builds, newest first."""
    query = select(builds).where(builds.c.app == app).order_by(builds.c.seq.desc())
    return tuple(Published(*row) for row in connection.execute(query))


def remove(connection: Connection, rows: Collection[Published]) -> None:
    """Take builds out of the table, so that nobody can name them any more."""
    if rows:
        query = delete(builds).where(builds.c.seq == bindparam("of_seq"))
        connection.execute(query, [{"of_seq": row.seq} for row in rows])


def put_back(connection: Connection, rows: Sequence[Published]) -> None:
    """Undo ``remove`` for these builds."""
    if rows:
        connection.execute(insert(builds), [row._asdict() for row in rows])
