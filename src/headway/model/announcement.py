"""What people are told of, wherever they are."""

from enum import StrEnum

from msgspec import Struct


class Occasion(StrEnum):
    """Why something is announced."""

    ALERT = "alert"
    """A metric fails, and nothing follows by itself."""
    PAUSE = "pause"
    """A rollout was paused by the guard, or by a failure."""
    REVERT = "revert"
    """A rollout goes back, without a person having said so."""
    FIRE = "fire"
    """The site is on fire, whether anything is rolled out or not."""
    OVER = "over"
    """The fire is over."""


class Announcement(Struct, frozen=True):
    """One piece of news. ``at`` in seconds since the epoch; ``link`` leads to where it is shown."""

    id: str
    at: float
    occasion: Occasion
    """Why it is announced."""
    app: str
    sentence: str
    rollout: str = ""
    metric: str = ""
    link: str = ""


class Delivery(Struct, frozen=True):
    """An announcement on its way to one place; ``dead`` when it was given up.

    ``next_at`` is when it is tried again, ``error`` what was wrong the last time.
    """

    id: int
    to: str
    """Where it goes."""
    announcement: Announcement
    """What is announced."""
    tries: int
    """How often it was tried."""
    next_at: float
    dead: bool = False
    error: str = ""
