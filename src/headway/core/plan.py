"""Which plans make sense, and which of their steps matter to a given fleet."""

from headway.core.wave import within
from headway.errors import InvalidInput, Refused
from headway.model.plan import Step
from headway.model.rollout import FleetView


def check(name: str, plan: tuple[Step, ...]) -> None:
    """Raise InvalidInput unless the plan brings every tier it names to 100 %, step by step."""
    if not plan:
        raise InvalidInput(f'plan "{name}" has no steps')
    reached: dict[str, float] = {}
    last = ""
    for step in plan:
        if step.tier in reached and step.tier != last:
            raise InvalidInput(f'plan "{name}" comes back to tier {step.tier}; keep it together')
        if step.share <= reached.get(step.tier, 0.0):
            raise InvalidInput(f'plan "{name}": the shares of tier {step.tier} must rise')
        reached[step.tier], last = step.share, step.tier
    for tier, share in reached.items():
        if share < 1.0:
            raise InvalidInput(
                f'plan "{name}" stops at {percent(share)} of tier {tier}; end it with share = 1.0'
            )


def covers(plan: tuple[Step, ...], fleet: FleetView) -> None:
    """Raise Refused where there are no nodes, or nodes that no step of the plan reaches."""
    populated = {tier for tier, nodes in fleet.tiers.items() if nodes}
    if not populated:
        raise Refused("no node is enrolled for this app; start an agent first")
    missed = sorted(populated - {step.tier for step in plan})
    if missed:
        raise Refused(f"the plan has no step for tier {', '.join(missed)}, which has nodes")


def following(plan: tuple[Step, ...], after: int, fleet: FleetView) -> int | None:
    """The next step that adds at least one node; None when none does."""
    for index in range(after + 1, len(plan)):
        if adds(plan, index, fleet):
            return index
    return None


def upcoming(plan: tuple[Step, ...], after: int, fleet: FleetView) -> int:
    """The step that is waited for after ``after``; the last one where none adds a node any more."""
    step = following(plan, after, fleet)
    return len(plan) - 1 if step is None else step


def adds(plan: tuple[Step, ...], index: int, fleet: FleetView) -> bool:
    """Whether a step covers more nodes than the steps before it."""
    step = plan[index]
    nodes = fleet.tiers.get(step.tier, ())
    before = max((s.share for s in plan[:index] if s.tier == step.tier), default=0.0)
    return len(within(nodes, step.share)) > len(within(nodes, before))


def title(step: Step) -> str:
    """A step's name, as people say it: ``production 25 %``."""
    return f"{step.tier} {percent(step.share)}"


def percent(share: float) -> str:
    """A share in words."""
    return f"{share * 100:.4g} %"
