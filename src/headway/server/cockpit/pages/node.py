"""One node: what it should run, what it says, and what a person may ask of it."""

from collections.abc import Mapping

from msgspec import Struct

from headway.core.drift import present
from headway.core.words import lasted
from headway.errors import NotFound
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.report import Stray
from headway.model.signal import NodeHold
from headway.model.views import NodeStatus
from headway.server.cockpit.pages.named import Named, named
from headway.server.database import builds
from headway.server.plane import ControlPlane
from headway.server.show import show_nodes

OFFERED = 10
"""So many of the newest builds are offered to pin a node to."""


class Facts(Struct, frozen=True):
    """What the page is made from; ``others`` are the node's other apps."""

    now: float
    status: NodeStatus
    builds: Mapping[BuildId, Build] = {}
    live: BuildId | None = None
    newest: tuple[Build, ...] = ()
    others: tuple[str, ...] = ()


class Drifted(Struct, frozen=True):
    """A tree that is not as it was published: its first paths, and how many there are."""

    build: Named
    serving: bool
    since: float
    strays: tuple[Stray, ...]
    more: int


class Counter(Struct, frozen=True):
    """A number that the application tells."""

    name: str
    value: str


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    node: str
    tier: str
    zone: str
    position: str
    state: str
    why: str
    running: Named | None
    goal: Named | None
    prepared: Named | None
    pin: Named | None
    hold: NodeHold | None
    last_seen: float | None
    activity: str
    said: str
    error: str
    output: str
    epoch: int | None
    checked: str
    verifying: bool
    drifts: tuple[Drifted, ...]
    counters: tuple[Counter, ...]
    newest: tuple[Named, ...]
    others: tuple[str, ...]


def make_node(facts: Facts) -> Page:
    """The page."""
    status, report = facts.status, facts.status.report
    inspection = report.inspection if report else None

    def known(build: BuildId | None) -> Named | None:
        role = "live" if build == facts.live else "other"
        return named(facts.builds, build, role) if build else None

    return Page(
        app=status.app,
        node=status.node,
        tier=status.tier,
        zone=status.zone,
        position=f"{status.position:.4g}",
        state=status.state.value,
        why=status.why,
        running=known(status.running),
        goal=known(status.goal),
        prepared=known(report.prepared) if report else None,
        pin=known(status.pin),
        hold=status.hold,
        last_seen=status.last_seen,
        activity=report.activity.value if report else "",
        said=report.why if report else "",
        error=report.error if report else "",
        output=report.output if report else "",
        epoch=report.epoch if report else None,
        checked=_checked(facts),
        verifying=status.verify > (inspection.asked if inspection else 0),
        drifts=tuple(
            Drifted(
                named(facts.builds, one.build),
                one.serving,
                one.since,
                one.strays,
                one.count - len(one.strays),
            )
            for one in present(report)
        ),
        counters=tuple(
            Counter(name, f"{value:,.6g}")
            for name, value in sorted((report.counters if report else {}).items())
        ),
        newest=tuple(named(facts.builds, build.id) for build in facts.newest),
        others=facts.others,
    )


def _checked(facts: Facts) -> str:
    """When all that serves was read again the last time."""
    report = facts.status.report
    inspection = report.inspection if report else None
    if inspection is None or not inspection.ended:
        return "not read again yet"
    ago = lasted(facts.now - inspection.ended)
    return f"{inspection.files:,} files of {(inspection.build or '')[:12]} read {ago} ago"


async def gather(plane: ControlPlane, app: str, node: str) -> Facts:
    """A node of an app. Raises NotFound."""
    known = await plane.engine.situation(app)
    found = await show_nodes(plane, node=node)
    status = next((one for one in found if one.app == app), None)
    if status is None:
        raise NotFound(f"{app[:80]} has no node {node[:128]}; its nodes are listed")
    report = status.report
    drifts = {one.build for one in present(report)}
    ids = {status.running, status.goal, status.pin, report.prepared if report else None} | drifts
    newest = await plane.database.read(lambda c: builds.newest(c, app, OFFERED))
    mine = await plane.database.read(lambda c: builds.named(c, app, {one for one in ids if one}))
    return Facts(
        now=plane.clock(),
        status=status,
        builds=mine | {build.id: build for build in newest},
        live=known.live_build,
        newest=newest,
        others=tuple(one.app for one in found if one.app != app),
    )
