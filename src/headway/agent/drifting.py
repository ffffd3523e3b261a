"""What follows when a tree is not what was published: the agent's state after each such event.

A tree that serves is left alone, since it serves, and only told of; it lapses when the next build
has taken over. Any other is never switched to: its slot is dirty, and its build is prepared again
if the signal may yet send the node there.
"""

from collections.abc import Callable, Collection

from msgspec import structs

from headway.agent.state import Slot, State
from headway.model.names import BuildId
from headway.model.report import Drift

_MOST = 8
"""How many trees are told of."""


def judged(state: State, name: str, drift: Drift | None, is_hot: bool) -> State:
    """The slot ``name`` has been looked through, and all of it is right, or ``drift`` was found."""
    slot = state.slots[name]
    known = state.inspection.drift
    if drift is None:
        # What was mended here is told of until the next pass is over.
        drifts = [one for one in known if one.slot != name or one.mended]
        return _with(state, name, structs.replace(slot, drifted=False), drifts)
    drifts = [one for one in known if one.slot != name]
    before = [one for one in known if (one.slot, one.build) == (name, drift.build)]
    since = before[0].since if before and not before[0].mended else drift.since
    drifts.append(structs.replace(drift, since=since, serving=is_hot))
    return _with(state, name, structs.replace(slot, exact=False, drifted=True), drifts[-_MOST:])


def let_go(state: State, name: str) -> State:
    """The slot ``name``, which has drifted, does not serve: it is dirty."""
    drifts = [
        structs.replace(one, serving=False) if one.slot == name else one
        for one in state.inspection.drift
    ]
    good = None if state.good == name else state.good
    return structs.replace(_with(state, name, Slot(), drifts), good=good)


def rebuilt(state: State, name: str) -> State:
    """A tree has been made anew in the slot ``name``."""
    build = state.slots[name].build
    return _mend(
        state, lambda drift: drift.slot == name or (drift.build == build and not drift.serving)
    )


def written_off(state: State, needed: Collection[BuildId]) -> State:
    """Of what does not serve, only these builds have to be mended."""
    return _mend(state, lambda drift: not drift.serving and drift.build not in needed)


def lost(state: State) -> BuildId | None:
    """A build that was ready for a switch, and has to be prepared again."""
    drifts = state.inspection.drift
    return next((one.build for one in drifts if not (one.serving or one.mended)), None)


def _with(state: State, name: str, slot: Slot, drifts: Collection[Drift]) -> State:
    return structs.replace(
        state,
        slots={**state.slots, name: slot},
        inspection=structs.replace(state.inspection, drift=tuple(drifts)),
    )


def _mend(state: State, is_mended: Callable[[Drift], bool]) -> State:
    drifts = tuple(
        structs.replace(one, mended=one.mended or is_mended(one)) for one in state.inspection.drift
    )
    return structs.replace(state, inspection=structs.replace(state.inspection, drift=drifts))
