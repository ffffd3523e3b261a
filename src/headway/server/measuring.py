"""How long requests take, by the template of their route."""

from collections.abc import Callable
from time import perf_counter

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from headway.server.meters import Meters


def measuring(meters: Meters) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware that counts every request which has a route, but for streams.

    A path without a route never comes here: no label follows what a stranger asks for.
    """

    def measured(app: ASGIApp) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            status, began = 0, perf_counter()

            async def note(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = 0 if _streams(message) else message["status"]
                await send(message)

            try:
                await app(scope, receive, note)
            finally:
                if status:
                    took = perf_counter() - began
                    meters.answered(scope["method"], scope["path_template"], status, took)

        return serve

    return measured


def _streams(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]  # type: ignore[typeddict-item]
    return any(kind.startswith(b"text/event-stream") for kind in kinds)
