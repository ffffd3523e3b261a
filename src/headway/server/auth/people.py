"""People who sign in: by a password that is kept here, or as a provider knows them.

A person's name is what the journal shows, and stands for one person for good. Names of people
are lower case. An admin may give a token to somebody by the person's own name; but nobody whom a
provider vouches for ever comes in under a name that a token or another person has.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from headway.core.words import clean, count, one
from headway.errors import Busy, Denied, InvalidInput, NotFound, Refused, Unauthenticated
from headway.model.access import Identity, Role
from headway.model.journal import HEADWAY
from headway.server.auth.callers import Callers, fingerprint
from headway.server.auth.claims import Known
from headway.server.auth.passwords import Passwords, normal
from headway.server.auth.sessions import MOST, Sessions, Visitor
from headway.server.auth.throttle import Throttle, Throttled
from headway.server.database import journal, users
from headway.server.database import sessions as table
from headway.server.database.connection import Database
from headway.server.database.sessions import Session
from headway.server.database.users import User
from headway.server.news import News

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,127}")
WRONG = "the name or the password is wrong"


class People:
    """Everybody who may sign in; every change is in the journal."""

    def __init__(
        self,
        database: Database,
        callers: Callers,
        sessions: Sessions,
        news: News,
        clock: Callable[[], float],
        issuer: str | None = None,
    ) -> None:
        self._database = database
        self._callers = callers
        self._sessions = sessions
        self._news = news
        self._clock = clock
        self._issuer = issuer
        self._throttle = Throttle(clock)
        self._passwords = Passwords()

    async def start(self) -> None:
        """Know everybody; of a provider, only the one that is configured. Raises StorageFailed."""
        found = await self._database.read(users.every)
        self._callers.welcome(*(user for user in found if user.issuer in (None, self._issuer)))
        await self._sessions.start()

    async def close(self) -> None:
        """Stop."""
        await self._sessions.close()
        self._passwords.close()

    async def add(self, name: str, role: Role, password: str, by: str) -> User:
        """A person who signs in by a password. Raises InvalidInput, Refused or Busy."""
        check_name(name)
        hashed = await self._passwords.hash(normal(password))
        user = User(name, role, self._clock(), hashed)

        def write(connection: Connection) -> None:
            if users.find(connection, name) is not None:
                raise Refused(f"there is a user {name} already; choose another name")
            if users.token_role(connection, name) is Role.NODE:
                raise Refused(f"{name} is the name of a node; choose another name")
            users.add(connection, user)
            self._tell(connection, by, f"{by} adds the user {name}, {one(role)}")

        await self._write(write)
        self._callers.welcome(user)
        return user

    async def set_role(self, name: str, role: Role, by: str) -> User:
        """Change what a person may do, in open sessions too. Raises NotFound or Refused."""

        def write(connection: Connection) -> User:
            user = _found(connection, name)
            if user.issuer is not None:
                raise Refused(
                    f"the role of {name} comes from the groups that the provider names; change it"
                    " there, or under [oidc] in the server's file"
                )
            changed = replace(user, role=role)
            users.put(connection, changed)
            if changed != user:
                self._tell(connection, by, f"{by} makes {name} {one(role)}, not {one(user.role)}")
            return changed

        changed = await self._write(write)
        self._callers.welcome(changed)
        return changed

    async def set_password(self, name: str, password: str, by: str, keep: str = "") -> None:
        """Give a person another password, and end their sessions but for the one ``keep``.

        Raises NotFound, Refused, InvalidInput or Busy.
        """
        hashed = await self._passwords.hash(normal(password))

        def write(connection: Connection) -> tuple[User, list[str]]:
            user = _found(connection, name)
            if user.issuer is not None:
                raise Refused(f"{name} signs in with the provider, and has no password here")
            changed = replace(user, password=hashed)
            users.put(connection, changed)
            ended = [hash for hash in table.of(connection, name, "") if hash != keep]
            table.remove(connection, ended)
            why = f"{by} changes the password of {name}; {count(len(ended), 'session')} ended"
            self._tell(connection, by, why)
            return changed, ended

        changed, ended = await self._write(write)
        self._callers.welcome(changed)
        self._sessions.forget(*ended)

    async def change_own(
        self, caller: Identity, old: str, new: str, visitor: Visitor, keep: str
    ) -> None:
        """Change one's own password. Raises Denied, InvalidInput, Refused or Busy."""
        user = self._callers.user(caller.name)
        if user is None or not user.password:
            raise Refused("you have no password here")
        await self._check(user.name, old, visitor, "")
        await self.set_password(user.name, new, user.name, keep)

    async def remove(self, name: str, by: str) -> None:
        """Forget a person, whose sessions end at once. Raises NotFound."""

        def write(connection: Connection) -> list[str]:
            _found(connection, name)
            ended = table.of(connection, name, "")
            users.remove(connection, name)
            table.remove(connection, ended)
            self._tell(connection, by, f"{by} removes the user {name}")
            return ended

        ended = await self._write(write)
        self._callers.dismiss(name)
        self._sessions.forget(*ended)

    async def sign_out_everywhere(self, name: str, token: str, by: str) -> int:
        """End all sessions of a person, or of a token; how many there were."""

        def write(connection: Connection) -> list[str]:
            ended = table.of(connection, name, token)
            table.remove(connection, ended)
            if ended:
                why = f"{by} signs {name} out everywhere, in {count(len(ended), 'session')}"
                self._tell(connection, by, why)
            return ended

        ended = await self._write(write)
        self._sessions.forget(*ended)
        return len(ended)

    async def sign_in(
        self, name: str, password: str, visitor: Visitor, mark: str = ""
    ) -> tuple[str, str]:
        """A session's secret for a name and its password, and the mark for the browser to keep.

        Raises Unauthenticated, in the same words and after the same time whether or not there is
        such a name, or Busy.
        """
        name = name.strip().lower()
        user = await self._check(name, password, visitor, mark)
        if self._passwords.is_outdated(user.password):
            fresh = replace(user, password=await self._passwords.hash(normal(password)))
            await self._database.write(partial(_rehash, was=user, now=fresh))
            user = fresh
        secret = await self._open(user, "with a password", visitor)
        return secret, self._throttle.mark(name)

    async def sign_in_by_token(self, secret: str, visitor: Visitor) -> str:
        """A session's secret for a token. Raises Unauthenticated or Denied."""
        caller = self._callers.identify(secret)
        if caller.role is Role.NODE:
            raise Denied("this token is a node's; people sign in with a token of their own")
        cookie, session = self._sessions.make(caller.name, fingerprint(secret), visitor)

        def write(connection: Connection) -> list[str]:
            ended = _begin(connection, session)
            why = f"{caller.name} signs in with a token{_from(visitor)}"
            self._tell(connection, caller.name, why, "sign-in")
            return ended

        self._sessions.forget(*await self._write(write))
        self._sessions.admit(session)
        return cookie

    async def sign_in_by_provider(self, known: Known, provider: str, visitor: Visitor) -> str:
        """A session's secret for somebody whom the provider vouches for. Raises Denied.

        At the first time the person gets the name that the provider tells, if it is free, and
        keeps it, whatever the provider says later; the role is taken over each time.
        """
        issuer = self._issuer or ""

        def write(connection: Connection) -> User:
            user = users.known_as(connection, issuer, known.subject)
            if user is not None:
                changed = replace(user, role=known.role)
                users.put(connection, changed)
                if changed.role is not user.role:
                    why = f"{provider} makes {user.name} {one(known.role)}, not {one(user.role)}"
                    self._tell(connection, user.name, why)
                return changed
            check_name(known.name)
            taken = users.find(connection, known.name) is not None
            if taken or users.token_role(connection, known.name) is not None:
                raise Denied(
                    f"the name {known.name} belongs to somebody else here, a user or a token; ask"
                    " an admin, who can remove that one"
                )
            added = User(known.name, known.role, self._clock(), "", issuer, known.subject)
            users.add(connection, added)
            why = f"{provider} brings the user {known.name}, {one(known.role)}"
            self._tell(connection, known.name, why)
            return added

        user = await self._write(write)
        self._callers.welcome(user)
        return await self._open(user, f"with {provider}", visitor)

    async def _check(self, name: str, password: str, visitor: Visitor, mark: str) -> User:
        """The person whose password this is. Raises Unauthenticated or Busy."""
        try:
            give_back = self._throttle.take(name, visitor.address, mark)
        except Throttled as error:
            if error.first:
                await self._burst(name, visitor)
            raise
        user = self._callers.user(name)
        try:
            right = await self._passwords.matches(user.password if user else "", password)
        except Busy:
            give_back()
            raise
        if user is None or not right:
            raise Unauthenticated(WRONG)
        give_back()
        return user

    async def _open(self, user: User, how: str, visitor: Visitor) -> str:
        """Open a session, unless the person was changed or removed meanwhile."""
        cookie, session = self._sessions.make(user.name, "", visitor)

        def write(connection: Connection) -> tuple[User, list[str]]:
            present = users.find(connection, user.name)
            if present is None or present.password != user.password:
                raise Unauthenticated(WRONG)
            seen = replace(present, seen_at=self._clock())
            users.put(connection, seen)
            ended = _begin(connection, session)
            why = f"{user.name} signs in {how}{_from(visitor)}"
            self._tell(connection, user.name, why, "sign-in")
            return seen, ended

        seen, ended = await self._write(write)
        self._callers.welcome(seen)
        self._sessions.forget(*ended)
        self._sessions.admit(session)
        return cookie

    async def _burst(self, name: str, visitor: Visitor) -> None:
        """Note that somebody guesses; what is no name might be a password, and is not told."""
        whom = f"as {name}" if self._callers.user(name) else "under a name that nobody has"
        why = f"too many attempts to sign in {whom} have failed{_from(visitor)}; more must wait"
        await self._write(lambda connection: self._tell(connection, HEADWAY, why, "sign-in"))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        done = await self._database.write(work)
        self._news.journal_grew()
        return done

    def _tell(self, connection: Connection, actor: str, why: str, kind: str = "user") -> None:
        journal.append(connection, at=self._clock(), actor=actor, kind=kind, why=why)


def check_name(name: str) -> None:
    """Raises InvalidInput for what cannot be a person's name."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "a user's name has up to 128 lower-case letters, digits, '.', '_', '@' and '-'"
        )
    if name == HEADWAY:
        raise InvalidInput(f"{HEADWAY} is what the journal calls Headway itself")


def _found(connection: Connection, name: str) -> User:
    user = users.find(connection, name)
    if user is None:
        raise NotFound(f"there is no user {clean(name)[:128]}; see `headway user list`")
    return user


def _begin(connection: Connection, session: Session) -> list[str]:
    """Record a session; the hashes of those that give way to it."""
    ended = table.of(connection, session.name, session.token)[MOST - 1 :]
    table.remove(connection, ended)
    table.add(connection, session)
    return ended


def _rehash(connection: Connection, was: User, now: User) -> None:
    present = users.find(connection, was.name)
    if present is not None and present.password == was.password:
        users.put(connection, replace(present, password=now.password))


def _from(visitor: Visitor) -> str:
    return f", from {clean(visitor.address)[:64]}" if visitor.address else ""
