"""An app's page as values: facts in, everything that the templates show out."""

from collections import Counter

from msgspec import Struct

from headway.core.drift import present
from headway.core.plan import percent, title
from headway.model.hold import Hold
from headway.model.journal import JournalEntry
from headway.model.plan import Gate, Step
from headway.model.rollout import LIVE, NodeState, Phase, SmokeFinding
from headway.model.verdict import Outcome, Verdict
from headway.model.views import NodeStatus, RolloutView, TierView
from headway.server.cockpit import standing
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.standing import Actions, Alarm, Banner
from headway.server.cockpit.words import count, duration, short

SHOWN_NODES = 600
"""How many shapes a tier shows; beyond it, only nodes that need a look have one."""

LISTED_NODES = 40


class BuildLine(Struct, frozen=True):
    """A build as people know it. ``role`` is its part in the rollout, which gives its colour."""

    id: str
    role: str
    commit: str = ""
    subject: str = ""
    by: str = ""


class Share(Struct, frozen=True):
    """How much of a tier runs a build; ``start`` and ``width`` in percent of the bar."""

    build: BuildLine
    nodes: int
    start: float
    width: float


class StateCount(Struct, frozen=True):
    """How many nodes of a tier are in a state."""

    state: str
    nodes: int


class TierLine(Struct, frozen=True):
    """One tier of the pipeline; ``reached`` is the role of the build that has come this far."""

    tier: str
    nodes: int
    fraction: str
    of: str
    reached: str
    current: bool
    shares: tuple[Share, ...]
    states: tuple[StateCount, ...]


class StepLine(Struct, frozen=True):
    """One step of the plan; ``place`` is done, current, stopped or later."""

    title: str
    place: str
    terms: str
    note: str = ""


class VerdictLine(Struct, frozen=True):
    """What a metric says; ``state`` gives colour and shape."""

    metric: str
    outcome: str
    state: str
    sentence: str


class RolloutPanel(Struct, frozen=True):
    """The latest rollout: what is being pushed, by whom and why, and where it stands."""

    id: str
    running: bool
    target: BuildLine
    base: BuildLine | None
    by: str
    begun: str
    started_at: float
    ended_at: float | None
    plan: str
    steps: tuple[StepLine, ...]
    verdicts: tuple[VerdictLine, ...]


class NodeShape(Struct, frozen=True):
    """One node: its state gives the shape, ``role`` of what it runs the filling."""

    node: str
    state: str
    role: str
    label: str


class NodeGroup(Struct, frozen=True):
    """A tier's nodes in the order in which they move; ``unseen`` have no shape."""

    tier: str
    nodes: tuple[NodeShape, ...]
    unseen: int


class NodeLine(Struct, frozen=True):
    """A node that is not done, or not as it was published, and why."""

    node: str
    tier: str
    zone: str
    state: str
    running: BuildLine | None
    why: str
    last_seen: float | None


class EntryLine(Struct, frozen=True):
    """A journal entry; ``actor`` is empty where the sentence begins with the name."""

    seq: int
    at: float
    kind: str
    actor: str
    why: str


class AppPage(Struct, frozen=True):
    """Everything that the page of an app shows."""

    app: str
    now: float
    banner: Banner
    alarms: tuple[Alarm, ...]
    calm: str
    live: BuildLine | None
    live_since: float | None
    actions: Actions
    tiers: tuple[TierLine, ...]
    rollout: RolloutPanel | None
    idle: tuple[str, ...]
    holds: tuple[Hold, ...]
    groups: tuple[NodeGroup, ...]
    troubled: tuple[NodeLine, ...]
    troubled_more: int
    journal: tuple[EntryLine, ...]


