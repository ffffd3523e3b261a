"""Which builds must stay in the store."""

from collections.abc import Iterable, Sequence

from headway.core.fleet import Member
from headway.model.names import BuildId
from headway.model.rollout import Rollout
from headway.model.signal import Signal


def needed(
    app: str,
    signals: Iterable[Signal],
    members: Iterable[Member],
    rollouts: Iterable[Rollout],
    window: Sequence[BuildId],
) -> set[BuildId]:
    """The builds of ``app`` that a node runs or has prepared, that a signal can send one to, that
    a node is pinned to, that a recent rollout went from or to, and those of the revert window.
    """
    builds: set[BuildId | None] = set(window)
    for signal in signals:
        builds |= {signal.base, signal.target, signal.layer.build if signal.layer else None}
    for member in members:
        seat = member.record.seats.get(app)
        builds.add(seat.pin if seat else None)
        if member.report is not None:
            builds |= {member.report.running, member.report.prepared}
    for rollout in rollouts:
        builds |= {rollout.base, rollout.target, rollout.layer.build if rollout.layer else None}
    return {build for build in builds if build is not None}
