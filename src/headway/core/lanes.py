"""When the two lanes of an app must wait for each other.

The lanes run side by side: each has its own queue, signal, guard and journal. Three things make
one wait, and nothing else does:

1. *Trouble.* While one lane goes back, or is held because it did, nothing begins in the other:
   one fault is dealt with before another can be added.
2. *One mover in a tier.* While one lane's step in a tier rolls or soaks, no step of the other
   begins in that tier: the guard could not tell whose fault it sees. Who has begun first goes
   first; a step that has begun never waits, so they cannot wait for each other.
3. *What belongs together.* A change that touches configuration and code goes out with the code.
   Until it is live there, no release of the config lane that holds it begins.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct

from headway.core import words
from headway.core.release import name
from headway.model.hold import Hold
from headway.model.names import Name
from headway.model.plan import AppConfig
from headway.model.release import Change, CommitId, Lane
from headway.model.rollout import Phase, Rollout

MOVING = frozenset({Phase.ROLLING, Phase.SOAKING})
"""The phases in which a step is being watched."""


def must_wait(tier: str, other: Rollout | None, holds: Iterable[Hold]) -> str:
    """Why a step in ``tier`` may not begin; empty when the other lane leaves it free.

    ``other`` is the other lane's latest rollout, ``holds`` are those in force.
    """
    if other is None:
        return ""
    if other.phase is Phase.REVERTING:
        return f"the other lane goes back: {words.in_phase(other.phase, other.why)}"
    for hold in holds:
        if hold.on == other.app and hold.id == f"revert-{other.id}":
            return f"the other lane went back: {words.held(hold)}"
    step = other.plan[other.step]
    interrupted = other.phase is Phase.PAUSED and other.resume_to in MOVING
    if (other.phase in MOVING or interrupted) and step.tier == tier:
        return f"{other.id} of the other lane is {other.phase} in {tier}: one at a time there"
    return ""


def unfinished(changes: Iterable[Change], missing: Collection[CommitId]) -> str:
    """Why a config release may not begin: a change in it that waits for the code lane.

    ``changes`` are the release's, ``missing`` what is not live in the code lane.
    """
    for change in changes:
        if change.lane is Lane.CODE and change.commit in missing:
            return f"{name(change)} touches code too, and that is not live yet"
    return ""


class Home(Struct, frozen=True):
    """Where an app's changes come from: the app whose repository it is, and the lane."""

    owner: AppConfig
    lane: Lane
    partner: Name | None


def home(configs: Iterable[AppConfig], app: str) -> Home | None:
    """Whose repository an app is made from, by which lane, and the app of the other lane."""
    for config in configs:
        if config.releases is None:
            continue
        lane = config.releases.config
        if config.name == app:
            return Home(config, Lane.CODE, lane.app if lane else None)
        if lane is not None and lane.app == app:
            return Home(config, Lane.CONFIG, config.name)
    return None
