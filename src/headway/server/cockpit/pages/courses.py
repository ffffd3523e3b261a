"""How rollouts went, as history and their own page tell it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from headway.core.lives import Course
from headway.core.plan import title
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.database.journal import Turn

BACK = (Phase.REVERTING, Phase.REVERTED)
"""The phases of rollouts whose end alone does not tell whether they ever were live."""


class Outcome(Struct, frozen=True):
    """What became of a rollout: a word, the shape that goes with it, and where that was."""

    word: str
    state: str
    where: str = ""


_ENDS = {
    Phase.SUCCEEDED: ("Went live", "done live"),
    Phase.REVERTED: ("Reverted", "failed"),
    Phase.ABORTED: ("Aborted", "unknown"),
    Phase.SUPERSEDED: ("Superseded", "held"),
}


def outcome(state: Rollout) -> Outcome:
    """What became of a rollout, or what it is about to be."""
    where = title(state.plan[state.step])
    if state.phase in LIVE:
        word = "Going back" if state.phase is Phase.REVERTING else "Under way"
        return Outcome(word, "moving", f"{where}, {state.phase}")
    word, shape = _ENDS[state.phase]
    return Outcome(word, shape, "" if state.phase is Phase.SUCCEEDED else f"at {where}")


class RolloutLine(Struct, frozen=True):
    """A rollout in a list of some."""

    rollout: str
    by: str
    begun: float
    outcome: Outcome


def rollout_lines(states: Iterable[Rollout]) -> tuple[RolloutLine, ...]:
    """Rollouts in their order."""
    return tuple(RolloutLine(one.id, one.by, one.started_at, outcome(one)) for one in states)


def by_rollout(turns: Iterable[Turn]) -> dict[str, tuple[Turn, ...]]:
    """The turns of each rollout."""
    found: dict[str, tuple[Turn, ...]] = {}
    for turn in turns:
        found[turn.rollout] = (*found.get(turn.rollout, ()), turn)
    return found


def course(state: Rollout, turns: Sequence[Turn]) -> Course:
    """When a rollout went live, and when it was taken back; ``turns`` matter if it was."""
    if state.phase is Phase.SUCCEEDED:
        return Course(state.id, state.ended_at)
    if state.phase not in BACK:
        return Course(state.id)
    live_at = next((turn.at for turn in turns if turn.phase is Phase.SUCCEEDED), None)
    left = _turned_back(turns)
    back = state.ended_at if state.phase is Phase.REVERTED else None
    if live_at is None:
        return Course(state.id)
    return Course(state.id, live_at, left.at if left else live_at, back)


def because(state: Rollout, turns: Mapping[str, Sequence[Turn]]) -> str:
    """Why a rollout did not stay: the sentence with which it turned back, or ended."""
    if state.phase in (Phase.ABORTED, Phase.SUPERSEDED):
        return state.why
    left = _turned_back(turns.get(state.id, ())) if state.phase in BACK else None
    return left.why if left else ""


def _turned_back(turns: Sequence[Turn]) -> Turn | None:
    return next((turn for turn in reversed(turns) if turn.phase is Phase.REVERTING), None)
