"""The one obvious thing to do next, and what stands in the way. For pages, terminal and chat."""

from headway.core import plan as plans
from headway.core.green import examine, held_by
from headway.core.plan import title
from headway.model.hold import Hold
from headway.model.plan import Gate
from headway.model.rollout import FleetView, NodeState, Observed, Phase, Rollout
from headway.model.verdict import Verdict

GOES_ON = frozenset({"advance", "resume", "retry", "sign-off"})
"""The actions that push a build further, and so must not fire on what somebody saw a while ago.

Stopping is never stale: whoever presses pause or revert means the rollout, however far it is.
"""


def standing(state: Rollout) -> str:
    """Where a rollout stands, as a mark for a person's action to refer to: ``3-waiting``."""
    return f"{state.step}-{state.phase}"


def next_action(
    state: Rollout,
    fleet: FleetView,
    holds: tuple[Hold, ...],
    verdicts: tuple[Verdict, ...],
    now: float,
    barred: str = "",
) -> tuple[str, str, tuple[str, ...]]:
    """(action, sentence, blockers): the button to show, the line beside it, and what blocks.

    The action is empty where there is nothing for a person to do but wait.
    """
    if state.phase in (Phase.SUCCEEDED, Phase.REVERTED, Phase.ABORTED, Phase.SUPERSEDED):
        held = held_by(state.app, set(), holds)
        mixed = f"{state.id} left nodes on different builds" if _is_mixed(state) else ""
        return "deploy", state.why, tuple(text for text in (held, mixed, barred) if text)
    if state.phase is Phase.REVERTING:
        return "", state.why, _unsettled(fleet)
    found = examine(state, Observed(fleet, verdicts, holds), now)
    closed = barred if state.phase in (Phase.SOAKING, Phase.WAITING) else ""
    blockers = tuple(text for text in (found.held, found.pause, closed) if text)
    step = title(state.plan[state.step])
    match state.phase:
        case Phase.PAUSED:
            failed = any(key.startswith("nodes:") for key in state.objections)
            return "retry" if failed else "resume", _choices(state), blockers
        case Phase.ROLLING:
            return "", f"{step}: {found.waiting_for or 'complete'}", blockers
        case Phase.SOAKING:
            left = state.since + state.plan[state.step].soak - now
            signing = state.plan[state.step].sign_off > len(state.signed_off)
            rest = f"soaking for {left:.0f} s more" if left > 0 else found.waiting_for
            if signing and "sign-off" in found.waiting_for:
                return "sign-off", f"{step}: {found.waiting_for}", blockers
            return "", f"{step}: {rest}", blockers
        case _:
            return "advance", _gate(state, fleet, now), blockers


def _is_mixed(state: Rollout) -> bool:
    layered = state.layer.fractions if state.layer else {}
    return state.phase is Phase.ABORTED and any((*state.fractions.values(), *layered.values()))


def _choices(state: Rollout) -> str:
    """What a paused rollout waits for; where there are objections, what resuming means."""
    if not state.objections:
        return state.why
    accepted = ", ".join(state.objections)
    return f"{state.why}; retry or revert, or resume to accept this ({accepted})"


def _gate(state: Rollout, fleet: FleetView, now: float) -> str:
    step = state.plan[plans.upcoming(state.plan, state.step, fleet)]
    done = title(state.plan[state.step])
    if step.gate is Gate.MANUAL:
        return f"{done} is green; {title(step)} waits for a person"
    left = max(0.0, state.since + step.notice - now)
    return f"{done} is green; {title(step)} begins in {left:.0f} s unless somebody pauses"


def _unsettled(fleet: FleetView) -> tuple[str, ...]:
    return tuple(
        f"{node.node}: {node.why or node.state}"
        for nodes in fleet.tiers.values()
        for node in nodes
        if node.state not in (NodeState.DONE, NodeState.HELD)
    )[:5]
