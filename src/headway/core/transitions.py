"""The rollout's transition table: which event may lead from which phase to which.

What stands in the signal store is a fact that no phase is closed to: a signal from elsewhere
(``Overtaken``), or an older copy (``Behind``); ``headway.core.overtaken`` says what follows.
"""

from collections.abc import Mapping

from headway.core import words
from headway.core.plan import title
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
    Behind,
    Event,
    Observed,
    Overtaken,
    Pause,
    Phase,
    Resume,
    Retry,
    Revert,
    Rollout,
    SignOff,
    SmokeTested,
    Supersede,
)

_P = Phase
_ONWARD = frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING, _P.SUCCEEDED, _P.PAUSED, _P.REVERTING})
_STOPS: dict[type[Event], frozenset[Phase]] = {
    Pause: frozenset({_P.PAUSED}),
    Revert: frozenset({_P.REVERTING}),
    Abort: frozenset({_P.ABORTED}),
    Supersede: frozenset({_P.SUPERSEDED}),
}
_SMOKE: dict[type[Event], frozenset[Phase]] = {
    SmokeTested: frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING, _P.PAUSED})
}

_WALK: Mapping[Phase, Mapping[type[Event], frozenset[Phase]]] = {
    _P.ROLLING: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.ROLLING, _P.SOAKING, _P.PAUSED, _P.REVERTING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.SOAKING: _STOPS
    | _SMOKE
    | {
        Observed: _ONWARD,
        SignOff: frozenset({_P.SOAKING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.WAITING: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.ROLLING, _P.WAITING, _P.PAUSED, _P.REVERTING}),
        Advance: frozenset({_P.ROLLING}),
        Retry: frozenset({_P.ROLLING}),
    },
    _P.PAUSED: _STOPS
    | _SMOKE
    | {
        Observed: frozenset({_P.PAUSED}),
        Resume: frozenset({_P.ROLLING, _P.SOAKING, _P.WAITING}),
        Retry: frozenset({_P.PAUSED, _P.ROLLING}),
    },
    _P.REVERTING: {
        Observed: frozenset({_P.REVERTING, _P.REVERTED}),
        Revert: frozenset({_P.REVERTING}),
        Retry: frozenset({_P.REVERTING}),
        Abort: frozenset({_P.ABORTED}),
    },
    _P.SUCCEEDED: {Revert: frozenset({_P.REVERTING})},
    _P.REVERTED: {},
    _P.ABORTED: {Revert: frozenset({_P.REVERTING})},
    _P.SUPERSEDED: {},
}


def _facts(phase: Phase) -> dict[type[Event], frozenset[Phase]]:
    """Where what stands in the signal store leads to; only what was superseded is spared."""
    if phase is _P.SUPERSEDED:
        return {}
    stays = _P.PAUSED if phase in LIVE - {_P.REVERTING} else phase
    return {Overtaken: frozenset({_P.REVERTING, stays}), Behind: frozenset({phase})}


TABLE: Mapping[Phase, Mapping[type[Event], frozenset[Phase]]] = {
    phase: {**events, **_facts(phase)} for phase, events in _WALK.items()
}
"""phase → event → the phases it may lead to. The documentation's diagram is made from it."""


def not_allowed(state: Rollout, event: Event) -> str:
    """Why the phase that the rollout is in has no place for the event, in one sentence."""
    asked = type(event).__struct_config__.tag
    step = title(state.plan[state.step])
    match state.phase:
        case Phase.PAUSED:
            told = words.in_phase(state.phase, state.why)
            return f"cannot {asked}: the rollout is {told}; resume it first"
        case Phase.ROLLING | Phase.SOAKING:
            return f"cannot {asked}: {step} is still {state.phase}"
        case Phase.WAITING:
            return f"cannot {asked}: the rollout is not paused, it waits after {step}"
        case Phase.REVERTING:
            return f"cannot {asked}: the rollout is going back to its base build"
        case _:
            return f"cannot {asked}: the rollout has ended ({state.phase}): {state.why}"
