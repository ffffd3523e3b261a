"""The way back: the base build is restored everywhere it is not, and then the app is held."""

from msgspec import structs

from headway.core import wave, words
from headway.core.signalling import everywhere, signalled
from headway.errors import Refused
from headway.model.hold import Hold, Scope
from headway.model.rollout import Decision, FleetView, NodeState, Phase, PlaceHold, Rollout


def begin(state: Rollout, by: str, reason: str, now: float) -> Decision:
    """Turn round: at once, or by the app's own concurrency for reverts. Raises Refused."""
    if state.phase is Phase.REVERTING:
        return Decision(state, why=f"already {words.in_phase(state.phase, state.why)}")
    if state.base is None:
        raise Refused(f"{state.app} has no earlier build to go back to; pause or abort instead")
    why = f"reverting to {state.base[:12]}, by {by}: {reason}"
    at_once = state.revert_concurrency == "100%"
    turned = structs.replace(
        state,
        phase=Phase.REVERTING,
        resume_to=None,
        objections=(),
        since=now,
        ended_at=None,
        attempt=state.epoch + 1,
        retry=everywhere(state),
        turned=state.epoch + 1,
        fractions={} if at_once else state.fractions,
        layer=None if at_once else state.layer,
    )
    decision = signalled(turned, by, why, now)
    hold = Hold(
        id=f"revert-{state.id}",
        scope=Scope.APP,
        on=state.app,
        by=by,
        reason=f"reverted {state.target[:12]}: {reason}",
        at=now,
    )
    return structs.replace(decision, effects=(PlaceHold(hold), *decision.effects))


def go_on(state: Rollout, fleet: FleetView, now: float) -> Decision:
    """Lower the fronts as far as the concurrency allows, until every node has attested."""
    assert state.base is not None  # noqa: S101 - begin refuses without a base
    layered = state.layer.fractions if state.layer else {}
    fractions, layer = dict(state.fractions), dict(layered)
    for tier in set(fractions) | set(layer):
        nodes = fleet.tiers.get(tier, ())
        bound = wave.limits(nodes, state.revert_concurrency, "100%")
        front = max(fractions.get(tier, 0.0), layer.get(tier, 0.0))
        fallen = wave.fall(nodes, front, bound, state.base)
        for lowered in (fractions, layer):
            lowered[tier] = min(lowered.get(tier, 0.0), fallen)
    fractions = {tier: front for tier, front in fractions.items() if front > 0}
    layer = {tier: front for tier, front in layer.items() if front > 0}
    if fractions != state.fractions or layer != layered:
        kept = structs.replace(state.layer, fractions=layer) if state.layer and layer else None
        lowered_state = structs.replace(state, fractions=fractions, layer=kept)
        return signalled(lowered_state, state.by, state.why, now)
    everyone = [node for nodes in fleet.tiers.values() for node in nodes]
    late = [n for n in everyone if n.state not in (NodeState.DONE, NodeState.HELD)]
    if late:
        return Decision(state, why=f"reverting: waiting for {names([n.node for n in late])}")
    held = [n.node for n in everyone if n.state is NodeState.HELD and n.running != state.base]
    why = f"every node has attested {state.base[:12]} again"
    if held:
        why += f", but for {names(held)}, held by a person"
    return Decision(
        structs.replace(state, phase=Phase.REVERTED, since=now, ended_at=now, why=why), why=why
    )


def names(nodes: list[str]) -> str:
    """The first few names, and how many more."""
    shown = ", ".join(sorted(nodes)[:3])
    return shown if len(nodes) <= 3 else f"{shown} and {len(nodes) - 3} more"
