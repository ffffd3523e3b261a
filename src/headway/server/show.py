"""Gathers what a view of a rollout or of nodes is made from."""

from itertools import islice

from sqlalchemy import Connection

from headway.errors import NotFound
from headway.model.rollout import NodeState, Rollout
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
    plane: ControlPlane,
    app: str | None = None,
    node: str | None = None,
    tier: str | None = None,
    state: NodeState | None = None,
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[NodeStatus]:
    """Nodes of one app or of all, or one node; each once for every app that is set up.

    By name and app: the first ``limit`` that come ``after`` a node and app.
    """
    now = plane.clock()

    def read(connection: Connection) -> dict[str, Situation]:
        names = [config.name for config in apps.every(connection) if app in (None, config.name)]
        return {name: look(connection, name, now) for name in names}

    known = await plane.database.read(read)
    records = plane.fleet if node is None else filter(None, [plane.fleet.record(node)])
    seats = (
        (record, name)
        for record in records
        for name in sorted(record.seats)
        if name in known
        and tier in (None, record.seats[name].tier)
        and (after is None or (record.node, name) > after)
    )
    found = (views.node_status(record, known[name], plane.fleet, now) for record, name in seats)
    return list(islice((one for one in found if state in (None, one.state)), limit))
