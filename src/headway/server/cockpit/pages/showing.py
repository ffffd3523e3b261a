"""Pages with forms, which are shown again when a form is refused."""

from litestar import Response

from headway.errors import HeadwayError
from headway.server.cockpit.pages import entry, node
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
