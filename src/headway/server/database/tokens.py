"""Tokens, of which only the hash is kept."""

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headway.errors import Refused
from headway.model.access import Role
from headway.server.database.tables import tokens


class Token(Struct, frozen=True):
    """Whose a token is. ``hash`` is its sha256."""

    name: str
    role: Role
    hash: str
    created_at: float


def add(connection: Connection, token: Token) -> None:
    """Record a token. Raises Refused when the name is taken."""
    row = {
        "name": token.name,
        "role": token.role.value,
        "hash": token.hash,
        "created_at": token.created_at,
    }
    try:
        connection.execute(insert(tokens).values(row))
    except IntegrityError:
        raise Refused(
            f"there is a token named {token.name} already; revoke it first, or choose another name"
        ) from None


def every(connection: Connection) -> tuple[Token, ...]:
    """All tokens, by name."""
    rows = connection.execute(select(tokens).order_by(tokens.c.name))
    return tuple(Token(row.name, Role(row.role), row.hash, row.created_at) for row in rows)


def following(connection: Connection, name: str, limit: int) -> tuple[Token, ...]:
    """The first tokens whose name comes after ``name``, by name."""
    query = select(tokens).where(tokens.c.name > name).order_by(tokens.c.name).limit(limit)
    rows = connection.execute(query)
    return tuple(Token(row.name, Role(row.role), row.hash, row.created_at) for row in rows)


def revoke(connection: Connection, name: str) -> bool:
    """Remove a token; False when there is none of that name."""
    return connection.execute(delete(tokens).where(tokens.c.name == name)).rowcount > 0
