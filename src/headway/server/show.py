"""Gathers what a view of a rollout or of nodes is made from."""

from sqlalchemy import Connection

from headway.errors import NotFound
from headway.model.rollout import Rollout
from headway.model.views import NodeStatus, RolloutView
from headway.server import views
from headway.server.database import apps, rollouts
from headway.server.plane import ControlPlane
from headway.server.situation import Situation, look


async def show_rollout(plane: ControlPlane, rollout: str) -> RolloutView:
    """A rollout as people see it. Raises NotFound."""
    now = plane.clock()

    def read(connection: Connection) -> tuple[Rollout, Situation]:
        state = rollouts.get(connection, rollout)
        if state is None:
            raise NotFound(f"there is no rollout {rollout[:80]}; see `headway rollout list`")
        return state, look(connection, state.app, now)

    state, known = await plane.database.read(read)
    return views.rollout_view(state, known, plane.engine.view(known, now), now)


async def show_nodes(
    plane: ControlPlane, app: str | None = None, node: str | None = None
) -> list[NodeStatus]:
    """Nodes of one app or of all, or one node; each once for every app that is set up."""
    now = plane.clock()

    def read(connection: Connection) -> dict[str, Situation]:
        names = [config.name for config in apps.every(connection) if app in (None, config.name)]
        return {name: look(connection, name, now) for name in names}

    known = await plane.database.read(read)
    return [
        views.node_status(record, known[name], plane.fleet, now)
        for record in plane.fleet
        for name in record.seats
        if name in known and node in (None, record.node)
    ]
