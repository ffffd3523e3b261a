"""The cockpit's addresses. Callers are known by their session; a token alone opens nothing here."""

import re
from typing import Any

from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.response import Stream

from headway.errors import HeadwayError, InvalidInput, NotFound, Unauthenticated
from headway.model.access import Identity
from headway.model.views import ActionRequest
from headway.server.api import frames
from headway.server.api.given import Caller, Filter, InPath, Plane
from headway.server.auth.rules import IDENTIFY, Rule
from headway.server.cockpit import answers
from headway.server.cockpit.assets import ASSETS
from headway.server.cockpit.door import SEALED_BY, VISIT, Connection
from headway.server.cockpit.pages.routes import pages
from headway.server.cockpit.render import render
from headway.server.cockpit.site import AnyRequest, Site
from headway.server.plane import ControlPlane

NEEDS_REASON = ("revert", "abort")
TheSite = NamedDependency[Site]

_NAME = "[a-z0-9][a-z0-9._-]{0,62}"
_OURS = re.compile(f"/(?:apps/{_NAME}(?:/[a-z]{{1,16}}(?:/{_NAME})?)?)?")
_STANDING = re.compile(r"[0-9]{1,4}-[a-z]{1,16}")
_FOREVER = "public, max-age=31536000, immutable"


def cockpit(plane: ControlPlane) -> Router:
    """The cockpit of ``plane``, to be served beside its API."""
    site = Site(plane)

    # The framework copies what a router is given, with all that hangs on it, but not functions.
    def identify(connection: Connection) -> Identity:
        return site.door.identify(connection)

    async def check_form(connection: Connection, handler: BaseRouteHandler) -> None:
        await site.door.check_form(connection, handler)

    return Router(
        "/",
        route_handlers=[
            home,
            show_app,
            follow_app,
            show_guard,
            act,
            sign_in_form,
            sign_in,
            sign_out,
            asset,
            pages(),
        ],
        guards=[check_form],
        opt={IDENTIFY: identify},
        dependencies={"site": Provide(lambda: site, sync_to_thread=False, use_cache=True)},
        exception_handlers={
            Unauthenticated: _to_the_door,
            HeadwayError: _on_refusal,
            HTTPException: _on_framework_error,
        },
        include_in_schema=False,
    )


@get("/", opt={"role": Rule.VIEWER})
async def home(site: TheSite, request: AnyRequest, caller: Caller) -> Response[str]:
    """All apps; where there is only one, its page."""
    return await site.home(request, caller)


@get("/apps/{app:str}", opt={"role": Rule.VIEWER})
async def show_app(
    site: TheSite, request: AnyRequest, caller: Caller, app: InPath
) -> Response[str]:
    """An app at a glance."""
    return await site.app(request, caller, app)


@get("/apps/{app:str}/guard/{rollout:str}", opt={"role": Rule.VIEWER})
async def show_guard(
    site: TheSite, request: AnyRequest, caller: Caller, app: InPath, rollout: InPath
) -> Response[str]:
    """What the guard saw of a rollout, metric by metric."""
    return await site.guard(request, caller, app, rollout)


@get("/apps/{app:str}/live", opt={"role": Rule.VIEWER})
async def follow_app(
    site: TheSite, request: AnyRequest, caller: Caller, app: InPath, plane: Plane
) -> Stream:
    """The parts of the page as they change; each event is named for its part."""
    await plane.engine.situation(app)
    response = frames.stream(site.live(request, caller, app))
    response.headers |= answers.PROTECTION
    return response


@post("/apps/{app:str}/rollouts/{rollout:str}/{action:str}", opt={"role": Rule.DEPLOYER})
async def act(
    site: TheSite,
    request: AnyRequest,
    caller: Caller,
    plane: Plane,
    app: InPath,
    rollout: InPath,
    action: InPath,
) -> Response[str]:
    """Act on the rollout as the page showed it; when it has moved on, show it anew instead."""
    form = await request.form()
    try:
        await plane.trains.act(rollout, action, _request(action, form), caller.name)
    except HeadwayError as problem:
        return await site.app(request, caller, app, problem)
    return answers.elsewhere(f"/apps/{app}")


@get("/sign-in", opt={"role": Rule.PUBLIC})
async def sign_in_form(site: TheSite, request: AnyRequest, next: Filter = None) -> Response[str]:
    """Ask for a token."""
    return _door(site, request, next or "/")


@post("/sign-in", opt={"role": Rule.PUBLIC, SEALED_BY: VISIT})
async def sign_in(site: TheSite, request: AnyRequest) -> Response[str]:
    """Exchange a token for a session."""
    form = await request.form()
    beyond, secret = _text(form, "next"), _text(form, "token").strip()
    try:
        session = site.door.sign_in(request, secret)
    except HeadwayError as problem:
        return _door(site, request, beyond, problem)
    return answers.elsewhere(_ours(beyond), (session,))


@post("/sign-out", opt={"role": Rule.VIEWER})
async def sign_out(site: TheSite, request: AnyRequest) -> Response[str]:
    """End the session."""
    return answers.elsewhere("/sign-in", (site.door.sign_out(request),))


@get("/assets/{digest:str}/{name:str}", opt={"role": Rule.PUBLIC})
async def asset(digest: InPath, name: InPath) -> Response[bytes]:
    """A file that pages load."""
    found = ASSETS.get(name)
    if found is None or found.digest != digest:
        raise NotFound("there is no such file; load the page again")
    headers = {**answers.PROTECTION, "Cache-Control": _FOREVER, "ETag": f'"{digest}"'}
    return Response(found.content, headers=headers, media_type=found.kind)


def _request(action: InPath, form: Any) -> ActionRequest:
    seen, reason = _text(form, "seen"), _text(form, "reason").strip()
    if not _STANDING.fullmatch(seen):
        raise InvalidInput("the page did not say which state it showed; load it again")
    if action in NEEDS_REASON and not reason:
        raise InvalidInput(f"say why you {action}; everybody reads it in the journal")
    return ActionRequest(reason[:500], seen)


def _text(form: Any, field: str) -> str:
    """A field of a form; whatever is not text reads as empty."""
    value = form.get(field, "")
    return value if isinstance(value, str) else ""


def _ours(path: str) -> str:
    """``path`` if it is a page of the cockpit, else its start."""
    return path if _OURS.fullmatch(path) else "/"


def _door(
    site: Site, request: AnyRequest, beyond: str, problem: HeadwayError | None = None
) -> Response[str]:
    seal, cookie = site.door.visit(request)
    notice = problem.sentence if problem else ""
    html = render("sign_in", csrf=seal, next=_ours(beyond), notice=notice, caller=None)
    return answers.page(html, problem.status if problem else 200, (cookie,))


def _to_the_door(request: AnyRequest, _: Unauthenticated) -> Response[str]:
    path = request.url.path if request.method == "GET" else "/"
    return answers.elsewhere(f"/sign-in?next={path}" if _ours(path) != "/" else "/sign-in")


def _on_refusal(_: AnyRequest, error: HeadwayError) -> Response[str]:
    return _problem(error.sentence, error.status)


def _on_framework_error(_: AnyRequest, error: HTTPException) -> Response[str]:
    return _problem(f"{error.detail}"[:500], error.status_code)


def _problem(sentence: str, status: int) -> Response[str]:
    return answers.page(render("problem", sentence=sentence, caller=None), status)
