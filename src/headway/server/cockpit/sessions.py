"""Who has signed in: random session ids, exchanged for a token and kept only as hashes.

Sessions live in this process's memory. After a restart people sign in again.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256
from secrets import token_bytes, token_urlsafe

from msgspec import Struct

LIFETIME_SECONDS = 12 * 3600


class _Session(Struct, frozen=True):
    token: str
    ends_at: float


class Sessions:
    """Every session in force."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._key = token_bytes(32)

    def open(self, token: str) -> str:
        """Begin a session for the token with this fingerprint; what the cookie will hold."""
        now = self._clock()
        self._sessions = {key: s for key, s in self._sessions.items() if now < s.ends_at}
        secret = token_urlsafe(32)
        self._sessions[_hash(secret)] = _Session(token, now + LIFETIME_SECONDS)
        return secret

    def token(self, secret: str) -> str | None:
        """The fingerprint of the token that a session was opened with, or None."""
        session = self._sessions.get(_hash(secret))
        return session.token if session and self._clock() < session.ends_at else None

    def close(self, secret: str) -> None:
        """End a session."""
        self._sessions.pop(_hash(secret), None)

    def seal(self, cookie: str) -> str:
        """What a form must bring along to prove that a page for this cookie was its origin."""
        return hmac.new(self._key, cookie.encode(), sha256).hexdigest()

    def sealed(self, cookie: str, seal: str) -> bool:
        """Whether ``seal`` belongs to ``cookie``; never for an empty one."""
        return bool(cookie) and hmac.compare_digest(self.seal(cookie).encode(), seal.encode())


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
