"""What the forms of the cockpit's pages do: the same as the API, by the same way.

Each answers with a page to go to, or when it is refused with its own page, the sentence why, and
what was typed.
"""

from litestar import Response, post
from litestar.di import NamedDependency

from headway.errors import HeadwayError, InvalidInput, NotFound
from headway.model.signal import NodeHold
from headway.model.views import DeployRequest
from headway.server.api.given import InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.answers import elsewhere
from headway.server.cockpit.pages import entry
from headway.server.cockpit.pages.asked import address, moment, reason, typed
from headway.server.cockpit.pages.showing import show_entry, show_node
from headway.server.cockpit.pages.visit import Visit
from headway.server.lookup import find_build

OneVisit = NamedDependency[Visit]


@post("/apps/{app:str}/history/{rollout:str}/deploy", opt={"role": Rule.DEPLOYER})
async def deploy_again(visit: OneVisit, app: InPath, rollout: InPath) -> Response[str]:
    """Deploy the build of a rollout once more, if nothing has begun since the page was made."""
    form, plane = await typed(visit.request), visit.plane
    target = (await entry.gather(plane, app, rollout)).state.target
    try:
        request = DeployRequest(
            build=target,
            plan=form["plan"] or "default",
            reason=reason(form, "deploy it"),
            supersede=bool(form["supersede"]),
            seen=form["seen"],
        )
        build = await plane.database.read(lambda c: find_build(c, app, target))
        await plane.trains.deploy(app, build, request, visit.caller.name)
    except HeadwayError as problem:
        return await show_entry(visit, app, rollout, problem, form)
    return elsewhere(address(app))


@post("/apps/{app:str}/nodes/{node:str}/{deed:str}", opt={"role": Rule.DEPLOYER})
async def act_on_node(visit: OneVisit, app: InPath, node: InPath, deed: InPath) -> Response[str]:
    """Hold a node or let it go, pin it or take the pin away, or ask it to verify."""
    form, plane, by = await typed(visit.request), visit.plane, visit.caller.name
    try:
        match deed:
            case "hold":
                until = moment(form["until"])
                if until is not None and until <= plane.clock():
                    raise InvalidInput("the hold would end before it begins")
                hold = NodeHold(by, reason(form, "hold it"), until)
                await plane.roster.hold(node, hold)
            case "unhold":
                await plane.roster.unhold(node, by)
            case "pin":
                build = await plane.database.read(lambda c: find_build(c, app, form["build"]))
                await plane.roster.pin(node, app, build.id, by)
            case "unpin":
                await plane.roster.pin(node, app, None, by)
            case "verify":
                await plane.roster.verify(node, app, by)
            case _:
                raise NotFound(f"nothing is called {deed[:40]!a}; load the page again")
    except HeadwayError as problem:
        return await show_node(visit, app, node, problem, form)
    return elsewhere(address(app, "nodes", node))


@post("/apps/{app:str}/nodes/{node:str}/forget", opt={"role": Rule.ADMIN})
async def forget_node(visit: OneVisit, app: InPath, node: InPath) -> Response[str]:
    """Strike a node off the fleet, if its name was typed."""
    form = await typed(visit.request)
    try:
        if form["name"] != node:
            raise InvalidInput(f"type {node} to strike it off")
        await visit.plane.engine.forget(node, visit.caller.name)
    except HeadwayError as problem:
        return await show_node(visit, app, node, problem, form)
    return elsewhere(address(app, "nodes"))


FORMS = (deploy_again, act_on_node, forget_node)
