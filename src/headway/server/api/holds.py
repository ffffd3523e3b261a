"""Holds on apps, their trains, tiers and nodes."""

from litestar import Response, delete, get, post
from litestar.params import JSONBody

from headway.errors import NotFound
from headway.model.hold import Hold, Scope
from headway.model.views import HoldRequest
from headway.server import holding
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule


@get("/v1/holds", opt={"role": Rule.VIEWER}, summary="Every hold")
async def list_holds(
    plane: Plane, request: AnyRequest, limit: Limit = 500, cursor: Cursor = None
) -> Response[list[Hold]]:
    """Those of apps and tiers first, oldest first; those that have lapsed are left out."""
    after = place(cursor, tuple[bool, float, str])
    placed = [(_order(hold), hold) for hold in await holding.in_force(plane)]
    return page(request, [one for one in placed if after is None or one[0] > after], limit)


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


def _order(hold: Hold) -> tuple[bool, float, str]:
    return hold.scope is Scope.NODE, hold.at, hold.id
