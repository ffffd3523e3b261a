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
    DEPLOY = "deploy"
    """A rollout has begun, or has ended."""
    STEP = "step"
    """A step of a rollout has begun, or has ended."""
    RETURN = "return"
    """A rollout has begun to go back, or the base build is back; whoever has said so."""


class Kind(StrEnum):
    """What is on its way."""

    DEPLOY = "deploy"
    """A build goes forward."""
    CONFIG = "config"
    """A build of the config lane goes forward."""
    REVERT = "revert"
    """The build before comes back."""


class Span(Struct, frozen=True):
    """What lasts, from ``began`` to ``ended`` (None while it does), in seconds since the epoch.

    ``id`` is the same at both ends. ``build`` is what it brings, made from ``commit``. ``tiers``
    are those that it is about, ``share`` is how much of them. ``whole``: with its end the whole of
    them runs the build, as far as is known before. ``outcome`` is the phase that it ended in,
    empty while it lasts; a way back that came to its end has succeeded.
    """

    id: str
    rollout: str
    kind: Kind
    build: str
    began: float
    tiers: tuple[str, ...]
    share: float = 1.0
    whole: bool = True
    ended: float | None = None
    outcome: str = ""
    commit: str = ""
    by: str = ""


class Announcement(Struct, frozen=True):
    """One piece of news. ``at`` in seconds since the epoch; ``link`` leads to where it is shown.

    ``span`` is what has begun or ended, for those occasions.
    """

    id: str
    at: float
    occasion: Occasion
    """Why it is announced."""
    app: str
    sentence: str
    rollout: str = ""
    metric: str = ""
    link: str = ""
    span: Span | None = None


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
