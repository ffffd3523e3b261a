"""What people are shown of rollouts and nodes, made from what is known."""

from collections import Counter

from headway.core.drift import present, sentence
from headway.core.fleet import see
from headway.core.goal import goal
from headway.core.next_step import next_action, standing
from headway.core.signalling import signal_of
from headway.model.rollout import LIVE, FleetView, Rollout
from headway.model.signal import NodeRecord
from headway.model.views import NodeStatus, RolloutView, TierView
from headway.server.fleet import Fleet
from headway.server.situation import Situation
from headway.server.trips import barred


def rollout_view(state: Rollout, known: Situation, fleet: FleetView, now: float) -> RolloutView:
    """A rollout with its tiers and the next action; one that is history has neither."""
    if known.latest is None or known.latest.id != state.id:
        return RolloutView(state, (), next_why=state.why, standing=standing(state))
    closed = barred(known, fleet, now) if state.phase in LIVE else ""
    action, sentence, blockers = next_action(state, fleet, known.holds, state.verdicts, now, closed)
    seen = standing(state)
    return RolloutView(state, tiers(state, fleet), action, sentence, blockers, seen)


def tiers(state: Rollout, fleet: FleetView) -> tuple[TierView, ...]:
    """Every tier that has nodes, in the order of the plan."""
    planned = dict.fromkeys(step.tier for step in state.plan)
    names = [tier for tier in (planned | dict.fromkeys(sorted(fleet.tiers))) if tier in fleet.tiers]
    return tuple(
        TierView(
            tier=tier,
            nodes=len(fleet.tiers[tier]),
            fraction=state.fractions.get(tier, 0.0),
            states=dict(Counter(node.state for node in fleet.tiers[tier])),
            builds=dict(Counter(node.running or "" for node in fleet.tiers[tier])),
        )
        for tier in names
    )


def node_status(record: NodeRecord, known: Situation, fleet: Fleet, now: float) -> NodeStatus:
    """One node of one app, held against the app's latest rollout."""
    app = known.config.name
    seat = record.seats[app]
    signal = signal_of(known.latest) if known.latest else None
    member = fleet.member(record, app)
    seen = see(app, member, signal, now, known.config.silent_after)
    failed = member.report.failed if member.report else None
    return NodeStatus(
        node=record.node,
        app=app,
        tier=seat.tier,
        zone=record.zone,
        position=seat.position,
        state=seen.state,
        why="; ".join([seen.why, *(sentence(drift, app) for drift in present(member.report))]),
        running=seen.running,
        goal=goal(signal, record, failed, now, app).run,
        pin=seat.pin,
        hold=record.hold,
        last_seen=member.last_seen,
        report=member.report,
        verify=seat.verify,
    )
