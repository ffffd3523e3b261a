"""The state rows of releases, and which commits are theirs."""

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from headway.model.names import BuildId
from headway.model.release import Release
from headway.server.database.tables import heads, releases

RECENT = 20
"""So many releases are looked at for a build."""


def put(connection: Connection, state: Release) -> None:
    """Write the state of a release, new or known, and whose head its commit is."""
    changed = connection.execute(
        update(releases).where(releases.c.id == state.id).values(state=state)
    )
    if changed.rowcount == 0:
        row = {"id": state.id, "app": state.app, "number": state.number, "state": state}
        connection.execute(insert(releases).values(row))
    into = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {"app": state.app, "commit": state.head, "release": state.id}
    connection.execute(into(heads).values(row).on_conflict_do_nothing())


def get(connection: Connection, release: str) -> Release | None:
    """The state of a release, or None."""
    query = select(releases.c.state).where(releases.c.id == release)
    state: Release | None = connection.scalar(query)
    return state


def newest(
    connection: Connection, app: str, limit: int, before: int | None = None
) -> tuple[Release, ...]:
    """The app's last releases, newest first; those with a number below ``before``."""
    query = select(releases.c.state).where(releases.c.app == app)
    if before is not None:
        query = query.where(releases.c.number < before)
    return tuple(connection.scalars(query.order_by(releases.c.number.desc()).limit(limit)))


def newest_id(connection: Connection, app: str) -> str:
    """The id of the app's last release, without the rest of it; empty before the first."""
    query = select(releases.c.id).where(releases.c.app == app)
    return connection.scalar(query.order_by(releases.c.number.desc()).limit(1)) or ""


def last_number(connection: Connection, app: str) -> int:
    """The highest number that a release of the app has had; 0 before the first."""
    return connection.scalar(select(func.max(releases.c.number)).where(releases.c.app == app)) or 0


def of_build(connection: Connection, app: str, build: BuildId, commit: str) -> Release | None:
    """The release that a build is of: one tree may come from several commits."""
    for state in newest(connection, app, RECENT):
        if state.build == build:
            return state
    return with_commit(connection, app, commit)


def with_commit(connection: Connection, app: str, commit: str) -> Release | None:
    """The newest release of the app of which the commit is, or was, the head."""
    query = select(releases.c.state).join(heads, heads.c.release == releases.c.id)
    query = query.where(heads.c.app == app, heads.c.commit == commit)
    state: Release | None = connection.scalar(query.order_by(releases.c.number.desc()).limit(1))
    return state
