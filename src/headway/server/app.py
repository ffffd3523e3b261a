"""The web application of the control plane."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from litestar import Litestar, Request, Router
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope

import headway
from headway.model.access import Identity
from headway.server.api import (
    announcements,
    apps,
    builds,
    events,
    guard,
    health,
    holds,
    hooks,
    journal,
    kinds,
    metrics,
    node,
    nodes,
    picture,
    problems,
    releases,
    rollouts,
    schedule,
    store,
    tokens,
    train,
    upkeep,
    users,
)
from headway.server.api.document import document
from headway.server.auth.rules import Rule, admit, check_rules
from headway.server.measuring import measuring
from headway.server.plane import ControlPlane
from headway.server.turnstile import LimitSettings, Turnstile

MAX_BODY_BYTES = 1024 * 1024

_DESCRIPTION = """\
Headway's control plane. Points in time are seconds since the epoch, UTC; lengths of time seconds.

Every error is a Problem (RFC 9457): a `code` that programs compare, and one `sentence`.
`x-role` is the least role that an operation takes; `any` is whoever has a token.
"""

ROUTES: tuple[ControllerRouterHandler, ...] = (
    health.health,
    health.whoami,
    metrics.show_metrics,
    apps.put_app,
    apps.list_apps,
    apps.show_app,
    apps.explain_app,
    picture.show_picture,
    picture.show_places,
    builds.register_build,
    builds.list_builds,
    builds.show_build,
    upkeep.repack_builds,
    upkeep.collect_builds,
    store.read_artifact,
    store.probe_artifact,
    store.write_artifact,
    rollouts.deploy,
    rollouts.list_rollouts,
    rollouts.get_rollout,
    rollouts.act,
    guard.replay_rollout,
    guard.tune_guard,
    guard.explain_metric,
    releases.show_queue,
    releases.list_releases,
    releases.cut_release,
    releases.show_release,
    releases.release_notes,
    releases.list_suspects,
    releases.hotfix_release,
    releases.revert_change,
    releases.bisect_release,
    schedule.show_schedule,
    schedule.declare_freeze,
    schedule.end_freeze,
    schedule.change_shift,
    hooks.hear_forge,
    nodes.list_nodes,
    nodes.get_node,
    nodes.hold_node,
    nodes.unhold_node,
    nodes.pin_node,
    nodes.unpin_node,
    nodes.verify_node,
    nodes.forget_node,
    train.show_train,
    train.ask_train,
    train.offer_link,
    holds.list_holds,
    holds.place_hold,
    holds.lift_hold,
    announcements.list_deliveries,
    announcements.retry_delivery,
    journal.read_journal,
    events.follow,
    tokens.create_token,
    tokens.list_tokens,
    tokens.revoke_token,
    users.add_user,
    users.list_users,
    users.change_role,
    users.change_password,
    users.sign_out_user,
    users.remove_user,
    node.enrol,
    node.watch,
    node.report,
    node.peers,
    node.pass_on,
    kinds.explain_problem,
)

log = structlog.get_logger()


def create_app(
    plane: ControlPlane,
    more: tuple[ControllerRouterHandler, ...] = (),
    limits: LimitSettings | None = None,
) -> Litestar:
    """The application that serves ``plane``, which it starts and closes; ``more`` adds routes.

    Raises RuntimeError when a route does not say who may use it.
    """

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            await plane.start()
            yield
        finally:
            await plane.close()

    app = Litestar(
        [*ROUTES, *more],
        guards=[admit],
        dependencies={
            "plane": Provide(lambda: plane, sync_to_thread=False, use_cache=True),
            "caller": Provide(_caller, sync_to_thread=False),
        },
        exception_handlers=problems.HANDLERS,
        lifespan=[lifespan],
        state=State(
            {
                "plane": plane,
                "turnstile": Turnstile(limits or LimitSettings(), time.monotonic),
            }
        ),
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
        compression_config=_compressed_pages(),
        middleware=[measuring(plane.meters)],
        before_request=_begin,
        after_response=_log,
        before_send=[_stay_secure],
    )
    check_rules(app)
    return app


def _caller(request: Request[Identity, None, State]) -> Identity:
    return request.user


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Headway",
        version=headway.__version__,
        description=_DESCRIPTION,
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A token, which has a name and a role: `headway token new`.",
                )
            }
        ),
        security=[{"token": []}],
        use_handler_docstrings=True,
        operation_id_creator=lambda handler, _method, _path: handler.handler_name,
        render_plugins=[_Described()],
        openapi_router=Router(
            "/schema", route_handlers=[], include_in_schema=False, opt={"role": Rule.PUBLIC}
        ),
    )


async def _stay_secure(message: Message, scope: Scope) -> None:
    """Have browsers that came by https never come by anything else (RFC 6797)."""
    if message["type"] == "http.response.start" and scope["scheme"] == "https":
        headers = [*message["headers"], (b"strict-transport-security", b"max-age=31536000")]
        message["headers"] = headers


def _compressed_pages() -> CompressionConfig:
    """Pages and what they load; not the API, whose artifacts are compressed, and no stream."""
    return CompressionConfig(backend="gzip", gzip_compress_level=6, exclude=["^/v1/", "/live$"])


class _Described(JsonRenderPlugin):
    """The description, made when it is asked for first."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, as JSON."""
        state = request.app.state
        if "document" not in state:
            state["document"] = self.render_json(request, document(request.app, openapi_schema))
        described: bytes = state["document"]
        return described


def _begin(request: Request[Any, Any, Any]) -> None:
    request.state.began = time.monotonic()


def _log(request: Request[Any, Any, Any]) -> None:
    took = time.monotonic() - request.state.get("began", time.monotonic())
    log.debug("request", method=request.method, path=request.url.path, ms=round(took * 1000, 1))
