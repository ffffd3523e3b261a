"""Placing holds and lifting them, for the API and the cockpit alike."""

import re
from secrets import token_hex

from sqlalchemy import Connection

from headway.errors import InvalidInput, NotFound
from headway.model.hold import Hold, Scope
from headway.model.release import Lane
from headway.model.signal import NodeHold
from headway.model.views import HoldRequest
from headway.server.database import apps, holds, journal
from headway.server.plane import ControlPlane

_NODE = "node-"
"""A hold of a node is kept in its record, where the agent sees it; its id is made of its name."""


async def in_force(plane: ControlPlane) -> list[Hold]:
    """Those of apps and tiers first, oldest first; those that have lapsed are left out."""
    now = plane.clock()
    placed = [*await plane.database.read(holds.every), *_on_nodes(plane)]
    return [hold for hold in placed if hold.until is None or now < hold.until]


async def place(plane: ControlPlane, request: HoldRequest, by: str) -> Hold:
    """Place a hold. Raises InvalidInput and NotFound."""
    now = plane.clock()
    if request.scope is Scope.NODE:
        hold = Hold(
            _NODE + request.on, request.scope, request.on, by, request.reason, now, request.until
        )
        await plane.roster.hold(request.on, NodeHold(by, request.reason, request.until))
        return hold
    app, slash, tier = request.on.partition("/")
    if request.scope in (Scope.APP, Scope.TRAIN) and slash:
        raise InvalidInput("an app is held by its name; hold one tier as scope tier, APP/TIER")
    if request.scope is Scope.LANE and tier not in set(Lane):
        raise InvalidInput("a lane is held as APP/code or APP/config")
    if request.scope is Scope.TIER and not re.fullmatch("[a-z0-9][a-z0-9._-]{0,62}", tier):
        raise InvalidInput("a tier is held as APP/TIER")
    members = plane.fleet.members(app)
    seated = {member.record.seats[app].tier for member in members}
    hold = Hold(token_hex(4), request.scope, request.on, by, request.reason, now, request.until)

    def write(connection: Connection) -> None:
        config = apps.get(connection, app)
        if config is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        tiers = {step.tier for plan in config.plans.values() for step in plan} | seated
        if request.scope is Scope.LANE and not (config.releases and config.releases.config):
            raise NotFound(f"{app} has no lanes: its configuration has no [releases.config]")
        if request.scope is Scope.TIER and tier not in tiers:
            raise NotFound(f"{app} has no tier {tier}; it has {', '.join(sorted(tiers))}")
        holds.add(connection, hold)
        why = f"{by} holds {request.on}: {request.reason}"
        journal.append(connection, at=now, app=app, actor=by, kind="hold", why=why)

    await plane.database.write(write)
    plane.news.journal_grew()
    return hold


async def lift(plane: ControlPlane, hold: str, by: str) -> None:
    """Lift a hold; what waited for it goes on by itself. Raises NotFound."""
    if hold.startswith(_NODE):
        await plane.roster.unhold(hold.removeprefix(_NODE), by)
        return

    def write(connection: Connection) -> None:
        found = holds.get(connection, hold)
        if found is None:
            raise NotFound(f"there is no hold {hold[:80]}; see `headway hold list`")
        holds.lift(connection, hold)
        journal.append(
            connection,
            at=plane.clock(),
            app=found.on.partition("/")[0],
            actor=by,
            kind="lift",
            why=f"{by} lifts the hold of {found.by} on {found.on}: {found.reason}",
        )

    await plane.database.write(write)
    plane.news.journal_grew()


def _on_nodes(plane: ControlPlane) -> list[Hold]:
    return [
        Hold(_NODE + r.node, Scope.NODE, r.node, r.hold.by, r.hold.reason, 0.0, r.hold.until)
        for r in plane.fleet
        if r.hold is not None
    ]
