"""An app's nodes: how many stand how, and those that somebody looks for."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from headway.core import drift
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.rollout import NodeState, NodeView, Phase, Rollout
from headway.server.cockpit.pages.asked import address
from headway.server.cockpit.pages.named import Named, named
from headway.server.database import builds
from headway.server.plane import ControlPlane

ROWS = 100

MARKS = ("drift", "late", "pinned")
"""What may be true of a node in any state."""


class Wanted(Struct, frozen=True):
    """Which nodes; what is empty does not matter. ``mark`` is one of MARKS."""

    text: str = ""
    tier: str = ""
    zone: str = ""
    state: str = ""
    mark: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """What the address of such a page holds."""
        return {
            "text": self.text,
            "tier": self.tier,
            "zone": self.zone,
            "status": self.state,
            "mark": self.mark,
        }


class Seen(Struct, frozen=True):
    """One node; ``drifts`` are sentences on what is not as it was published."""

    view: NodeView
    tier: str
    last_seen: float | None = None
    pin: BuildId | None = None
    drifts: tuple[str, ...] = ()
    late: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """Those of MARKS that are true of it."""
        true = {"drift": bool(self.drifts), "late": self.late, "pinned": self.pin is not None}
        return tuple(mark for mark in MARKS if true[mark])


class Facts(Struct, frozen=True):
    """What the page is made from; ``after`` is the last name of the page before."""

    app: str
    wanted: Wanted
    nodes: tuple[Seen, ...] = ()
    builds: Mapping[BuildId, Build] = {}
    live: BuildId | None = None
    after: str = ""


class Cell(Struct, frozen=True):
    """How many nodes of a tier there are of a kind, and where they are listed."""

    amount: int
    href: str
    state: str = ""


class TierRow(Struct, frozen=True):
    """A tier's nodes, counted."""

    tier: str
    cells: tuple[Cell, ...]


class Row(Struct, frozen=True):
    """One node."""

    node: str
    tier: str
    zone: str
    state: str
    running: Named | None
    why: str
    marks: tuple[str, ...]
    last_seen: float | None


class Page(Struct, frozen=True):
    """Everything that the page shows; ``older`` is the address of what follows."""

    app: str
    wanted: Wanted
    filtered: bool
    heads: tuple[str, ...]
    tiers: tuple[TierRow, ...]
    zones: tuple[str, ...]
    states: tuple[str, ...]
    marks: tuple[str, ...]
    fitting: int
    rows: tuple[Row, ...]
    older: str


def make_nodes(facts: Facts) -> Page:
    """The page."""
    fitting = sorted(
        (node for node in facts.nodes if fits(node, facts.wanted)), key=lambda n: n.view.node
    )
    rest = [node for node in fitting if node.view.node > facts.after]
    shown, filters = rest[:ROWS], facts.wanted.filters
    older = ""
    if len(rest) > ROWS:
        older = address(facts.app, "nodes", **filters, after=shown[-1].view.node)
    return Page(
        app=facts.app,
        wanted=facts.wanted,
        filtered=any(filters.values()),
        heads=("all", *NodeState, *MARKS),
        tiers=_tiers(facts),
        zones=tuple(sorted({node.view.zone for node in facts.nodes})),
        states=tuple(NodeState),
        marks=MARKS,
        fitting=len(fitting),
        rows=tuple(_row(facts, node) for node in shown),
        older=older,
    )


def fits(node: Seen, wanted: Wanted) -> bool:
    """Whether a node is one of those that are looked for."""
    return (
        wanted.text.casefold() in node.view.node.casefold()
        and wanted.tier in ("", node.tier)
        and wanted.zone in ("", node.view.zone)
        and wanted.state in ("", node.view.state)
        and (not wanted.mark or wanted.mark in node.marks)
    )


def _tiers(facts: Facts) -> tuple[TierRow, ...]:
    counts: dict[str, Counter[str]] = {}
    for node in facts.nodes:
        counts.setdefault(node.tier, Counter()).update(("", node.view.state, *node.marks))

    def cell(tier: str, key: str) -> Cell:
        narrowed = {"mark" if key in MARKS else "status": key}
        href = address(facts.app, "nodes", tier=tier, **narrowed)
        return Cell(counts[tier][key], href, key)

    return tuple(
        TierRow(tier, tuple(cell(tier, key) for key in ("", *NodeState, *MARKS))) for tier in counts
    )


def _row(facts: Facts, node: Seen) -> Row:
    view = node.view
    role = "live" if view.running == facts.live else "other"
    return Row(
        node=view.node,
        tier=node.tier,
        zone=view.zone,
        state=view.state.value,
        running=named(facts.builds, view.running, role) if view.running else None,
        why="; ".join([view.why, *node.drifts]),
        marks=node.marks,
        last_seen=node.last_seen,
    )


def overdue(state: Rollout | None, now: float) -> str:
    """The tier whose step takes longer than it may, or an empty string."""
    if state is None or state.phase not in (Phase.ROLLING, Phase.PAUSED):
        return ""
    step = state.plan[state.step]
    return step.tier if now > state.step_since + step.deadline else ""


async def gather(plane: ControlPlane, app: str, wanted: Wanted, after: str = "") -> Facts:
    """An app's nodes as they are now. Raises NotFound."""
    known = await plane.engine.situation(app)
    now = plane.clock()
    view = plane.engine.view(known, now)
    late = overdue(known.latest, now)
    planned = dict.fromkeys(step.tier for plan in known.config.plans.values() for step in plan)
    order = [tier for tier in planned | dict.fromkeys(sorted(view.tiers)) if tier in view.tiers]
    nodes = tuple(_seen(plane, app, {tier: view.tiers[tier] for tier in order}, late))
    running = {node.view.running for node in nodes} - {None}
    found = await plane.database.read(
        lambda c: builds.named(c, app, {build for build in running if build})
    )
    return Facts(app, wanted, nodes, found, known.live_build, after)


def _seen(
    plane: ControlPlane, app: str, tiers: Mapping[str, Sequence[NodeView]], late: str
) -> Iterable[Seen]:
    for tier, nodes in tiers.items():
        for node in nodes:
            record, heard = plane.fleet.record(node.node), plane.fleet.heard(node.node, app)
            report, at = heard if heard is not None else (None, None)
            seat = record.seats.get(app) if record is not None else None
            yield Seen(
                node,
                tier,
                at,
                seat.pin if seat is not None else None,
                tuple(drift.sentence(one, app) for one in drift.present(report)),
                late=tier == late and (node.away or node.state is NodeState.MOVING),
            )