def make_page(facts: Facts) -> AppPage:
    """The page of an app."""
    troubled = [
        node for node in facts.nodes if node.state is not NodeState.DONE or present(node.report)
    ]
    running = facts.rollout is not None and facts.rollout.rollout.phase in LIVE
    alarms = standing.alarms(facts)
    return AppPage(
        app=facts.app,
        now=facts.now,
        banner=standing.banner(facts),
        alarms=alarms,
        calm="" if alarms else _calm(facts),
        live=_build(facts, facts.live) if facts.live else None,
        live_since=facts.live_since,
        actions=standing.actions(facts),
        tiers=tuple(_tier(facts, tier) for tier in _tiers(facts)),
        rollout=_panel(facts, facts.rollout) if facts.rollout else None,
        idle=() if running else facts.why,
        holds=facts.holds,
        groups=tuple(_group(facts, tier.tier) for tier in _tiers(facts)),
        troubled=tuple(_line(facts, node) for node in _urgent(troubled)[:LISTED_NODES]),
        troubled_more=max(0, len(troubled) - LISTED_NODES),
        journal=tuple(map(_entry, facts.journal[::-1])),
    )


def _tiers(facts: Facts) -> tuple[TierView, ...]:
    if facts.rollout is not None and facts.rollout.tiers:
        return facts.rollout.tiers
    names = dict.fromkeys(node.tier for node in facts.nodes)
    return tuple(_bare_tier(name, [n for n in facts.nodes if n.tier == name]) for name in names)


def _bare_tier(name: str, nodes: list[NodeStatus]) -> TierView:
    """A tier before the first rollout."""
    states = dict(Counter(node.state for node in nodes))
    builds = dict(Counter(node.running or "" for node in nodes))
    return TierView(tier=name, nodes=len(nodes), fraction=0.0, states=states, builds=builds)


def _build(facts: Facts, build: str) -> BuildLine:
    known = facts.builds.get(build)
    if known is None:
        return BuildLine(build, _role(facts, build))
    commit = known.commit[:10]
    return BuildLine(build, _role(facts, build), commit, known.subject, known.by)


def _role(facts: Facts, build: str | None) -> str:
    """What a build is in this moment; ``none`` for no build.

    While one replaces another they are ``new`` and ``old``; at rest the live one is ``live``.
    """
    if not build:
        return "none"
    state = facts.rollout.rollout if facts.rollout else None
    if state is not None and state.phase in LIVE:
        return {state.target: "new", state.base: "old"}.get(build, "other")
    return "live" if build == facts.live else "other"


def _tier(facts: Facts, tier: TierView) -> TierLine:
    state = facts.rollout.rollout if facts.rollout else None
    order = {"new": 0, "live": 0, "old": 1, "other": 2, "none": 3}
    builds = [(_build(facts, build), amount) for build, amount in tier.builds.items() if amount]
    shares, start = [], 0.0
    for build, amount in sorted(builds, key=lambda item: (order[item[0].role], -item[1])):
        width = 100 * amount / max(1, tier.nodes)
        shares.append(Share(build, amount, round(start, 2), round(width, 2)))
        start += width
    running = state is not None and state.phase in LIVE
    fraction = (
        tier.fraction if running else tier.builds.get(facts.live or "", 0) / max(1, tier.nodes)
    )
    return TierLine(
        tier=tier.tier,
        nodes=tier.nodes,
        fraction=percent(round(fraction, 3)),
        of="on the new build" if running else "on the live build",
        reached="new" if running and fraction else "live" if fraction else "",
        current=state is not None
        and state.phase in LIVE
        and state.plan[state.step].tier == tier.tier,
        shares=tuple(shares),
        states=tuple(StateCount(s.value, tier.states[s]) for s in NodeState if tier.states.get(s)),
    )


def _panel(facts: Facts, view: RolloutView) -> RolloutPanel:
    state = view.rollout
    return RolloutPanel(
        id=state.id,
        running=state.phase in LIVE,
        target=_build(facts, state.target),
        base=_build(facts, state.base) if state.base else None,
        by=state.by,
        begun=facts.begun,
        started_at=state.started_at,
        ended_at=state.ended_at,
        plan=state.plan_name,
        steps=_steps(view),
        verdicts=(*map(_verdict, state.verdicts), *map(_finding, state.findings)),
    )


