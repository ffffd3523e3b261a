"""Who is calling."""

import hmac
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from litestar.connection import ASGIConnection

from headway.errors import Unauthenticated
from headway.model.access import Identity, Role
from headway.server.database.tokens import Token
from headway.server.database.users import User

PREFIX = "hw_"


def new_secret() -> str:
    """A token's secret: 32 random bytes, with a prefix that secret scanners can look for."""
    return PREFIX + token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """What is kept of a secret: its sha256, of which nothing can be guessed back."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Callers:
    """Every token in force, by fingerprint, and every person who may sign in.

    Of a person and a token of the same name, the person's role counts where somebody is meant by
    name alone; a token never does more than its own role allows.
    """

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._by_name: dict[str, Token] = {}
        self._people: dict[str, User] = {}

    def admit(self, *tokens: Token) -> None:
        """Accept tokens from now on."""
        self._tokens |= {token.hash: token for token in tokens}
        self._by_name |= {token.name: token for token in tokens}

    def revoke(self, name: str) -> None:
        """Accept a token no longer."""
        self._tokens = {key: token for key, token in self._tokens.items() if token.name != name}
        self._by_name.pop(name, None)

    def welcome(self, *people: User) -> None:
        """Know people from now on, as they now are."""
        self._people |= {user.name: user for user in people}

    def dismiss(self, name: str) -> None:
        """Know a person no longer."""
        self._people.pop(name, None)

    def user(self, name: str) -> User | None:
        """A person who may sign in."""
        return self._people.get(name)

    def have_passwords(self) -> bool:
        """Whether anybody signs in by a password."""
        return any(user.password for user in self._people.values())

    def person(self, name: str) -> Identity:
        """A person with the role of this moment. Raises Unauthenticated."""
        user = self._people.get(name)
        if user is None:
            raise Unauthenticated("sign in first")
        return Identity(user.name, user.role)

    def is_known(self, name: str) -> bool:
        """Whether somebody has this name."""
        return self.named(name) is not None

    def hash_of(self, name: str) -> str:
        """The fingerprint of a node's token; empty where there is none."""
        token = self._by_name.get(name)
        return token.hash if token is not None and token.role is Role.NODE else ""

    def named(self, name: str) -> Identity | None:
        """Who has this name, as a person or by a token, with their role; None where nobody has."""
        if name in self._people:
            return self.person(name)
        token = self._by_name.get(name)
        return None if token is None or token.role is Role.NODE else Identity(name, token.role)

    def accepts(self, secret: str) -> bool:
        """Whether a secret is one that is in force."""
        return fingerprint(secret) in self._tokens

    def identify(self, secret: str) -> Identity:
        """Whose secret this is. Raises Unauthenticated."""
        return self.recall(fingerprint(secret))

    def recall(self, hashed: str) -> Identity:
        """Whose secret has this fingerprint. Raises Unauthenticated."""
        token = self._tokens.get(hashed)
        if token is None or not hmac.compare_digest(token.hash, hashed):
            raise Unauthenticated("the token is not valid; ask an admin for another one")
        return Identity(token.name, token.role)


def bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The secret in the Authorization header. Raises Unauthenticated."""
    scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated("there is no token in the request; send it as a bearer token")
    return secret.strip()
