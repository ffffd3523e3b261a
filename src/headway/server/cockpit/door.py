"""Who comes in: cookies, the guards of the cockpit's routes, and the check of every form."""

from secrets import token_urlsafe
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from headway.errors import Denied, Unauthenticated
from headway.model.access import Identity, Role
from headway.server.auth.callers import Callers, fingerprint
from headway.server.cockpit.sessions import LIFETIME_SECONDS, Sessions

SESSION = "headway_session"
VISIT = "headway_visit"
"""The cookie of somebody who has not signed in yet; it only seals the form to do so."""

Connection = ASGIConnection[Any, Any, Any, Any]


SEALED_BY = "sealed_by"
"""The option of routes whose forms are sealed for another cookie than the session's."""


class Door:
    """Tells callers by their session cookie, and forms by the seal that their page was given."""

    def __init__(self, sessions: Sessions, callers: Callers) -> None:
        self._sessions = sessions
        self._callers = callers

    def identify(self, connection: Connection) -> Identity:
        """Who has signed in, as long as the token stays in force. Raises Unauthenticated."""
        token = self._sessions.token(connection.cookies.get(SESSION, ""))
        if token is None:
            raise Unauthenticated("sign in first")
        return self._callers.recall(token)

    async def check_form(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """The guard of every form. Raises Denied for one that comes from elsewhere."""
        if not isinstance(connection, Request) or connection.method in ("GET", "HEAD", "OPTIONS"):
            return
        seal = (await connection.form()).get("csrf", "")
        cookie = connection.cookies.get(handler.opt.get(SEALED_BY, SESSION), "")
        if not isinstance(seal, str) or not self._sessions.sealed(cookie, seal):
            raise Denied("this form is out of date; go back, load the page again and repeat")

    def seal(self, connection: Connection) -> str:
        """What the forms of a page for this caller bring along."""
        return self._sessions.seal(connection.cookies.get(SESSION, ""))

    def visit(self, connection: Connection) -> tuple[str, Cookie]:
        """A seal and the cookie that goes with it, for the form to sign in."""
        visit = token_urlsafe(32)
        return self._sessions.seal(visit), _cookie(connection, VISIT, visit)

    def sign_in(self, connection: Connection, secret: str) -> Cookie:
        """Exchange a token for a session. Raises Unauthenticated or Denied."""
        caller = self._callers.identify(secret)
        if caller.role is Role.NODE:
            raise Denied("this token is a node's; people sign in with a token of their own")
        return _cookie(connection, SESSION, self._sessions.open(fingerprint(secret)))

    def sign_out(self, connection: Connection) -> Cookie:
        """End the caller's session; the cookie that takes its place."""
        self._sessions.close(connection.cookies.get(SESSION, ""))
        return _cookie(connection, SESSION, "", lifetime=0)


def _cookie(
    connection: Connection, name: str, value: str, lifetime: int = LIFETIME_SECONDS
) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        httponly=True,
        samesite="strict",
        secure=connection.url.scheme == "https",
        max_age=lifetime,
    )
