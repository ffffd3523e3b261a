"""What a person may do to a rollout, and the event that each action becomes."""

from headway.errors import NotFound
from headway.model.rollout import (
    Abort,
    Advance,
    Event,
    FleetView,
    Pause,
    Resume,
    Retry,
    Revert,
    SignOff,
)
from headway.server.situation import Situation
from headway.server.trips import barred

ACTIONS = ("advance", "pause", "resume", "revert", "abort", "retry", "sign-off")
"""What a person may do to a rollout."""

NO_REASON = "no reason given"
"""Stands in the journal where an action is never without a reason."""


def check(action: str) -> None:
    """Raise NotFound when there is no such action."""
    if action not in ACTIONS:
        raise NotFound(f"there is no action {action[:80]}; there are {', '.join(ACTIONS)}")


def event_of(
    action: str, reason: str, by: str, known: Situation, fleet: FleetView, now: float
) -> Event:
    """The event that is decided upon; what an action rests upon is taken as it is now."""
    match action:
        case "advance":
            return Advance(by, fleet, known.holds, barred(known, fleet, now))
        case "sign-off":
            return SignOff(by, reason)
        case "pause":
            return Pause(by, reason or NO_REASON)
        case "resume":
            return Resume(by, reason or NO_REASON)
        case "revert":
            return Revert(by, reason or NO_REASON)
        case "abort":
            return Abort(by, reason or NO_REASON)
        case _:
            return Retry(by, reason)
