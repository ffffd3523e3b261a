"""Which roles each route is for; a route without a rule does not start."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute, WebSocketRoute

from headway.core.words import one
from headway.errors import Denied, Unauthenticated
from headway.model.access import Identity, Role
from headway.server.auth.callers import Callers, bearer
from headway.server.turnstile import Turnstile, Whose

OPTION = "role"

FREE = "free"
"""The option of public routes that are asked for by agents, of which many have one address."""

IDENTIFY = "identify"
"""The option of routes whose callers are known by something other than a bearer token."""


class Rule(Enum):
    """The roles that may use a route. Every route names one: ``opt={"role": Rule.VIEWER}``."""

    PUBLIC = None
    """Anybody, without a token."""
    ANY = frozenset(Role)
    """Whoever has a token."""
    VIEWER = frozenset({Role.VIEWER, Role.DEPLOYER, Role.ADMIN})
    DEPLOYER = frozenset({Role.DEPLOYER, Role.ADMIN})
    ADMIN = frozenset({Role.ADMIN})
    NODE = frozenset({Role.NODE})


def admit(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route. Raises Unauthenticated, Denied or Busy."""
    rule: Rule = handler.opt[OPTION]
    turnstile: Turnstile = connection.app.state.turnstile
    if rule is Rule.PUBLIC:
        if not handler.opt.get(FREE):
            turnstile.pass_(Whose.ADDRESS, _address(connection))
        return
    identify = handler.opt.get(IDENTIFY, by_bearer)
    try:
        caller: Identity = identify(connection)
    except Unauthenticated:
        whose = Whose.FAILURE if identify is by_bearer else Whose.ADDRESS
        turnstile.pass_(whose, _address(connection))
        raise
    if caller.role is not Role.NODE:
        turnstile.pass_(Whose.TOKEN, caller.name)
    if caller.role not in rule.value:
        wanted = " or ".join(one(role) for role in sorted(rule.value))
        raise Denied(f"{caller.name} is {one(caller.role)}; this takes {wanted}")
    connection.scope["user"] = caller


def _address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return connection.client.host if connection.client is not None else ""


def by_bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> Identity:
    """The caller, by the token in the Authorization header. Raises Unauthenticated."""
    callers: Callers = connection.app.state.plane.callers
    return callers.identify(bearer(connection))


def check_rules(app: Litestar) -> None:
    """Raise RuntimeError when a route has no rule: it must not be served by oversight."""
    missing = sorted(
        f"{handler} at {path}"
        for path, handler in routes(app)
        if not isinstance(handler.opt.get(OPTION), Rule)
    )
    if missing:
        raise RuntimeError(f"routes that do not say who may use them: {', '.join(missing)}")


def routes(app: Litestar) -> Iterator[tuple[str, BaseRouteHandler]]:
    """Every route's path and handler, but for the framework's own answers to OPTIONS."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.http_methods != {"OPTIONS"}:
                    yield route.path, handler
        elif isinstance(route, WebSocketRoute):
            yield route.path, route.route_handler
        else:
            yield route.path, route.route_handler
