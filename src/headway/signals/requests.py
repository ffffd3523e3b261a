"""As much of HTTP/1.1 as agents speak with a hub."""

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from headway.errors import HeadwayError, InvalidInput, Unauthenticated
from headway.model.names import Name
from headway.model.views import Problem

MAX_APPS = 64
NODE_ROUTES = "/v1/node/"

T = TypeVar("T")


class Request(Struct):
    """The head of a request."""

    method: str
    path: str
    query: str
    authorization: str
    length: int

    def secret(self) -> str:
        """The token. Raises Unauthenticated."""
        scheme, _, secret = self.authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("there is no token in the request; send it as a bearer token")
        return secret.strip()

    def watched(self) -> tuple[list[str], str]:
        """The apps to watch, and the node's name if it tells it. Raises InvalidInput."""
        query = parse_qs(self.query)
        apps = [name for name in query.get("apps", [""])[-1].split(",") if name]
        return check_apps(apps), query.get("node", [""])[-1]


def check_apps(names: list[str]) -> list[str]:
    """The names, if they are names and not too many. Raises InvalidInput."""
    if len(names) > MAX_APPS:
        raise InvalidInput(f"{len(names)} apps at once, {MAX_APPS} are allowed")
    try:
        return msgspec.convert(names, list[Name])
    except msgspec.ValidationError:
        raise InvalidInput("apps must be names, separated by commas") from None


def decode(body: bytes, into: type[T]) -> T:
    """The body of a request. Raises InvalidInput."""
    try:
        return msgspec.json.decode(body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"the body of the request: {error}"[:1000]) from None


def parse(head: bytes) -> Request | None:
    """A request's head, or None for what agents never send and a framework may know better."""
    try:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        path, _, query = target.partition("?")
    except ValueError:
        return None
    if version != "HTTP/1.1" or not path.startswith("/"):
        return None
    length, authorization = "", ""
    for field in fields:
        name, colon, value = field.partition(":")
        match name.lower():
            case "content-length" if not length:
                length = value.strip()
            case "authorization" if not authorization:
                authorization = value.strip()
            case "content-length" | "authorization" | "transfer-encoding" | "expect" | "upgrade":
                return None
            case name if not colon or name.strip() != name or not name:
                return None
    if length and not (length.isascii() and length.isdigit() and len(length) < 12):
        return None
    return Request(method, path, query, authorization, int(length or 0))


def is_foreign(begun: bytes) -> bool:
    """Whether a head of which not all is here is certainly not an agent's."""
    line, complete, _ = begun.partition(b"\r\n")
    return bool(complete) and not line.partition(b" ")[2].startswith(NODE_ROUTES.encode())


def problem(error: HeadwayError, last: bool) -> bytes:
    """The response that says what went wrong; with ``last`` no other will follow."""
    body = msgspec.json.encode(Problem(error.code, error.sentence, error.status))
    phrase = HTTPStatus(error.status).phrase
    head = (
        f"HTTP/1.1 {error.status} {phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n" + "Connection: close\r\n" * last
    )
    return head.encode() + b"\r\n" + body
