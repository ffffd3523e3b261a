"""What the forms of the cockpit's pages do: the same as the API, by the same way.

Each answers with a page to go to, or when it is refused with its own page, the sentence why, and
what was typed.
"""

from litestar import Response, post
from litestar.di import NamedDependency

from headway.errors import HeadwayError
from headway.model.views import DeployRequest
from headway.server.api.given import InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.answers import elsewhere
from headway.server.cockpit.pages import entry
from headway.server.cockpit.pages.asked import address, reason, typed
from headway.server.cockpit.pages.showing import show_entry
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


FORMS = (deploy_again,)
