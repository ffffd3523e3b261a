"""What the forms of the cockpit's pages do: the same as the API, by the same way.

Each answers with a page to go to, or when it is refused with its own page, the sentence why, and
what was typed.
"""

from litestar import Response, post
from litestar.di import NamedDependency

from headway.errors import HeadwayError, InvalidInput, NotFound, StaleView
from headway.model.release_views import CutRequest, HotfixRequest, RevertRequest
from headway.model.signal import NodeHold
from headway.model.views import DeployRequest
from headway.server.api.given import InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.answers import elsewhere
from headway.server.cockpit.pages import entry
from headway.server.cockpit.pages.asked import Typed, address, moment, reason, request, typed
from headway.server.cockpit.pages.showing import (
    show_build,
    show_entry,
    show_node,
    show_queue,
    show_release,
)
from headway.server.cockpit.pages.visit import Visit
from headway.server.lookup import find_build

OneVisit = NamedDependency[Visit]


@post("/apps/{app:str}/history/{rollout:str}/deploy", opt={"role": Rule.DEPLOYER})
async def deploy_again(visit: OneVisit, app: InPath, rollout: InPath) -> Response[str]:
    """Deploy the build of a rollout once more, if nothing has begun since the page was made."""
    form = await typed(visit.request)
    target = (await entry.gather(visit.plane, app, rollout)).state.target
    try:
        await _deploy(visit, app, target, form)
    except HeadwayError as problem:
        return await show_entry(visit, app, rollout, problem, form)
    return elsewhere(address(app))


@post("/apps/{app:str}/builds/{build:str}/deploy", opt={"role": Rule.DEPLOYER})
async def deploy_build(visit: OneVisit, app: InPath, build: InPath) -> Response[str]:
    """Deploy a build, if nothing has begun since the page was made."""
    form = await typed(visit.request)
    try:
        await _deploy(visit, app, build, form)
    except HeadwayError as problem:
        return await show_build(visit, app, build, problem=problem, form=form)
    return elsewhere(address(app))


async def _deploy(visit: Visit, app: str, build: str, form: Typed) -> None:
    """Deploy a build, or a release, as the API would; stale forms are refused."""
    plane = visit.plane
    wanted = request(
        DeployRequest,
        build=build,
        plan=form["plan"] or "default",
        reason=reason(form, "deploy it"),
        supersede=bool(form["supersede"]),
        seen=form["seen"],
    )
    found = await plane.database.read(lambda c: find_build(c, app, build))
    await plane.trains.deploy(app, found, wanted, visit.caller.name)


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


@post("/apps/{app:str}/releases", opt={"role": Rule.DEPLOYER})
async def cut_release(visit: OneVisit, app: InPath) -> Response[str]:
    """Cut a release up to a change that the page showed, and no further."""
    form = await typed(visit.request)
    try:
        wanted = request(
            CutRequest, until=form["until"], reason=form["reason"], override=form["override"]
        )
        made = await visit.plane.releases.cut(app, wanted, visit.caller.name)
    except HeadwayError as problem:
        return await show_queue(visit, app, problem, form)
    return elsewhere(address(app, "releases", made))


@post("/apps/{app:str}/releases/{release:str}/{deed:str}", opt={"role": Rule.DEPLOYER})
async def act_on_release(
    visit: OneVisit, app: InPath, release: InPath, deed: InPath
) -> Response[str]:
    """Deploy a release, pick changes onto it, or take some back, as it was when it was shown."""
    form, plane, by = await typed(visit.request), visit.plane, visit.caller.name
    try:
        await _check_release(visit, app, release, form)
        changes = tuple(form["changes"].split())
        match deed:
            case "deploy":
                await _deploy(visit, app, release, form)
                return elsewhere(address(app))
            case "hotfix":
                if not changes:
                    raise InvalidInput("name the changes to pick: #123, or a commit")
                why = reason(form, "pick them")
                fix = request(HotfixRequest, changes=changes, reason=why, override=form["override"])
                await plane.releases.hotfix(release, fix, by)
            case "revert":
                why = reason(form, "take them back")
                back = request(RevertRequest, changes=changes, reason=why)
                await plane.releases.revert(release, back, by)
            case _:
                raise NotFound(f"nothing is called {deed[:40]!a}; load the page again")
    except HeadwayError as problem:
        return await show_release(visit, app, release, problem, form)
    return elsewhere(address(app, "releases", release))


async def _check_release(visit: Visit, app: str, release: str, form: Typed) -> None:
    """Raise NotFound when it is another app's, StaleView when it has another head than shown."""
    state = await visit.plane.releases.known(release)
    if state.app != app:
        raise NotFound(f"{app[:80]} has no release {release[:80]}")
    if form["tag"] != state.tags[-1].name:
        raise StaleView(f"{release} has moved on since you looked: it is {state.tags[-1].name} now")


FORMS = (deploy_again, deploy_build, act_on_node, forget_node, cut_release, act_on_release)
