"""Small pieces of the sentences that everybody is told."""

from headway.model.hold import Hold
from headway.model.rollout import Phase


def count(amount: int, thing: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{amount:,} {thing}" if amount == 1 else f"{amount:,} {thing}s"


def one(thing: str) -> str:
    """``an admin``, ``a viewer``."""
    return f"{'an' if thing[:1] in 'aeiou' else 'a'} {thing}"


def in_phase(phase: Phase, why: str) -> str:
    """A phase and its reason, which may begin with that word itself: ``paused by bob: lunch``."""
    return why if why.startswith((f"{phase} ", f"{phase}:")) else f"{phase}: {why}"


def ended(phase: Phase) -> str:
    """``has succeeded``, ``was reverted``."""
    return f"has {phase}" if phase is Phase.SUCCEEDED else f"was {phase}"


def held(hold: Hold) -> str:
    """Who holds what and why, and the command that lifts it."""
    lift = f"`headway hold lift {hold.id}` lifts it"
    return f"{hold.on} is held by {hold.by}: {hold.reason}; {lift}"
