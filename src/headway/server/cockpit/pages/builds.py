"""An app's builds: what they are made of, and where they run."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.rollout import FleetView
from headway.server.cockpit.pages.asked import address
from headway.server.cockpit.pages.named import Named
from headway.server.database import builds
from headway.server.plane import ControlPlane
from headway.server.situation import look

ROWS = 40


class Facts(Struct, frozen=True):
    """What the page is made from: builds with their numbers, newest first, and how many nodes run
    each in a tier."""

    app: str
    builds: tuple[tuple[int, Build], ...] = ()
    running: Mapping[BuildId, Mapping[str, int]] = {}
    live: BuildId | None = None
    more: bool = False


class Runs(Struct, frozen=True):
    """How many nodes of a tier run a build."""

    tier: str
    nodes: int


class Row(Struct, frozen=True):
    """One build."""

    build: Named
    created_at: float
    files: int
    bytes: int
    new_bytes: int
    runs: tuple[Runs, ...]
    live: bool


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    rows: tuple[Row, ...]
    older: str


def make_builds(facts: Facts) -> Page:
    """The page."""
    older = address(facts.app, "builds", before=str(facts.builds[-1][0])) if facts.more else ""
    return Page(facts.app, tuple(_row(facts, build) for _, build in facts.builds), older)


def _row(facts: Facts, build: Build) -> Row:
    live = build.id == facts.live
    role = "live" if live else "other"
    return Row(
        build=Named(build.id, role, build.commit, build.subject, build.by),
        created_at=build.created_at,
        files=build.files,
        bytes=build.bytes,
        new_bytes=build.new_bytes,
        runs=tuple(Runs(*item) for item in facts.running.get(build.id, {}).items()),
        live=live,
    )


def running(view: FleetView) -> dict[BuildId, dict[str, int]]:
    """How many nodes run each build, by tier."""
    found: dict[BuildId, dict[str, int]] = {}
    for tier, nodes in view.tiers.items():
        for build, amount in Counter(node.running for node in nodes).items():
            if build is not None:
                found.setdefault(build, {})[tier] = amount
    return found


async def gather(plane: ControlPlane, app: str, before: int | None = None) -> Facts:
    """An app's builds. Raises NotFound."""
    known, now = await plane.engine.situation(app), plane.clock()
    view = plane.engine.view(known, now)

    def read(connection: Connection) -> Facts:
        look(connection, app, now)
        found = builds.numbered(connection, app, ROWS + 1, before)
        more = len(found) > ROWS
        return Facts(app, found[:ROWS], running(view), known.live_build, more)

    return await plane.database.read(read)
