"""Who is calling."""

import hmac
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from litestar.connection import ASGIConnection

from headway.errors import Unauthenticated
from headway.model.access import Identity, Role
from headway.server.database.tokens import Token

PREFIX = "hw_"


def new_secret() -> str:
    """A token's secret: 32 random bytes, with a prefix that secret scanners can look for."""
    return PREFIX + token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """What is kept of a secret: its sha256, of which nothing can be guessed back."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Callers:
    """Every token in force, by fingerprint."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._by_name: dict[str, Token] = {}

    def admit(self, *tokens: Token) -> None:
        """Accept tokens from now on."""
        self._tokens |= {token.hash: token for token in tokens}
        self._by_name |= {token.name: token for token in tokens}

    def revoke(self, name: str) -> None:
        """Accept a token no longer."""
        self._tokens = {key: token for key, token in self._tokens.items() if token.name != name}
        self._by_name.pop(name, None)

    def is_known(self, name: str) -> bool:
        """Whether a person has a token of this name."""
        token = self._by_name.get(name)
        return token is not None and token.role is not Role.NODE

    def hash_of(self, name: str) -> str:
        """The fingerprint of a node's token; empty where there is none."""
        token = self._by_name.get(name)
        return token.hash if token is not None and token.role is Role.NODE else ""

    def named(self, name: str) -> Identity | None:
        """The person who has a token of this name, with its role; None where nobody has."""
        token = self._by_name.get(name)
        return None if token is None or token.role is Role.NODE else Identity(name, token.role)

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
