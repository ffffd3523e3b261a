"""Sessions, of which only the hash of the secret is kept."""

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from headway.server.database.tables import sessions


class Session(Struct, frozen=True):
    """Somebody who has signed in, from one browser.

    ``hash`` is the sha256 of what the cookie holds; ``id`` names the session to people. ``token``
    is the fingerprint of the token that opened it; empty where it was the person ``name``.
    """

    hash: str
    id: str
    name: str
    token: str
    opened_at: float
    seen_at: float
    address: str = ""
    browser: str = ""


def add(connection: Connection, session: Session) -> None:
    """Record a session."""
    row = {field: getattr(session, field) for field in session.__struct_fields__}
    connection.execute(insert(sessions).values(row))


def every(connection: Connection) -> tuple[Session, ...]:
    """All sessions, of which some may be over."""
    return tuple(Session(**row._mapping) for row in connection.execute(select(sessions)))


def of(connection: Connection, name: str, token: str) -> list[str]:
    """The hashes of the sessions of a person, or of a token, the one used last first."""
    theirs = (sessions.c.name == name) & (sessions.c.token == token)
    query = select(sessions.c.hash).where(theirs).order_by(sessions.c.seen_at.desc())
    return list(connection.scalars(query))


def remove(connection: Connection, hashes: Collection[str]) -> None:
    """Forget sessions."""
    for hash in hashes:
        connection.execute(delete(sessions).where(sessions.c.hash == hash))


def seen(connection: Connection, when: dict[str, float]) -> None:
    """Note when sessions were used last."""
    rows = [{"of": hash, "at": at} for hash, at in when.items()]
    statement = update(sessions).where(sessions.c.hash == bindparam("of"))
    if rows:
        connection.execute(statement.values(seen_at=bindparam("at")), rows)
