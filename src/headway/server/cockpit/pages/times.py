"""The forms of holds, freezes and shifts."""

from litestar import Response, post
from litestar.di import NamedDependency

from headway.errors import HeadwayError, NotFound
from headway.model.release_views import FreezeRequest, ShiftRequest
from headway.model.views import HoldRequest
from headway.server import holding, timetable
from headway.server.api.given import InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.answers import elsewhere
from headway.server.cockpit.pages.asked import address, moment, reason, request, typed
from headway.server.cockpit.pages.showing import show_holds, show_schedule
from headway.server.cockpit.pages.visit import Visit

OneVisit = NamedDependency[Visit]


@post("/apps/{app:str}/holds", opt={"role": Rule.DEPLOYER})
async def place_hold(visit: OneVisit, app: InPath) -> Response[str]:
    """Hold the app, a tier or lane of it, or its train."""
    form = await typed(visit.request)
    scope, _, on = form["on"].partition(":")
    try:
        if on.partition("/")[0] != app:
            raise NotFound("choose what to hold from the list")
        wanted = request(
            HoldRequest,
            scope=scope,
            on=on,
            reason=reason(form, "hold it"),
            until=moment(form["until"]),
        )
        await holding.place(visit.plane, wanted, visit.caller.name)
    except HeadwayError as problem:
        return await show_holds(visit, app, problem, form)
    return elsewhere(address(app, "holds"))


@post("/apps/{app:str}/holds/lift", opt={"role": Rule.DEPLOYER})
async def lift_hold(visit: OneVisit, app: InPath) -> Response[str]:
    """What waited for it goes on by itself."""
    form = await typed(visit.request)
    try:
        await holding.lift(visit.plane, form["hold"], visit.caller.name)
    except HeadwayError as problem:
        return await show_holds(visit, app, problem, form)
    return elsewhere(address(app, "holds"))


@post("/apps/{app:str}/schedule/{deed:str}", opt={"role": Rule.DEPLOYER})
async def change_schedule(visit: OneVisit, app: InPath, deed: InPath) -> Response[str]:
    """Declare a freeze or end one, take the shift or hand it over."""
    form, plane, by = await typed(visit.request), visit.plane, visit.caller.name
    try:
        match deed:
            case "freeze":
                freeze = request(
                    FreezeRequest,
                    begin=form["begin"].replace("T", " ") or None,
                    end=form["end"].replace("T", " "),
                    reason=reason(form, "freeze it"),
                    hotfixes=not form["strict"],
                )
                await timetable.freeze(plane, app, freeze, by)
            case "thaw":
                await timetable.thaw(plane, form["freeze"], by)
            case "shift":
                shift = request(
                    ShiftRequest,
                    person=form["person"],
                    reason=form["reason"],
                    until=moment(form["until"]),
                )
                await timetable.hand_over(plane, app, shift, by)
            case _:
                raise NotFound(f"nothing is called {deed[:40]!a}; load the page again")
    except HeadwayError as problem:
        return await show_schedule(visit, app, problem, form)
    return elsewhere(address(app, "schedule"))


TIMES = (place_hold, lift_hold, change_schedule)
