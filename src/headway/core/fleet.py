"""What the control plane knows of the fleet, held against what the signal asks of it."""

from collections.abc import Iterable

from msgspec import Struct

from headway.core.goal import goal, has_failed, wanted
from headway.model.report import Activity, Report
from headway.model.rollout import FleetView, NodeState, NodeView
from headway.model.signal import NodeRecord, Signal


class Member(Struct, frozen=True):
    """An enrolled node: its record, its last report for the app, and when it was last heard."""

    record: NodeRecord
    report: Report | None = None
    last_seen: float | None = None


def view(
    app: str, members: Iterable[Member], signal: Signal | None, now: float, silent_after: float
) -> FleetView:
    """All nodes of ``app`` by tier, each tier in order of position."""
    tiers: dict[str, list[NodeView]] = {}
    for member in members:
        seat = member.record.seats.get(app)
        if seat is not None:
            node = see(app, member, signal, now, silent_after)
            tiers.setdefault(seat.tier, []).append(node)
    return FleetView(
        {
            tier: tuple(sorted(nodes, key=lambda node: (node.position, node.node)))
            for tier, nodes in tiers.items()
        }
    )


def see(
    app: str, member: Member, signal: Signal | None, now: float, silent_after: float
) -> NodeView:
    """One node, seen against what is asked of it."""
    record, report = member.record, member.report
    seat = record.seats[app]
    running = report.running if report else None

    def node(state: NodeState, why: str) -> NodeView:
        return NodeView(record.node, record.zone, seat.position, state, running, why)

    asked = goal(signal, record, None, now, app)
    if asked.held:
        return node(NodeState.HELD, asked.why)
    if report is None or member.last_seen is None:
        return node(NodeState.UNKNOWN, "has never reported")
    if now - member.last_seen > silent_after:
        return node(NodeState.UNKNOWN, f"silent for more than {silent_after:.0f} s")
    if signal is None:
        return node(NodeState.DONE, asked.why)
    build, why = wanted(signal, seat)
    if build is None:
        return node(NodeState.DONE, why)
    if has_failed(report.failed, build, signal, seat):
        return node(NodeState.FAILED, report.error or f"{build[:12]} failed here")
    if report.epoch < signal.turned:
        return node(NodeState.MOVING, f"has not answered epoch {signal.turned} yet")
    if report.activity is not Activity.IDLE:
        return node(NodeState.MOVING, report.error or report.activity)
    if running != build:
        return node(NodeState.MOVING, report.error or "has not begun yet")
    return node(NodeState.DONE, why)
