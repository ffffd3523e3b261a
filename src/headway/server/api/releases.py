"""Releases and the changes that wait for one."""

from litestar import Response, get, post
from litestar.params import JSONBody

from headway.core.release import notes
from headway.errors import Refused
from headway.model.release import Release
from headway.model.release_views import (
    BisectRequest,
    BisectView,
    CutRequest,
    HotfixRequest,
    Notes,
    QueueView,
    ReleaseView,
    RevertRequest,
    SuspectsView,
)
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule


@get(
    "/v1/apps/{app:str}/queue",
    opt={"role": Rule.VIEWER, "errors": (Refused,)},
    summary="What waits for a release",
)
async def show_queue(app: InPath, plane: Plane) -> QueueView:
    """What was merged since what is live, oldest first, and what the gate says of it."""
    return await plane.releases.queue(app)


@get("/v1/apps/{app:str}/releases", opt={"role": Rule.VIEWER}, summary="An app's releases")
async def list_releases(
    app: InPath, plane: Plane, request: AnyRequest, limit: Limit = 20, cursor: Cursor = None
) -> Response[list[Release]]:
    """Newest first."""
    found = await plane.releases.newest(app, limit + 1, place(cursor, int))
    return page(request, [(one.number, one) for one in found], limit)


@post(
    "/v1/apps/{app:str}/releases",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=201,
    summary="Cut a release",
)
async def cut_release(
    app: InPath, data: JSONBody[CutRequest], plane: Plane, caller: Caller
) -> ReleaseView:
    """A branch and a tag, with what was merged since what is live and passes the gate."""
    return await plane.releases.view(await plane.releases.cut(app, data, caller.name))


@get("/v1/releases/{release:str}", opt={"role": Rule.VIEWER}, summary="One release")
async def show_release(release: InPath, plane: Plane) -> ReleaseView:
    """Its changes, what was picked onto it, and the one obvious next action."""
    return await plane.releases.view(release)


@get("/v1/releases/{release:str}/notes", opt={"role": Rule.VIEWER}, summary="Release notes")
async def release_notes(release: InPath, plane: Plane) -> Notes:
    """What it brings, as Markdown."""
    return Notes(notes(await plane.releases.known(release)))


@get("/v1/releases/{release:str}/suspects", opt={"role": Rule.VIEWER}, summary="Who is to blame")
async def list_suspects(release: InPath, plane: Plane) -> SuspectsView:
    """The changes that may be to blame for the metrics that fail, the most suspected first."""
    return await plane.releases.blame(release)


@post(
    "/v1/releases/{release:str}/hotfix",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=200,
    summary="Pick changes onto a release",
)
async def hotfix_release(
    release: InPath, data: JSONBody[HotfixRequest], plane: Plane, caller: Caller
) -> ReleaseView:
    """A conflict is refused with the files, and changes nothing."""
    await plane.releases.hotfix(release, data, caller.name)
    return await plane.releases.view(release)


@post(
    "/v1/releases/{release:str}/revert",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=200,
    summary="Take changes back",
)
async def revert_change(
    release: InPath, data: JSONBody[RevertRequest], plane: Plane, caller: Caller
) -> ReleaseView:
    """On the release at once, and on main by a pull request; by default what is suspected."""
    await plane.releases.revert(release, data, caller.name)
    return await plane.releases.view(release)


@post(
    "/v1/releases/{release:str}/bisect",
    opt={"role": Rule.VIEWER, "errors": (Refused,)},
    status_code=200,
    summary="Which commit to try next",
)
async def bisect_release(
    release: InPath, data: JSONBody[BisectRequest], plane: Plane
) -> BisectView:
    """Says what to try on the canary next, or who is to blame; it changes nothing."""
    return await plane.releases.bisect(release, data)
