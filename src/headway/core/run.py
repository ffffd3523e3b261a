"""A rollout as its train sees it."""

from headway.core import plan as plans
from headway.core.next_step import standing
from headway.core.plan import title
from headway.model.plan import AppConfig, Gate
from headway.model.rollout import FleetView, Phase, Rollout
from headway.model.train import Run

_ARRIVED = frozenset({Phase.SOAKING, Phase.WAITING, Phase.SUCCEEDED})


def run_of(state: Rollout, fleet: FleetView | None) -> Run:
    """What a train needs to know of a rollout; without the fleet, of one that has just begun."""
    step = state.plan[state.step]
    earlier = state.plan[state.step - 1] if state.step else None
    phase = state.resume_to if state.phase is Phase.PAUSED else state.phase
    attested = phase in _ARRIVED or (earlier is not None and earlier.tier == step.tier)
    return Run(
        rollout=state.id,
        build=state.target,
        phase=state.phase,
        tier=step.tier,
        title=title(step),
        standing=standing(state),
        attested=attested,
        gate=_gate(state, fleet),
        quarter=_quarter(state, fleet),
        resumable=state.phase is Phase.PAUSED and not state.objections,
        asks=state.phase is Phase.SOAKING and step.sign_off > len(state.signed_off),
        release=state.release,
        why=state.why,
    )


def tiers_of(app: AppConfig, fleet: FleetView) -> tuple[str, ...]:
    """The tiers of the app's plan that have nodes, in its order."""
    plan = app.plans.get("default") or next(iter(app.plans.values()), ())
    return tuple(tier for tier in dict.fromkeys(s.tier for s in plan) if fleet.tiers.get(tier))


def _gate(state: Rollout, fleet: FleetView | None) -> str:
    if state.phase is not Phase.WAITING or fleet is None:
        return ""
    step = state.plan[plans.upcoming(state.plan, state.step, fleet)]
    return step.tier if step.gate is Gate.MANUAL else ""


def _quarter(state: Rollout, fleet: FleetView | None) -> int:
    nodes = fleet.tiers.get(state.plan[state.step].tier, ()) if fleet is not None else ()
    running = sum(1 for node in nodes if node.running == state.target)
    return 4 * running // len(nodes) if nodes else 0
