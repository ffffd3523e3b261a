"""The state rows of releases, and which commits are theirs."""

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from headway.model.names import BuildId
from headway.model.release import CommitId, PickKind, Release
from headway.server.database.tables import Document, heads, releases

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


class Merge(Struct, frozen=True):
    """A change, and when it was merged."""

    commit: CommitId
    merged_at: float = 0.0


class Brought(Struct, frozen=True):
    """A change that was picked onto a release, or taken back there."""

    kind: PickKind
    change: Merge


class Bringing(Struct, frozen=True):
    """What statistics need to know of a release, which is little of it."""

    id: str
    changes: tuple[Merge, ...]
    picks: tuple[Brought, ...] = ()


def bringing(connection: Connection, of: Collection[str]) -> dict[str, Bringing]:
    """What these releases bring, by their ids."""
    found: dict[str, Bringing] = {}
    wanted = list(of)
    for begin in range(0, len(wanted), 500):
        query = select(type_coerce(releases.c.state, Document(Bringing))).where(
            releases.c.id.in_(wanted[begin : begin + 500])
        )
        found |= {one.id: one for one in connection.scalars(query)}
    return found


def span(connection: Connection, app: str, first: int, last: int) -> tuple[Release, ...]:
    """The app's releases with these numbers and between them, oldest first."""
    query = select(releases.c.state).where(
        releases.c.app == app, releases.c.number.between(first, last)
    )
    return tuple(connection.scalars(query.order_by(releases.c.number)))
