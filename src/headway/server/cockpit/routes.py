"""The cockpit's addresses. Callers are known by their session; a token alone opens nothing here."""

import re

from litestar import Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.response import Stream

from headway.chat.grammar import Command
from headway.chat.lexer import MAX_WORDS
from headway.errors import HeadwayError, InvalidInput, NotFound, Unauthenticated
from headway.model.access import Identity
from headway.model.picture import Places
from headway.model.views import ActionRequest, DeployRequest
from headway.server.api import frames
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import IDENTIFY, Rule
from headway.server.cockpit import answers
from headway.server.cockpit.assets import ASSETS
from headway.server.cockpit.beyond import door
from headway.server.cockpit.door import Connection
from headway.server.cockpit.entrance import ENTRANCE
from headway.server.cockpit.pages.asked import Typed, reason, typed
from headway.server.cockpit.pages.routes import pages
from headway.server.cockpit.render import TRAIN_BUTTONS, render
from headway.server.cockpit.site import AnyRequest, Site
from headway.server.lookup import find_build
from headway.server.plane import ControlPlane

NEEDS_REASON = ("revert", "abort")
STOPS_THE_TRAIN = ("uhoh", "hold")
TheSite = NamedDependency[Site]

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
            show_places,
            show_node,
            show_charts,
            ask_train,
            deploy,
            show_guard,
            act,
            asset,
            pages(),
            *ENTRANCE,
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


@get("/apps/{app:str}/map", opt={"role": Rule.VIEWER})
async def show_places(site: TheSite, app: InPath) -> Response[Places]:
    """Which node each letter of the map is about."""
    return answers.data(await site.places(app))


@get("/apps/{app:str}/map/{node:str}", opt={"role": Rule.VIEWER})
async def show_node(site: TheSite, app: InPath, node: InPath) -> Response[dict[str, str]]:
    """A node of the map in one line."""
    return answers.data({"label": await site.label(app, node)})


@get("/apps/{app:str}/graphs", opt={"role": Rule.VIEWER})
async def show_charts(site: TheSite, app: InPath) -> Response[bytes]:
    """The graphs of the guard's metrics, with the lines of what was deployed."""
    return answers.data(await site.charts(app))


@post("/apps/{app:str}/train", opt={"role": Rule.DEPLOYER})
async def ask_train(
    site: TheSite, request: AnyRequest, caller: Caller, plane: Plane, app: InPath
) -> Response[str]:
    """Say something to the train: one of its commands, by a button."""
    form = await typed(request)
    say, words = form["say"], form["reason"]
    try:
        if say not in TRAIN_BUTTONS:
            raise InvalidInput("that is no button of the train; load the page again")
        if say in STOPS_THE_TRAIN:
            words = reason(form, f"press {TRAIN_BUTTONS[say]}")
        await plane.chat.do(app, caller, Command(say, text=words[:MAX_WORDS]))
    except HeadwayError as problem:
        return await site.app(request, caller, app, problem)
    return answers.elsewhere(f"/apps/{app}")


@post("/apps/{app:str}/deploy", opt={"role": Rule.DEPLOYER})
async def deploy(
    site: TheSite, request: AnyRequest, caller: Caller, plane: Plane, app: InPath
) -> Response[str]:
    """Deploy the build that the page offered, unless something was deployed since."""
    form = await typed(request)
    offered = DeployRequest(form["build"], seen=form["latest"])
    try:
        await plane.engine.situation(app)
        build = await plane.database.read(lambda c: find_build(c, app, offered.build))
        await plane.trains.deploy(app, build, offered, caller.name)
    except HeadwayError as problem:
        return await site.app(request, caller, app, problem)
    return answers.elsewhere(f"/apps/{app}")


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
    form = await typed(request)
    try:
        await plane.trains.act(rollout, action, _request(action, form), caller.name)
    except HeadwayError as problem:
        return await site.app(request, caller, app, problem)
    return answers.elsewhere(f"/apps/{app}")


@get("/assets/{digest:str}/{name:str}", opt={"role": Rule.PUBLIC})
async def asset(digest: InPath, name: InPath) -> Response[bytes]:
    """A file that pages load."""
    found = ASSETS.get(name)
    if found is None or found.digest != digest:
        raise NotFound("there is no such file; load the page again")
    headers = {**answers.PROTECTION, "Cache-Control": _FOREVER, "ETag": f'"{digest}"'}
    return Response(found.content, headers=headers, media_type=found.kind)


def _request(action: str, form: Typed) -> ActionRequest:
    if not _STANDING.fullmatch(form["seen"]):
        raise InvalidInput("the page did not say which state it showed; load it again")
    why = reason(form, action) if action in NEEDS_REASON else form["reason"]
    return ActionRequest(why[:500], form["seen"])


def _to_the_door(request: AnyRequest, _: Unauthenticated) -> Response[str]:
    going = (request.url.path, request.url.query) if request.method == "GET" else ("/", "")
    return answers.elsewhere(door(*going))


def _on_refusal(_: AnyRequest, error: HeadwayError) -> Response[str]:
    return answers.patient(_problem(error.sentence, error.status), error)


def _on_framework_error(_: AnyRequest, error: HTTPException) -> Response[str]:
    return _problem(f"{error.detail}"[:500], error.status_code)


def _problem(sentence: str, status: int) -> Response[str]:
    return answers.page(render("problem", sentence=sentence, caller=None), status)
