"""Holds on apps, their trains, tiers and nodes."""

import re
from secrets import token_hex

from litestar import delete, get, post
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.errors import InvalidInput, NotFound
from headway.model.hold import Hold, Scope
from headway.model.release import Lane
from headway.model.signal import NodeHold
from headway.model.views import HoldRequest
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.database import apps, holds, journal
from headway.server.plane import ControlPlane

_NODE = "node-"
"""A hold of a node is kept in its record, where the agent sees it; its id is made of its name."""


@get("/v1/holds", opt={"role": Rule.VIEWER}, summary="Every hold")
async def list_holds(plane: Plane) -> list[Hold]:
    """Those of apps and tiers first, oldest first; those that have lapsed are left out."""
    now = plane.clock()
    placed = [*await plane.database.read(holds.every), *_on_nodes(plane)]
    return [hold for hold in placed if hold.until is None or now < hold.until]


@post(
    "/v1/holds",
    opt={"role": Rule.DEPLOYER, "errors": (NotFound,)},
    status_code=201,
    summary="Place a hold",
)
async def place_hold(data: JSONBody[HoldRequest], plane: Plane, caller: Caller) -> Hold:
    """Nothing new begins on what is held. A hold never stops a revert."""
    now = plane.clock()
    if data.scope is Scope.NODE:
        hold = Hold(_NODE + data.on, data.scope, data.on, caller.name, data.reason, now, data.until)
        await plane.roster.hold(data.on, NodeHold(caller.name, data.reason, data.until))
        return hold
    app, slash, tier = data.on.partition("/")
    if data.scope in (Scope.APP, Scope.TRAIN) and slash:
        raise InvalidInput("an app is held by its name; hold one tier as scope tier, APP/TIER")
    if data.scope is Scope.LANE and tier not in set(Lane):
        raise InvalidInput("a lane is held as APP/code or APP/config")
    if data.scope is Scope.TIER and not re.fullmatch("[a-z0-9][a-z0-9._-]{0,62}", tier):
        raise InvalidInput("a tier is held as APP/TIER")
    members = plane.fleet.members(app)
    seated = {member.record.seats[app].tier for member in members}
    hold = Hold(token_hex(4), data.scope, data.on, caller.name, data.reason, now, data.until)

    def write(connection: Connection) -> None:
        config = apps.get(connection, app)
        if config is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        tiers = {step.tier for plan in config.plans.values() for step in plan} | seated
        if data.scope is Scope.LANE and not (config.releases and config.releases.config):
            raise NotFound(f"{app} has no lanes: its configuration has no [releases.config]")
        if data.scope is Scope.TIER and tier not in tiers:
            raise NotFound(f"{app} has no tier {tier}; it has {', '.join(sorted(tiers))}")
        holds.add(connection, hold)
        why = f"{caller.name} holds {data.on}: {data.reason}"
        journal.append(connection, at=now, app=app, actor=caller.name, kind="hold", why=why)

    await plane.database.write(write)
    plane.news.journal_grew()
    return hold


@delete("/v1/holds/{hold:str}", opt={"role": Rule.DEPLOYER}, summary="Lift a hold")
async def lift_hold(hold: InPath, plane: Plane, caller: Caller) -> None:
    """What waited for it goes on by itself."""
    if hold.startswith(_NODE):
        await plane.roster.unhold(hold.removeprefix(_NODE), caller.name)
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
            actor=caller.name,
            kind="lift",
            why=f"{caller.name} lifts the hold of {found.by} on {found.on}: {found.reason}",
        )

    await plane.database.write(write)
    plane.news.journal_grew()


def _on_nodes(plane: ControlPlane) -> list[Hold]:
    return [
        Hold(_NODE + r.node, Scope.NODE, r.node, r.hold.by, r.hold.reason, 0.0, r.hold.until)
        for r in plane.fleet
        if r.hold is not None
    ]
