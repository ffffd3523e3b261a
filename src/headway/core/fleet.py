"""What the control plane knows of the fleet, held against what the signal asks of it."""

from collections.abc import Iterable

from msgspec import Struct

from headway.core.goal import goal, has_failed, wanted
from headway.model.report import Activity, Report
from headway.model.rollout import FleetView, NodeState, NodeView
from headway.model.signal import NodeRecord, Signal

LEFT_SHARE = 1 / 3
"""A node that has let go of its watch gets this share of the time that silence is allowed: enough
for an agent to be restarted, or to find another server."""


_AWAY = {
    Activity.DRAINING,
    Activity.SWITCHING,
    Activity.RESTARTING,
    Activity.VERIFYING,
    Activity.FLIPPING_BACK,
}


class Member(Struct, frozen=True):
    """An enrolled node: its record, its last report for the app, and when it was last heard.

    ``left`` is when its watch ended, if it has neither come back nor spoken since.
    """

    record: NodeRecord
    report: Report | None = None
    last_seen: float | None = None
    left: float | None = None


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

    def node(state: NodeState, why: str, away: bool = False) -> NodeView:
        return NodeView(record.node, record.zone, seat.position, state, running, why, away)

    asked = goal(signal, record, None, now, app)
    if asked.held:
        return node(NodeState.HELD, asked.why)
    if report is None or member.last_seen is None:
        return node(NodeState.UNKNOWN, "has never reported")
    if now - member.last_seen > silent_after:
        return node(NodeState.UNKNOWN, f"silent for more than {silent_after:.0f} s")
    if member.left is not None and now - member.left > silent_after * LEFT_SHARE:
        patience = silent_after * LEFT_SHARE
        return node(NodeState.UNKNOWN, f"its connection ended more than {patience:.3g} s ago")
    if signal is None:
        return node(NodeState.DONE, asked.why)
    build, why = wanted(signal, seat)
    if build is None:
        return node(NodeState.DONE, why)
    if has_failed(report.failed, build, signal, seat):
        # An earlier signal may have asked it to try again, and it may be about to.
        away = report.activity in _AWAY or report.epoch < signal.attempt
        return node(NodeState.FAILED, report.error or f"{build[:12]} failed here", away)
    if report.epoch < signal.turned:
        return node(NodeState.MOVING, f"has not answered epoch {signal.turned} yet")
    if 0 < report.serial < record.serial:
        # Where a hold was lifted, it may go where an earlier signal sends it.
        return node(NodeState.MOVING, "has not answered the latest about it yet")
    if running == build and _at_rest(report, signal):
        return node(NodeState.DONE, why)
    if report.activity is Activity.IDLE:
        return node(NodeState.MOVING, report.error or "has not begun yet")
    return node(NodeState.MOVING, report.error or report.activity)


def _at_rest(report: Report, signal: Signal) -> bool:
    """Whether the node stays where it is; to make the next build ready meanwhile is no move.

    Only a report on this very signal tells that apart from making ready what it is to run now.
    """
    ahead = report.activity in (Activity.FETCHING, Activity.PREPARING)
    return report.activity is Activity.IDLE or (ahead and report.epoch >= signal.epoch)
