"""Who comes in: cookies, the guards of the cockpit's routes, and the check of every form.

The session's cookie is SameSite=Lax: with Strict, whoever follows a link from chat, or comes back
from a provider, would stand before the door again. Lax brings it along to no form and to no
script of another site, and every form needs a seal besides. Over https all cookies have the
``__Host-`` prefix, so no neighbouring host and no plain connection can plant one.
"""

import base64
import hmac
from hashlib import sha256
from secrets import token_hex, token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from headway.errors import Denied, HeadwayError, Unauthenticated
from headway.model.access import Identity
from headway.server.auth.callers import Callers
from headway.server.auth.oidc import FLOW_SECONDS, Flow
from headway.server.auth.sessions import Sessions, Visitor
from headway.server.database.sessions import Session

SESSION = "headway_session"
VISIT = "headway_visit"
"""The cookie of somebody who has not signed in yet; it only seals the form to do so."""

VISIT_CHARACTERS = 43

FLOW = "headway_flow"
"""The cookie of somebody who is at the provider."""

BROWSER = "headway_browser"
"""The cookie of a browser in which somebody has signed in by a password before."""

BROWSER_SECONDS = 90 * 86_400

Connection = ASGIConnection[Any, Any, Any, Any]


SEALED_BY = "sealed_by"
"""The option of routes whose forms are sealed for another cookie than the session's."""


class Door:
    """Tells callers by their session cookie, and forms by the seal that their page was given."""

    def __init__(self, sessions: Sessions, callers: Callers, public_url: str) -> None:
        self._sessions = sessions
        self._callers = callers
        self._public = urlsplit(public_url)

    def identify(self, connection: Connection) -> Identity:
        """Who has signed in, with the role of this moment. Raises Unauthenticated."""
        return self._holder(self.session(connection))

    def still(self, connection: Connection, caller: Identity) -> bool:
        """Whether an open stream may go on: its session too, and in the same role."""
        try:
            session = self._sessions.find(self.cookie(connection, SESSION), use=False)
            return self._holder(session) == caller
        except HeadwayError:
            return False

    def name(self, connection: Connection) -> str:
        """The name of whoever has signed in; empty where nobody has."""
        try:
            return self.identify(connection).name
        except HeadwayError:
            return ""

    def session(self, connection: Connection) -> Session | None:
        """The session that the caller is in."""
        return self._sessions.find(self.cookie(connection, SESSION))

    async def check_form(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """The guard of every form. Raises Denied for one that comes from elsewhere."""
        if not isinstance(connection, Request) or connection.method in ("GET", "HEAD", "OPTIONS"):
            return
        given = (await connection.form()).get("csrf", "")
        cookie = self.cookie(connection, handler.opt.get(SEALED_BY, SESSION))
        if not isinstance(given, str) or not is_sealed(cookie, given):
            raise Denied("this form is out of date; go back, load the page again and repeat")

    def seal(self, connection: Connection) -> str:
        """What the forms of a page for this caller bring along."""
        return seal(self.cookie(connection, SESSION))

    def visit(self, connection: Connection) -> tuple[str, Cookie]:
        """A seal and the cookie that goes with it, for the forms to sign in.

        It stays the same while the door is open in several tabs.
        """
        kept = self.cookie(connection, VISIT)
        visit = kept if len(kept) == VISIT_CHARACTERS else token_urlsafe(32)
        return seal(visit), self._cookie(connection, VISIT, visit, self._sessions.limits.idle)

    def let_in(self, connection: Connection, secret: str, mark: str = "") -> tuple[Cookie, ...]:
        """The cookies of a new session, which replaces whichever the browser was in."""
        cookies = [
            self._cookie(connection, SESSION, secret, self._sessions.limits.longest),
            self._cookie(connection, VISIT, "", 0),
        ]
        if mark:
            cookies.append(self._cookie(connection, BROWSER, mark, BROWSER_SECONDS))
        return tuple(cookies)

    def let_out(self, connection: Connection) -> Cookie:
        """The cookie that takes the place of an ended session's."""
        return self._cookie(connection, SESSION, "", 0)

    def send_off(self, connection: Connection, flow: Flow | None) -> Cookie:
        """The cookie for the way to the provider; without ``flow``, for the way back."""
        if flow is None:
            return self._cookie(connection, FLOW, "", 0)
        kept = base64.urlsafe_b64encode(msgspec.json.encode(flow)).decode()
        return self._cookie(connection, FLOW, kept, FLOW_SECONDS)

    def sent_off(self, connection: Connection) -> Flow | None:
        """What this browser has begun with the provider."""
        try:
            kept = base64.urlsafe_b64decode(self.cookie(connection, FLOW).encode())
            return msgspec.json.decode(kept, type=Flow)
        except (ValueError, msgspec.MsgspecError):
            return None

    def cookie(self, connection: Connection, name: str) -> str:
        """The value of a cookie of ours; over https only of one that was set there."""
        return connection.cookies.get(self._named(connection, name), "")

    def visitor(self, connection: Connection) -> Visitor:
        """Where the caller is."""
        address = connection.client.host if connection.client else ""
        return Visitor(address, connection.headers.get("user-agent", ""))

    def is_secure(self, connection: Connection) -> bool:
        """Whether the browser speaks https, to us or to the proxy in front of us."""
        host = connection.headers.get("host", "").lower()
        by_proxy = self._public.scheme == "https" and host == self._public.netloc.lower()
        return connection.url.scheme == "https" or by_proxy

    def _holder(self, session: Session | None) -> Identity:
        if session is None:
            raise Unauthenticated("sign in first")
        if session.token:
            return self._callers.recall(session.token)
        return self._callers.person(session.name)

    def _named(self, connection: Connection, name: str) -> str:
        return f"__Host-{name}" if self.is_secure(connection) else name

    def _cookie(self, connection: Connection, name: str, value: str, lifetime: float) -> Cookie:
        return Cookie(
            key=self._named(connection, name),
            value=value,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self.is_secure(connection),
            max_age=int(lifetime),
        )


def seal(cookie: str) -> str:
    """What a form must bring along to prove that a page for this cookie was its origin.

    Only who has the cookie can make it, and it tells nothing of the cookie. It is another one on
    each page, so that nothing can be learnt of it from the lengths of compressed pages.
    """
    salt = token_hex(16)
    return salt + _sealed(cookie, salt)


def is_sealed(cookie: str, given: str) -> bool:
    """Whether a seal belongs to ``cookie``; never for an empty one."""
    salt, rest = given[:32], given[32:]
    return bool(cookie) and hmac.compare_digest(
        _sealed(cookie, salt).encode(), rest.encode("utf-8", "replace")
    )


def _sealed(cookie: str, salt: str) -> str:
    text = f"a form of the cockpit {salt}".encode("utf-8", "replace")
    return hmac.new(cookie.encode("utf-8", "replace"), text, sha256).hexdigest()
