"""The schedule: when something may begin, freezes, and who is on shift."""

from litestar import delete, get, post
from litestar.params import JSONBody

from headway.errors import Refused
from headway.model.release_views import FreezeRequest, ScheduleView, ShiftRequest
from headway.model.schedule import Frozen
from headway.server import timetable
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule


@get("/v1/apps/{app:str}/schedule", opt={"role": Rule.VIEWER}, summary="When deploys may go")
async def show_schedule(app: InPath, plane: Plane) -> ScheduleView:
    """The schedule, the freezes, who is on shift, and why nothing may begin now."""
    return await timetable.show(plane, app)


@post(
    "/v1/apps/{app:str}/freezes",
    opt={"role": Rule.DEPLOYER},
    status_code=201,
    summary="Declare a freeze",
)
async def declare_freeze(
    app: InPath, data: JSONBody[FreezeRequest], plane: Plane, caller: Caller
) -> Frozen:
    """Nothing new begins in it, but for hotfixes; what runs goes on to the end of its step."""
    return await timetable.freeze(plane, app, data, caller.name)


@delete("/v1/freezes/{freeze:str}", opt={"role": Rule.DEPLOYER}, summary="End a freeze")
async def end_freeze(freeze: InPath, plane: Plane, caller: Caller) -> None:
    """One that was declared; those of the configuration end with it."""
    await timetable.thaw(plane, freeze, caller.name)


@post(
    "/v1/apps/{app:str}/shift",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=200,
    summary="Take the shift, or hand it over",
)
async def change_shift(
    app: InPath, data: JSONBody[ShiftRequest], plane: Plane, caller: Caller
) -> ScheduleView:
    """Until the rota's next turn, unless told otherwise."""
    await timetable.hand_over(plane, app, data, caller.name)
    return await timetable.show(plane, app)
