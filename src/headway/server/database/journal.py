"""The append-only journal."""

from collections.abc import Collection
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Text, insert, or_, select, type_coerce

from headway.model.journal import JournalEntry
from headway.model.rollout import Phase
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


class Turn(Struct, frozen=True):
    """A rollout came into a phase, and why."""

    rollout: str
    at: float
    phase: Phase
    why: str


def turns(connection: Connection, of: Collection[str]) -> tuple[Turn, ...]:
    """How these rollouts went from phase to phase, oldest first."""
    found: list[Turn] = []
    ids = list(of)
    for begin in range(0, len(ids), 500):
        query = select(journal.c.rollout, journal.c.at, journal.c.why, journal.c.changes).where(
            journal.c.rollout.in_(ids[begin : begin + 500]),
            type_coerce(journal.c.changes, Text).contains('"phase":'),
        )
        found += [
            Turn(row.rollout, row.at, Phase(row.changes["phase"]), row.why)
            for row in connection.execute(query.order_by(journal.c.seq))
            if "phase" in row.changes
        ]
    return tuple(found)


class Search(Struct, frozen=True):
    """What to look for in the journal; what is empty does not matter. Times in s since the epoch.

    ``app`` also finds what is of no app. ``text`` is looked for in sentences and names.
    """

    app: str = ""
    actor: str = ""
    kind: str = ""
    text: str = ""
    since: float | None = None
    until: float | None = None


def search(
    connection: Connection, wanted: Search, limit: int, *, before: int | None = None
) -> tuple[JournalEntry, ...]:
    """Newest first: the last entries that have a sentence and fit, those before the number."""
    query = select(journal).where(journal.c.why != "")
    if wanted.app:
        query = query.where(journal.c.app.in_((wanted.app, "")))
    if wanted.actor:
        query = query.where(journal.c.actor == wanted.actor)
    if wanted.kind:
        query = query.where(journal.c.kind == wanted.kind)
    if wanted.text:
        places = (journal.c.why, journal.c.actor, journal.c.rollout, journal.c.release)
        query = query.where(or_(*(p.icontains(wanted.text, autoescape=True) for p in places)))
    if wanted.since is not None:
        query = query.where(journal.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(journal.c.at < wanted.until)
    if before is not None:
        query = query.where(journal.c.seq < before)
    rows = connection.execute(query.order_by(journal.c.seq.desc()).limit(limit))
    return tuple(JournalEntry(**row._mapping) for row in rows)
