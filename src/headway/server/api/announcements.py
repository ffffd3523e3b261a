"""What people are told, and what of it has not arrived."""

from typing import Annotated

from litestar import Response, get, post
from litestar.params import PathParameter, QueryParameter

from headway.errors import NotFound
from headway.model.announcement import Delivery
from headway.server.api.given import AnyRequest, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule
from headway.server.database import announcements

Number = Annotated[
    int, PathParameter(ge=1, le=2**53, description="The number of the announcement's delivery")
]
Dead = Annotated[bool, QueryParameter(description="What was given up")]


@get("/v1/announcements", opt={"role": Rule.VIEWER}, summary="What has not arrived")
async def list_deliveries(
    plane: Plane,
    request: AnyRequest,
    dead: Dead = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[list[Delivery]]:
    """What is still tried, or, with ``dead``, what was given up; oldest first."""
    after = place(cursor, int) or 0
    found = await plane.database.read(lambda c: announcements.pending(c, dead, limit + 1, after))
    return page(request, [(one.id, one) for one in found], limit)


@post(
    "/v1/announcements/{delivery:int}/retry",
    opt={"role": Rule.DEPLOYER},
    status_code=200,
    summary="Send again",
)
async def retry_delivery(delivery: Number, plane: Plane) -> None:
    """Try once more what was given up."""
    now = plane.clock()
    if not await plane.database.write(lambda c: announcements.revive(c, delivery, now)):
        raise NotFound(f"{delivery} was not given up; see `headway announcement list --dead`")
