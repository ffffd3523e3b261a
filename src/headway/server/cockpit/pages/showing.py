"""Pages with forms, which are shown again when a form is refused."""

from litestar import Response

from headway.errors import HeadwayError
from headway.server.cockpit.pages import build, entry, holds, node, release, releases, schedule
from headway.server.cockpit.pages.asked import Typed
from headway.server.cockpit.pages.visit import Visit

Shown = Response[str]


async def show_entry(
    visit: Visit,
    app: str,
    rollout: str,
    problem: HeadwayError | None = None,
    form: Typed | None = None,
) -> Shown:
    """One rollout's story. Raises NotFound."""
    page = entry.make_entry(await entry.gather(visit.plane, app, rollout))
    return await visit.show("entry", app, "history", problem=problem, form=form, page=page)


async def show_node(
    visit: Visit,
    app: str,
    name: str,
    problem: HeadwayError | None = None,
    form: Typed | None = None,
) -> Shown:
    """One node. Raises NotFound."""
    page = node.make_node(await node.gather(visit.plane, app, name))
    return await visit.show("node", app, "nodes", problem=problem, form=form, page=page)


async def show_queue(
    visit: Visit, app: str, problem: HeadwayError | None = None, form: Typed | None = None
) -> Shown:
    """What waits for the next release. Raises NotFound, Refused and Unreachable."""
    page = releases.make_queue(await visit.plane.releases.queue(app))
    return await visit.show("queue", app, "releases", problem=problem, form=form, page=page)


async def show_release(
    visit: Visit,
    app: str,
    name: str,
    problem: HeadwayError | None = None,
    form: Typed | None = None,
) -> Shown:
    """One release. Raises NotFound."""
    page = release.make_release(await release.gather(visit.plane, app, name))
    return await visit.show("release", app, "releases", problem=problem, form=form, page=page)


async def show_build(
    visit: Visit,
    app: str,
    name: str,
    since: str = "",
    problem: HeadwayError | None = None,
    form: Typed | None = None,
) -> Shown:
    """One build. Raises NotFound and InvalidInput."""
    page = build.make_build(await build.gather(visit.plane, app, name, since))
    return await visit.show("build", app, "builds", problem=problem, form=form, page=page)


async def show_holds(
    visit: Visit, app: str, problem: HeadwayError | None = None, form: Typed | None = None
) -> Shown:
    """What is held. Raises NotFound."""
    page = holds.make_holds(await holds.gather(visit.plane, app))
    return await visit.show("holds", app, "holds", problem=problem, form=form, page=page)


async def show_schedule(
    visit: Visit, app: str, problem: HeadwayError | None = None, form: Typed | None = None
) -> Shown:
    """Hours, freezes and shifts. Raises NotFound."""
    page = schedule.make_schedule(await schedule.gather(visit.plane, app))
    return await visit.show("schedule", app, "schedule", problem=problem, form=form, page=page)
