"""Who has signed in, and from which browser.

A session is a random secret in a cookie; the database keeps its sha256, so sessions outlive a
restart and cannot be read back. What a session may do is looked up anew for every request: from
the person or the token that it belongs to, so a change of role or a removal counts at once.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from secrets import token_hex, token_urlsafe

import structlog
from msgspec import Struct
from msgspec.structs import replace

from headway.core.words import clean
from headway.errors import StorageFailed
from headway.server.database import sessions as table
from headway.server.database.connection import Database
from headway.server.database.sessions import Session

NOTED_EVERY_SECONDS = 60.0
"""How often it is written down which sessions were in use."""

MOST = 20
"""So many sessions somebody may have at a time; a further one ends that used longest ago."""

log = structlog.get_logger()


class Limits(Struct, frozen=True):
    """How long a session lasts, in seconds: when it is not used, and at the most."""

    idle: float = 12 * 3600.0
    longest: float = 72 * 3600.0


class Visitor(Struct, frozen=True):
    """Where somebody signs in from: an address, and what the browser calls itself."""

    address: str = ""
    browser: str = ""


class Sessions:
    """Every session in force."""

    def __init__(
        self, database: Database, clock: Callable[[], float], limits: Limits | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._database = database
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._used: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what there is. Raises StorageFailed."""
        self._sessions = {one.hash: one for one in await self._database.read(table.every)}
        await self.tidy()
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Write down what was in use."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self.tidy()

    def make(self, name: str, token: str, visitor: Visitor) -> tuple[str, Session]:
        """A new secret for a cookie, and its session, which is not in force yet."""
        secret, now = token_urlsafe(32), self._clock()
        return secret, Session(
            digest(secret),
            token_hex(8),
            name,
            token,
            now,
            now,
            clean(visitor.address)[:64],
            clean(visitor.browser)[:200],
        )

    def admit(self, session: Session) -> None:
        """Let a session that was written down be in force."""
        self._sessions[session.hash] = session

    def find(self, secret: str, *, use: bool = True) -> Session | None:
        """The session in force with this secret. To look without ``use`` does not prolong it."""
        session = self._sessions.get(digest(secret))
        now = self._clock()
        if session is None or self._is_over(session, now):
            return None
        if use and now > session.seen_at:
            session = self._sessions[session.hash] = replace(session, seen_at=now)
            self._used.add(session.hash)
        return session

    def of(self, name: str, token: str) -> tuple[Session, ...]:
        """The sessions in force of a person, or of a token, the one used last first."""
        now = self._clock()
        theirs = [
            one
            for one in self._sessions.values()
            if (one.name, one.token) == (name, token) and not self._is_over(one, now)
        ]
        return tuple(sorted(theirs, key=lambda one: -one.seen_at))

    def forget(self, *hashes: str) -> None:
        """Let sessions that were struck out of the database be in force no longer."""
        for hash in hashes:
            self._sessions.pop(hash, None)
            self._used.discard(hash)

    async def end(self, *hashes: str) -> None:
        """End sessions. Raises StorageFailed."""
        self.forget(*hashes)
        await self._database.write(partial(table.remove, hashes=hashes))

    async def tidy(self) -> None:
        """Write down which sessions were used, and strike out those that are over."""
        now = self._clock()
        over = [one.hash for one in self._sessions.values() if self._is_over(one, now)]
        used = {hash: self._sessions[hash].seen_at for hash in self._used - set(over)}
        self.forget(*over)
        self._used.clear()
        if over:
            await self._database.write(partial(table.remove, hashes=over))
        if used:
            await self._database.write(partial(table.seen, when=used))

    def _is_over(self, session: Session, now: float) -> bool:
        return (
            now >= session.opened_at + self.limits.longest
            or now >= session.seen_at + self.limits.idle
        )

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(NOTED_EVERY_SECONDS)
            try:
                await self.tidy()
            except StorageFailed as error:
                log.warning("cannot write down which sessions are in use", why=error.sentence)


def digest(secret: str) -> str:
    """What is kept of a session's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
