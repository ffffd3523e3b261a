"""Looks up what an app's page is made from."""

from functools import partial

from msgspec import Struct
from sqlalchemy import Connection

from headway.model.build import Build
from headway.model.journal import JournalEntry
from headway.model.names import BuildId
from headway.model.rollout import Rollout
from headway.server import views
from headway.server.cockpit.facts import Facts
from headway.server.database import apps, builds, journal, rollouts
from headway.server.plane import ControlPlane
from headway.server.reasons import reasons
from headway.server.situation import Situation, look

JOURNAL_ENTRIES = 40


class _Known(Struct, frozen=True):
    situation: Situation
    live: Rollout | None
    first: tuple[JournalEntry, ...]
    newest: tuple[JournalEntry, ...]


async def every_app(plane: ControlPlane) -> list[str]:
    """The names of all apps."""
    return [config.name for config in await plane.database.read(apps.every)]


async def gather(plane: ControlPlane, app: str) -> Facts:
    """An app as it is now. Raises NotFound."""
    now = plane.clock()
    known = await plane.database.read(partial(_read, app=app, now=now))
    situation = known.situation
    latest, fleet = situation.latest, plane.engine.view(situation, now)
    nodes = tuple(
        views.node_status(record, situation, plane.fleet, now)
        for record in plane.fleet
        if app in record.seats
    )
    named = {situation.live_build, *(node.running for node in nodes)}
    if latest is not None:
        named |= {latest.target, latest.base}
    ids = [build for build in named if build is not None]
    found = await plane.database.read(partial(_builds, app=app, ids=ids))
    return Facts(
        app=app,
        now=now,
        live=situation.live_build,
        live_since=known.live.ended_at if known.live else None,
        rollout=views.rollout_view(latest, situation, fleet, now) if latest else None,
        begun=known.first[0].why if known.first else "",
        builds=found,
        nodes=nodes,
        holds=tuple(h for h in situation.holds if h.on == app or h.on.startswith(f"{app}/")),
        journal=known.newest,
        why=await reasons(plane, situation, fleet, now),
    )


def _read(connection: Connection, app: str, now: float) -> _Known:
    situation = look(connection, app, now)
    latest = situation.latest.id if situation.latest else ""
    return _Known(
        situation,
        rollouts.last_succeeded(connection, app),
        journal.entries(connection, rollout=latest, after=0, limit=1),
        journal.entries(connection, app=app, limit=JOURNAL_ENTRIES, told=True),
    )


def _builds(connection: Connection, app: str, ids: list[BuildId]) -> dict[BuildId, Build]:
    return {build.id: build for id in ids for build in builds.find(connection, app, id)}
