"""An app's page as values: facts in, everything that the templates show out."""

from msgspec import Struct

from headway.model.hold import Hold
from headway.model.journal import JournalEntry
from headway.model.picture import (
    Actions,
    Alarm,
    Banner,
    BuildLine,
    EntryLine,
    NodeMap,
    RolloutPanel,
)
from headway.model.rollout import LIVE, NodeState, NodeView
from headway.server.cockpit import standing
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.lines import build_line
from headway.server.cockpit.node_map import node_map
from headway.server.cockpit.panel import panel
from headway.server.cockpit.pipeline import TierLine, pipeline
from headway.server.cockpit.train_panel import TrainPanel, train_panel
from headway.server.cockpit.words import count, short

LISTED_NODES = 40


class NodeLine(Struct, frozen=True):
    """A node that is not done, or not as it was published, and why."""

    node: str
    tier: str
    zone: str
    state: str
    running: BuildLine | None
    why: str


class AppPage(Struct, frozen=True):
    """Everything that the page of an app shows."""

    app: str
    now: float
    tab: str
    banner: Banner
    alarms: tuple[Alarm, ...]
    calm: str
    live: BuildLine | None
    live_since: float | None
    actions: Actions
    train: TrainPanel | None
    tiers: tuple[TierLine, ...]
    rollout: RolloutPanel | None
    idle: tuple[str, ...]
    holds: tuple[Hold, ...]
    map: NodeMap
    tier_sizes: tuple[tuple[str, int], ...]
    troubled: tuple[NodeLine, ...]
    troubled_more: int
    journal: tuple[EntryLine, ...]
    present: tuple[str, ...]


def make_page(facts: Facts) -> AppPage:
    """The page of an app."""
    running = facts.rollout is not None and facts.rollout.rollout.phase in LIVE
    alarms = standing.alarms(facts)
    tiers = pipeline(facts)
    banner = standing.banner(facts)
    troubled = _troubled(facts)
    return AppPage(
        app=facts.app,
        now=facts.now,
        tab=standing.tab(facts, banner),
        banner=banner,
        alarms=alarms,
        calm="" if alarms else _calm(facts),
        live=build_line(facts, facts.live) if facts.live else None,
        live_since=facts.live_since,
        actions=standing.actions(facts),
        train=train_panel(facts.train) if facts.train else None,
        tiers=tiers,
        rollout=panel(facts, facts.rollout) if facts.rollout else None,
        idle=() if running else facts.why,
        holds=facts.holds,
        map=node_map(facts),
        tier_sizes=tuple((tier.tier, tier.nodes) for tier in tiers),
        troubled=tuple(_line(facts, *one) for one in troubled[:LISTED_NODES]),
        troubled_more=max(0, len(troubled) - LISTED_NODES),
        journal=tuple(map(_entry, facts.journal[::-1])),
        present=facts.present,
    )


_URGENCY = (
    NodeState.FAILED,
    NodeState.UNKNOWN,
    NodeState.DONE,
    NodeState.MOVING,
    NodeState.HELD,
)
"""One that is done is listed because its files have changed on the disk."""


def _troubled(facts: Facts) -> list[tuple[str, NodeView]]:
    """(tier, node) of all that are not as they should be, the worst first."""
    found = [
        (tier, node)
        for tier, nodes in facts.fleet.tiers.items()
        for node in nodes
        if node.state is not NodeState.DONE or node.node in facts.drifted
    ]
    return sorted(found, key=lambda one: (_URGENCY.index(one[1].state), one[0], one[1].position))


def _line(facts: Facts, tier: str, node: NodeView) -> NodeLine:
    return NodeLine(
        node=node.node,
        tier=tier,
        zone=node.zone,
        state=node.state.value,
        running=build_line(facts, node.running) if node.running else None,
        why=node_why(facts, node),
    )


def node_why(facts: Facts, node: NodeView) -> str:
    """Why a node is as it is, in one sentence."""
    drifted = facts.drifted.get(node.node, "")
    return "; ".join(part for part in (node.why, drifted) if part)


def node_label(facts: Facts, node: NodeView) -> str:
    """A node in one line: its name, state, build and why."""
    label = f"{node.node} · {node.state} · runs {short(node.running)}"
    why = node_why(facts, node)
    return f"{label} · {why}" if why else label


def _calm(facts: Facts) -> str:
    nodes = sum(map(len, facts.fleet.tiers.values()))
    if not nodes:
        return "No node is enrolled yet"
    state = facts.rollout.rollout if facts.rollout else None
    verdicts = state.verdicts if state and state.phase in LIVE else ()
    metrics = f", {count(len(verdicts), 'metric')} within bounds" if verdicts else ""
    return f"{count(nodes, 'node')} heard from, none failed{metrics}"


def _entry(entry: JournalEntry) -> EntryLine:
    said = entry.why.startswith(f"{entry.actor} ")
    return EntryLine(entry.seq, entry.at, entry.kind, "" if said else entry.actor, entry.why)
