"""People who sign in, with the hash of a password or as a provider knows them."""

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from headway.model.access import Role
from headway.server.database.tables import tokens, users


class User(Struct, frozen=True):
    """A person. Either ``password`` holds a hash, or a provider knows the person.

    ``subject`` is what the provider ``issuer`` calls the person for good. ``seen_at`` is when the
    person signed in last.
    """

    name: str
    role: Role
    created_at: float
    password: str = ""
    issuer: str | None = None
    subject: str | None = None
    seen_at: float | None = None

    def __repr__(self) -> str:
        return f"User({self.name!r}, {self.role.value!r})"


def add(connection: Connection, user: User) -> None:
    """Record a person, whose name must be free."""
    row = {field: getattr(user, field) for field in user.__struct_fields__}
    connection.execute(insert(users).values(row | {"role": user.role.value}))


def every(connection: Connection) -> tuple[User, ...]:
    """All people, by name."""
    return tuple(map(_user, connection.execute(select(users).order_by(users.c.name))))


def find(connection: Connection, name: str) -> User | None:
    """A person by name."""
    row = connection.execute(select(users).where(users.c.name == name)).first()
    return None if row is None else _user(row)


def known_as(connection: Connection, issuer: str, subject: str) -> User | None:
    """A person by what a provider calls them."""
    theirs = (users.c.issuer == issuer) & (users.c.subject == subject)
    row = connection.execute(select(users).where(theirs)).first()
    return None if row is None else _user(row)


def put(connection: Connection, user: User) -> None:
    """Record a person's present role, password and last sign-in."""
    values = {"role": user.role.value, "password": user.password, "seen_at": user.seen_at}
    connection.execute(update(users).where(users.c.name == user.name).values(values))


def remove(connection: Connection, name: str) -> None:
    """Forget a person."""
    connection.execute(delete(users).where(users.c.name == name))


def token_role(connection: Connection, name: str) -> Role | None:
    """The role of the token of this name, in whatever case it is written; None without one."""
    query = select(tokens.c.role).where(func.lower(tokens.c.name) == name.lower())
    role = connection.scalar(query.limit(1))
    return None if role is None else Role(role)


def _user(row: Row[tuple[object, ...]]) -> User:
    values = dict(row._mapping)
    return User(**(values | {"role": Role(values["role"])}))
