"""Holds on apps, their trains, tiers and nodes."""

from litestar import delete, get, post
from litestar.params import JSONBody

from headway.errors import NotFound
from headway.model.hold import Hold
from headway.model.views import HoldRequest
from headway.server import holding
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule


@get("/v1/holds", opt={"role": Rule.VIEWER}, summary="Every hold")
async def list_holds(plane: Plane) -> list[Hold]:
    """Those of apps and tiers first, oldest first; those that have lapsed are left out."""
    return await holding.in_force(plane)


@post(
    "/v1/holds",
    opt={"role": Rule.DEPLOYER, "errors": (NotFound,)},
    status_code=201,
    summary="Place a hold",
)
async def place_hold(data: JSONBody[HoldRequest], plane: Plane, caller: Caller) -> Hold:
    """Nothing new begins on what is held. A hold never stops a revert."""
    return await holding.place(plane, data, caller.name)


@delete("/v1/holds/{hold:str}", opt={"role": Rule.DEPLOYER}, summary="Lift a hold")
async def lift_hold(hold: InPath, plane: Plane, caller: Caller) -> None:
    """What waited for it goes on by itself."""
    await holding.lift(plane, hold, caller.name)
