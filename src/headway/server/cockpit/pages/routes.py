"""The addresses of the cockpit's pages beside that of an app's present state."""

import asyncio

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide

from headway.model.access import Role
from headway.server.api.given import Filter, InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.answers import PROTECTION
from headway.server.cockpit.pages import (
    audit,
    builds,
    history,
    nodes,
    releases,
    settings,
    statistics,
)
from headway.server.cockpit.pages.asked import asked, day, number
from headway.server.cockpit.pages.forms import FORMS
from headway.server.cockpit.pages.showing import (
    show_build,
    show_entry,
    show_holds,
    show_node,
    show_queue,
    show_release,
    show_schedule,
)
from headway.server.cockpit.pages.times import TIMES
from headway.server.cockpit.pages.visit import Visit, visit
from headway.server.database.journal import Search

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
    facts = await nodes.gather(visit.plane, app, wanted, asked(after))
    # Ten thousand are counted and sorted; meanwhile the control plane has other things to do.
    page = await asyncio.to_thread(nodes.make_nodes, facts)
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


@get("/apps/{app:str}/holds", opt={"role": Rule.VIEWER})
async def show_all_holds(visit: OneVisit, app: InPath) -> Response[str]:
    """What is held, by whom and why."""
    return await show_holds(visit, app)


@get("/apps/{app:str}/schedule", opt={"role": Rule.VIEWER})
async def show_times(visit: OneVisit, app: InPath) -> Response[str]:
    """When deploys may go, and who answers for them."""
    return await show_schedule(visit, app)


async def searched(
    app: InPath,
    person: Filter = None,
    kind: Filter = None,
    text: Filter = None,
    since: Filter = None,
    until: Filter = None,
) -> audit.Wanted:
    """What the journal is searched for, as its address says."""
    search = Search(app, asked(person), asked(kind), asked(text), day(since), day(until, end=True))
    return audit.Wanted(asked(person), asked(kind), asked(text), asked(since), asked(until), search)


SEARCH = {"wanted": Provide(searched)}
Wanted = NamedDependency[audit.Wanted]


@get("/apps/{app:str}/audit", opt={"role": Rule.VIEWER}, dependencies=SEARCH)
async def show_audit(
    visit: OneVisit, app: InPath, wanted: Wanted, before: Filter = None
) -> Response[str]:
    """What was decided."""
    page = audit.make_audit(await audit.gather(visit.plane, app, wanted, number(before)))
    return await visit.show("audit", app, "audit", page=page)


@get("/apps/{app:str}/audit/export", opt={"role": Rule.VIEWER}, dependencies=SEARCH)
async def export_audit(visit: OneVisit, app: InPath, wanted: Wanted) -> Response[bytes]:
    """The same as a file, a JSON object on each line."""
    lines = await audit.export(visit.plane, app, wanted)
    headers = {
        **PROTECTION,
        "Cache-Control": "no-store",
        "Content-Disposition": 'attachment; filename="journal.jsonl"',
    }
    return Response(lines, headers=headers, media_type="application/jsonl")


@get("/apps/{app:str}/settings", opt={"role": Rule.VIEWER})
async def show_settings(visit: OneVisit, app: InPath) -> Response[str]:
    """The app's configuration; admins see who may come in, too."""
    admin = visit.caller.role is Role.ADMIN
    page = settings.make_settings(await settings.gather(visit.plane, app, admits=admin))
    return await visit.show("settings", app, "settings", page=page)


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
            show_all_holds,
            show_times,
            show_audit,
            export_audit,
            show_settings,
            *FORMS,
            *TIMES,
        ],
        dependencies={"visit": Provide(visit, sync_to_thread=False)},
    )
