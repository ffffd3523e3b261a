"""The addresses of the cockpit's pages beside that of an app's present state."""

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide

from headway.server.api.given import Filter, InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.pages import builds, history, nodes, releases, statistics
from headway.server.cockpit.pages.asked import asked, day, number
from headway.server.cockpit.pages.forms import FORMS
from headway.server.cockpit.pages.showing import (
    show_build,
    show_entry,
    show_node,
    show_queue,
    show_release,
)
from headway.server.cockpit.pages.visit import Visit, visit

OneVisit = NamedDependency[Visit]


@get("/apps/{app:str}/history", opt={"role": Rule.VIEWER})
async def show_history(
    visit: OneVisit,
    app: InPath,
    text: Filter = None,
    person: Filter = None,
    outcome: Filter = None,
    since: Filter = None,
    until: Filter = None,
    before: Filter = None,
) -> Response[str]:
    """What was live when."""
    wanted = history.Wanted(
        text=asked(text),
        person=asked(person),
        outcome=asked(outcome),
        since=asked(since),
        until=asked(until),
        begin=day(since),
        end=day(until, end=True),
    )
    page = history.make_history(await history.gather(visit.plane, app, wanted, number(before)))
    return await visit.show("history", app, "history", page=page)


@get("/apps/{app:str}/history/{rollout:str}", opt={"role": Rule.VIEWER})
async def show_rollout(visit: OneVisit, app: InPath, rollout: InPath) -> Response[str]:
    """One rollout's story."""
    return await show_entry(visit, app, rollout)


@get("/apps/{app:str}/nodes", opt={"role": Rule.VIEWER})
async def show_nodes(
    visit: OneVisit,
    app: InPath,
    text: Filter = None,
    tier: Filter = None,
    zone: Filter = None,
    status: Filter = None,
    mark: Filter = None,
    after: Filter = None,
) -> Response[str]:
    """What each node runs."""
    wanted = nodes.Wanted(asked(text), asked(tier), asked(zone), asked(status), asked(mark))
    page = nodes.make_nodes(await nodes.gather(visit.plane, app, wanted, asked(after)))
    return await visit.show("nodes", app, "nodes", page=page)


@get("/apps/{app:str}/nodes/{node:str}", opt={"role": Rule.VIEWER})
async def show_one_node(visit: OneVisit, app: InPath, node: InPath) -> Response[str]:
    """One node, and why it runs what it runs."""
    return await show_node(visit, app, node)


@get("/apps/{app:str}/statistics", opt={"role": Rule.VIEWER})
async def show_statistics(visit: OneVisit, app: InPath, days: Filter = None) -> Response[str]:
    """How often, how fast and how safely."""
    wanted = next((one for one in statistics.RANGES if str(one) == days), statistics.RANGES[0])
    facts = await statistics.gather(visit.plane, app, wanted)
    page = statistics.make_statistics(facts)
    return await visit.show("statistics", app, "statistics", page=page)


@get("/apps/{app:str}/releases", opt={"role": Rule.VIEWER})
async def show_releases(visit: OneVisit, app: InPath, before: Filter = None) -> Response[str]:
    """What was cut, and what became of it."""
    page = releases.make_releases(await releases.gather(visit.plane, app, number(before)))
    return await visit.show("releases", app, "releases", page=page)


@get("/apps/{app:str}/releases/queue", opt={"role": Rule.VIEWER})
async def show_waiting(visit: OneVisit, app: InPath) -> Response[str]:
    """What waits for the next release."""
    return await show_queue(visit, app)


@get("/apps/{app:str}/releases/{release:str}", opt={"role": Rule.VIEWER})
async def show_one_release(visit: OneVisit, app: InPath, release: InPath) -> Response[str]:
    """A release, its changes and who looked at them."""
    return await show_release(visit, app, release)


@get("/apps/{app:str}/builds", opt={"role": Rule.VIEWER})
async def show_builds(visit: OneVisit, app: InPath, before: Filter = None) -> Response[str]:
    """What was published, and where it runs."""
    page = builds.make_builds(await builds.gather(visit.plane, app, number(before)))
    return await visit.show("builds", app, "builds", page=page)


@get("/apps/{app:str}/builds/{build:str}", opt={"role": Rule.VIEWER})
async def show_one_build(
    visit: OneVisit, app: InPath, build: InPath, since: Filter = None
) -> Response[str]:
    """A build, and what it changes from another."""
    return await show_build(visit, app, build, asked(since))


def pages() -> Router:
    """All of them, with their forms."""
    return Router(
        "/",
        route_handlers=[
            show_history,
            show_rollout,
            show_nodes,
            show_one_node,
            show_statistics,
            show_releases,
            show_waiting,
            show_one_release,
            show_builds,
            show_one_build,
            *FORMS,
        ],
        dependencies={"visit": Provide(visit, sync_to_thread=False)},
    )
