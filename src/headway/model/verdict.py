"""What a check concluded."""

from enum import StrEnum

from msgspec import Struct

from headway.model.plan import Action


class Outcome(StrEnum):
    """Four answers that are never confused with each other."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    NO_DATA = "no data"
    ERROR = "error"


class Verdict(Struct, frozen=True):
    """One metric's outcome, as a sentence with its number.

    ``score`` and ``limit`` are what decided: an e-value, a bound or a z-score, and where it fails.
    """

    metric: str
    outcome: Outcome
    sentence: str
    action: Action = Action.REVERT
    value: float | None = None
    """What was measured; null without data."""
    score: float | None = None
    limit: float | None = None
