"""From a rollout's state to the signal that says what it asks of every node."""

from msgspec import structs

from headway.errors import Refused
from headway.model.rollout import LIVE, Decision, Phase, Rollout, WriteSignal
from headway.model.signal import Layer, Signal


def signal_of(state: Rollout) -> Signal:
    """The signal that says what the rollout, as it stands, asks of every node."""
    return Signal(
        app=state.app,
        epoch=state.epoch,
        rollout=state.id,
        base=state.base,
        target=state.target,
        fractions=state.fractions,
        attempt=state.attempt,
        prepare=state.phase in LIVE and state.phase is not Phase.REVERTING,
        issued_at=state.since,
        by=state.by,
        why=state.why[:500],
        turned=state.turned,
        layer=state.layer,
        retry=state.retry,
    )


def signalled(state: Rollout, by: str, why: str, now: float) -> Decision:
    """The state with the next epoch, and the signal that says it."""
    state = structs.replace(state, epoch=state.epoch + 1, why=why)
    signal = structs.replace(signal_of(state), issued_at=now, by=by)
    return Decision(state, (WriteSignal(signal),), why)


def left_behind(predecessor: Rollout | None) -> Layer | None:
    """What the nodes of an unfinished rollout keep until a step reaches them. Raises Refused."""
    if predecessor is None or predecessor.base is None:
        return None  # Without a base nobody is sent back, so there is nothing to keep.
    if not any(predecessor.fractions.values()):
        return predecessor.layer
    if predecessor.layer is not None:
        raise Refused(
            "two unfinished rollouts lie on top of each other; revert the last one before another"
        )
    return Layer(predecessor.target, predecessor.fractions)


def everywhere(state: Rollout) -> dict[str, float]:
    """Every tier of the plan, in full."""
    return {step.tier: 1.0 for step in state.plan}
