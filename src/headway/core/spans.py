"""What a decision begins and ends: rollouts, their steps, and the way back.

A rollout and its step last until the build is live, or until somebody, or the guard, ends them.
The way back is a span of its own: a rollout that had succeeded can still go back. A pause ends
nothing.
"""

from collections.abc import Iterator

from msgspec import Struct, structs

from headway.core.plan import title
from headway.model.announcement import Kind, Occasion, Span
from headway.model.rollout import LIVE, Phase, Rollout

_FORWARD = LIVE - {Phase.REVERTING}


class Turn(Struct, frozen=True):
    """A span begins or, where it has ended, ends; in one sentence."""

    occasion: Occasion
    span: Span
    sentence: str


def turns(before: Rollout | None, after: Rollout, why: str, now: float) -> Iterator[Turn]:
    """What begins and ends with the decision that led to ``after``, in the order of a graph.

    ``why`` is the decision's sentence. A configuration's spans are of kind DEPLOY here, and no
    commit is known.
    """
    if before is None:
        yield Turn(Occasion.DEPLOY, _rollout(after), why)
        yield _begins(after)
        return
    if before.phase in _FORWARD and after.phase in _FORWARD and before.step != after.step:
        left = before.plan[before.step].tier != after.plan[after.step].tier
        yield _ends(before, Phase.SUCCEEDED, "", now, whole=left)
        yield _begins(after)
    if before.phase in _FORWARD and after.phase not in _FORWARD:
        # Once it goes back it is over, however long the way is.
        outcome = Phase.REVERTED if after.phase is Phase.REVERTING else after.phase
        yield _ends(before, outcome, why, now, whole=outcome is Phase.SUCCEEDED)
        yield Turn(Occasion.DEPLOY, _ended(_rollout(before), outcome, now), why)
    if before.phase is not Phase.REVERTING and after.phase is Phase.REVERTING:
        yield Turn(Occasion.RETURN, _way_back(after), why)
    if before.phase is Phase.REVERTING and after.phase is not Phase.REVERTING:
        outcome = Phase.SUCCEEDED if after.phase is Phase.REVERTED else after.phase
        yield Turn(Occasion.RETURN, _ended(_way_back(before), outcome, now), why)


def _begins(state: Rollout) -> Turn:
    step = state.plan[state.step]
    return Turn(Occasion.STEP, _step(state), f"{title(step)} begins with {state.target[:12]}")


def _ends(state: Rollout, outcome: Phase, why: str, now: float, *, whole: bool) -> Turn:
    name = title(state.plan[state.step])
    told = f"{name} is green" if outcome is Phase.SUCCEEDED else f"{name} ends: {why}"
    span = structs.replace(_ended(_step(state), outcome, now), whole=whole)
    return Turn(Occasion.STEP, span, told)


def _rollout(state: Rollout) -> Span:
    tiers = tuple(dict.fromkeys(step.tier for step in state.plan))
    return Span(state.id, state.id, Kind.DEPLOY, state.target, state.started_at, tiers, by=state.by)


def _step(state: Rollout) -> Span:
    step = state.plan[state.step]
    later = state.plan[state.step + 1 :]
    return Span(
        id=f"{state.id}/{state.step}",
        rollout=state.id,
        kind=Kind.DEPLOY,
        build=state.target,
        began=state.step_since,
        tiers=(step.tier,),
        share=step.share,
        whole=all(other.tier != step.tier for other in later),
        by=state.by,
    )


def _way_back(state: Rollout) -> Span:
    """``turned`` tells this way back from an earlier one of the same rollout."""
    reached = state.plan[: state.step + 1]
    return Span(
        id=f"{state.id}/back/{state.turned}",
        rollout=state.id,
        kind=Kind.REVERT,
        build=state.base or "",
        began=state.since,
        tiers=tuple(dict.fromkeys(step.tier for step in reached)),
        by=state.by,
    )


def _ended(span: Span, outcome: Phase, now: float) -> Span:
    return structs.replace(span, ended=now, outcome=outcome.value)
