"""The addresses of the cockpit's pages beside that of an app's present state."""

from litestar import Response, Router, get
from litestar.di import NamedDependency, Provide

from headway.server.api.given import Filter, InPath
from headway.server.auth.rules import Rule
from headway.server.cockpit.pages import history
from headway.server.cockpit.pages.asked import asked, day, number
from headway.server.cockpit.pages.forms import FORMS
from headway.server.cockpit.pages.showing import show_entry
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


def pages() -> Router:
    """All of them, with their forms."""
    return Router(
        "/",
        route_handlers=[
            show_history,
            show_rollout,
            *FORMS,
        ],
        dependencies={"visit": Provide(visit, sync_to_thread=False)},
    )
