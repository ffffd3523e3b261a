"""The append-only journal."""

from typing import Any

from sqlalchemy import Connection, insert, select

from headway.model.journal import JournalEntry
from headway.server.database.tables import journal


def append(
    connection: Connection,
    *,
    at: float,
    app: str = "",
    rollout: str = "",
    actor: str,
    kind: str,
    why: str,
    changes: dict[str, Any] | None = None,
    release: str = "",
) -> JournalEntry:
    """Record a decision; the entry comes back with its number."""
    row: dict[str, Any] = {
        "at": at,
        "app": app,
        "rollout": rollout,
        "actor": actor,
        "kind": kind,
        "why": why,
        "changes": changes or {},
        "release": release,
    }
    result = connection.execute(insert(journal).values(row))
    assert result.inserted_primary_key is not None  # noqa: S101 - one row always has its key
    return JournalEntry(seq=result.inserted_primary_key[0], **row)


def entries(
    connection: Connection,
    *,
    app: str | None = None,
    rollout: str | None = None,
    release: str | None = None,
    after: int | None = None,
    before: int | None = None,
    limit: int,
    told: bool = False,
) -> tuple[JournalEntry, ...]:
    """Oldest first: the first ``limit`` after the number ``after``, or without it the newest, of
    those before ``before``.

    With ``told``, only what has a sentence: not how a train has taken note of its rollout.
    """
    query = select(journal).limit(limit)
    if told:
        query = query.where(journal.c.why != "")
    if app is not None:
        query = query.where(journal.c.app == app)
    if rollout is not None:
        query = query.where(journal.c.rollout == rollout)
    if release is not None:
        query = query.where(journal.c.release == release)
    if before is not None:
        query = query.where(journal.c.seq < before)
    if after is None:
        rows = connection.execute(query.order_by(journal.c.seq.desc())).all()[::-1]
    else:
        rows = connection.execute(query.where(journal.c.seq > after).order_by(journal.c.seq)).all()
    return tuple(JournalEntry(**row._mapping) for row in rows)


def last_of(connection: Connection, app: str, kind: str) -> JournalEntry | None:
    """The app's newest entry of this kind."""
    query = select(journal).where(journal.c.app == app, journal.c.kind == kind)
    row = connection.execute(query.order_by(journal.c.seq.desc()).limit(1)).first()
    return JournalEntry(**row._mapping) if row is not None else None


def last(connection: Connection) -> int:
    """The number of the newest entry; 0 before the first."""
    return connection.scalar(select(journal.c.seq).order_by(journal.c.seq.desc()).limit(1)) or 0