def _steps(view: RolloutView) -> tuple[StepLine, ...]:
    state = view.rollout
    populated = {tier.tier for tier in view.tiers}
    lines = []
    for index, step in enumerate(state.plan):
        if index < state.step or state.phase is Phase.SUCCEEDED:
            place = "done"
        elif index > state.step:
            place = "later"
        else:
            forward = state.phase in (Phase.ROLLING, Phase.SOAKING, Phase.WAITING)
            place = "current" if forward else "stopped"
        note = "no nodes" if populated and step.tier not in populated else ""
        if place in ("current", "stopped"):
            note = state.phase.value
        lines.append(StepLine(title(step), place, _terms(step), note))
    return tuple(lines)


def _terms(step: Step) -> str:
    begins = {
        Gate.MANUAL: "begun by hand",
        Gate.ASSISTED: f"begins after {duration(step.notice)}",
        Gate.AUTO: "begins by itself",
    }
    return begins[step.gate] + (f", soaks {duration(step.soak)}" if step.soak else "")


VERDICT_STATES = {
    Outcome.PASS: "done",
    Outcome.FAIL: "failed",
    Outcome.NO_DATA: "unknown",
    Outcome.ERROR: "unknown",
}


def _finding(finding: SmokeFinding) -> VerdictLine:
    """What a check of the smoke test has found, and where it failed the last line of its output."""
    outcome = Outcome.PASS if finding.passed else Outcome.FAIL
    last = "" if finding.passed else (finding.output.strip().splitlines() or [""])[-1]
    sentence = f"{finding.sentence}: {last}" if last else finding.sentence
    return VerdictLine("smoke test", outcome.value, VERDICT_STATES[outcome], sentence)


def _verdict(verdict: Verdict) -> VerdictLine:
    state = VERDICT_STATES[verdict.outcome]
    return VerdictLine(verdict.metric, verdict.outcome.value, state, verdict.sentence)


def _group(facts: Facts, tier: str) -> NodeGroup:
    nodes = sorted((n for n in facts.nodes if n.tier == tier), key=lambda n: (n.position, n.node))
    shown = nodes
    if len(nodes) > SHOWN_NODES:
        shown = [node for node in nodes if node.state is not NodeState.DONE][:SHOWN_NODES]
    return NodeGroup(tier, tuple(_shape(facts, n) for n in shown), len(nodes) - len(shown))


def _shape(facts: Facts, node: NodeStatus) -> NodeShape:
    label = f"{node.node} · {node.state} · runs {short(node.running)}"
    if node.why:
        label += f" · {node.why}"
    return NodeShape(node.node, node.state.value, _role(facts, node.running), label)


def _urgent(nodes: list[NodeStatus]) -> list[NodeStatus]:
    # One that is done is here because its files have changed on the disk.
    order = [
        NodeState.FAILED,
        NodeState.UNKNOWN,
        NodeState.DONE,
        NodeState.MOVING,
        NodeState.HELD,
    ]
    return sorted(nodes, key=lambda node: (order.index(node.state), node.tier, node.position))


def _line(facts: Facts, node: NodeStatus) -> NodeLine:
    return NodeLine(
        node=node.node,
        tier=node.tier,
        zone=node.zone,
        state=node.state.value,
        running=_build(facts, node.running) if node.running else None,
        why=node.why,
        last_seen=node.last_seen,
    )


def _calm(facts: Facts) -> str:
    if not facts.nodes:
        return "No node is enrolled yet"
    state = facts.rollout.rollout if facts.rollout else None
    verdicts = state.verdicts if state and state.phase in LIVE else ()
    metrics = f", {count(len(verdicts), 'metric')} within bounds" if verdicts else ""
    return f"{count(len(facts.nodes), 'node')} heard from, none failed{metrics}"


def _entry(entry: JournalEntry) -> EntryLine:
    said = entry.why.startswith(f"{entry.actor} ")
    return EntryLine(entry.seq, entry.at, entry.kind, "" if said else entry.actor, entry.why)
