"""Looks up what an app's page is made from."""

from collections.abc import Iterable
from functools import partial

from msgspec import Struct
from sqlalchemy import Connection

from headway.guard.curves import NOTHING
from headway.model.build import Build
from headway.model.journal import JournalEntry
from headway.model.names import BuildId
from headway.model.rollout import LIVE, FleetView, Rollout
from headway.model.train import Train
from headway.server import views
from headway.server.chatting import show
from headway.server.cockpit.charts import REACH, Charts, make_charts, step_of
from headway.server.cockpit.facts import Facts
from headway.server.database import apps, builds, journal, rollouts, trains
from headway.server.plane import ControlPlane
from headway.server.reasons import reasons
from headway.server.situation import Situation, look

JOURNAL_ENTRIES = 25

LINES = 100
"""So many of the last rollouts of each lane may have a line on the graphs."""


class _Known(Struct, frozen=True):
    situation: Situation
    live: Rollout | None
    first: tuple[JournalEntry, ...]
    newest: tuple[JournalEntry, ...]
    train: Train
    published: Build | None
    builds: dict[BuildId, Build]


async def every_app(plane: ControlPlane) -> list[str]:
    """The names of all apps."""
    return [config.name for config in await plane.database.read(apps.every)]


async def gather(plane: ControlPlane, app: str, present: tuple[str, ...] = ()) -> Facts:
    """An app as it is now; ``present`` have its page open. Raises NotFound."""
    now = plane.clock()
    known = await plane.database.read(partial(_read, app=app, now=now))
    situation = known.situation
    latest, fleet = situation.latest, plane.engine.view(situation, now)
    found, named = known.builds, _running(fleet) - known.builds.keys()
    if named:
        found |= await plane.database.read(partial(_builds, app=app, ids=named))
    running = latest is not None and latest.phase in LIVE
    return Facts(
        app=app,
        now=now,
        live=situation.live_build,
        live_since=known.live.ended_at if known.live else None,
        rollout=views.rollout_view(latest, situation, fleet, now) if latest else None,
        begun=known.first[0].why if known.first else "",
        builds=found,
        newest=known.published,
        fleet=fleet,
        drifted=plane.fleet.drifted(app),
        holds=tuple(h for h in situation.holds if h.on == app or h.on.startswith(f"{app}/")),
        train=show(known.train),
        journal=known.newest,
        why=() if running else await reasons(plane, situation, fleet, now),
        present=present,
    )


def _read(connection: Connection, app: str, now: float) -> _Known:
    situation = look(connection, app, now)
    latest = situation.latest
    named = {situation.live_build} | ({latest.target, latest.base} if latest else set())
    return _Known(
        situation,
        rollouts.last_succeeded(connection, app),
        journal.entries(connection, rollout=latest.id if latest else "", after=0, limit=1),
        journal.entries(connection, app=app, limit=JOURNAL_ENTRIES, told=True),
        trains.get(connection, app),
        next(iter(builds.newest(connection, app, 1)), None),
        _builds(connection, app, [build for build in named if build is not None]),
    )


def _running(fleet: FleetView) -> set[BuildId]:
    running = {node.running for nodes in fleet.tiers.values() for node in nodes}
    return {build for build in running if build is not None}


def _builds(connection: Connection, app: str, ids: Iterable[BuildId]) -> dict[BuildId, Build]:
    return {build.id: build for id in ids for build in builds.find(connection, app, id)}


async def gather_charts(plane: ControlPlane, app: str) -> Charts:
    """What the graphs of an app show. Raises NotFound."""
    now = plane.clock()
    situation = await plane.engine.situation(app)
    partner = situation.home.partner if situation.home is not None else None

    def read(connection: Connection) -> list[tuple[str, Rollout]]:
        found = [("deploy", one) for one in rollouts.newest(connection, app, LINES)]
        if partner:
            found += [("config", one) for one in rollouts.newest(connection, partner, LINES)]
        return found

    lines = await plane.database.read(read)
    latest = situation.latest
    if plane.guard is None:
        return make_charts((), NOTHING, latest, lines, now)
    found = plane.guard.curves(situation.config, latest, now - REACH, step_of(REACH))
    return make_charts(plane.guard.watched(situation.config).metrics, found, latest, lines, now)
