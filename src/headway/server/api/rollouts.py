"""Rollouts and what people do to them."""

from litestar import Response, get, post
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.errors import NotFound, Refused, StaleView
from headway.model.rollout import Rollout
from headway.model.views import ActionRequest, DeployRequest, RolloutView
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule
from headway.server.database import apps, rollouts
from headway.server.lookup import find_build
from headway.server.show import show_rollout


@post(
    "/v1/apps/{app:str}/rollouts",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=201,
    summary="Deploy a build",
)
async def deploy(
    app: InPath, data: JSONBody[DeployRequest], plane: Plane, caller: Caller
) -> RolloutView:
    """Start a rollout. With ``supersede`` it takes the place of one that is under way."""
    await plane.engine.situation(app)
    build = await plane.database.read(lambda c: find_build(c, app, data.build))
    rollout = await plane.trains.deploy(app, build, data, caller.name)
    return await show_rollout(plane, rollout)


@get("/v1/apps/{app:str}/rollouts", opt={"role": Rule.VIEWER}, summary="An app's rollouts")
async def list_rollouts(
    app: InPath, plane: Plane, request: AnyRequest, limit: Limit = 20, cursor: Cursor = None
) -> Response[list[Rollout]]:
    """Newest first."""
    before = place(cursor, int)

    def read(connection: Connection) -> tuple[tuple[int, Rollout], ...]:
        if apps.get(connection, app) is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        return rollouts.numbered(connection, app, limit + 1, before)

    return page(request, await plane.database.read(read), limit)


@get("/v1/rollouts/{rollout:str}", opt={"role": Rule.VIEWER}, summary="One rollout")
async def get_rollout(rollout: InPath, plane: Plane) -> RolloutView:
    """Its state tier by tier, the one obvious next action, and what stands in the way."""
    return await show_rollout(plane, rollout)


@post(
    "/v1/rollouts/{rollout:str}/{action:str}",
    opt={"role": Rule.DEPLOYER, "errors": (Refused, StaleView)},
    status_code=200,
    summary="Advance, pause, resume, revert, abort or retry",
)
async def act(
    rollout: InPath, action: InPath, data: JSONBody[ActionRequest], plane: Plane, caller: Caller
) -> RolloutView:
    """With ``seen``, what pushes a build further fails as stale when the rollout has moved on."""
    await plane.trains.act(rollout, action, data, caller.name)
    return await show_rollout(plane, rollout)
