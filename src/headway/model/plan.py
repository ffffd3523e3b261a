"""The plan of a rollout, and the app's configuration that carries it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from headway.model.names import Amount, Fraction, Name, Seconds


class Gate(StrEnum):
    """What it takes to begin a step."""

    MANUAL = "manual"
    """A person presses."""
    ASSISTED = "assisted"
    """It begins by itself after ``notice`` seconds, unless somebody pauses."""
    AUTO = "auto"
    """It begins as soon as the step before it is green."""


class Checks(StrEnum):
    """How much the guard has to say in a step."""

    NONE = "none"
    """Nothing."""
    WATCH = "watch"
    """A failing metric stops the rollout; a silent one does not."""
    REQUIRE = "require"
    """Every metric must have data and pass before the step is green."""


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a plan: bring ``share`` of ``tier`` onto the new build and watch it.

    ``concurrency`` bounds the nodes in transition at a time, ``zone_concurrency`` those in any
    one zone; ``max_failed`` is how many failed nodes the step tolerates. ``deadline`` is how
    long the nodes may take before those that are late are named and the rollout pauses.
    """

    tier: Name
    share: Fraction = 1.0
    soak: Seconds = 60.0
    gate: Gate = Gate.AUTO
    notice: Seconds = 60.0
    checks: Checks = Checks.REQUIRE
    smoke: bool = False
    concurrency: Amount = "25%"
    zone_concurrency: Amount = "100%"
    max_failed: Amount = 0
    deadline: Seconds = 600.0
    patience: Seconds = 300.0


DEFAULT_PLAN = (
    Step(tier="staging", soak=0, checks=Checks.WATCH, smoke=True, concurrency="50%"),
    Step(tier="dogfood", checks=Checks.WATCH, concurrency="50%"),
    Step(tier="canary", soak=300, gate=Gate.MANUAL, concurrency="50%"),
    Step(tier="production", share=0.10, gate=Gate.MANUAL, max_failed="5%"),
    Step(tier="production", share=0.25, gate=Gate.ASSISTED, max_failed="5%"),
    Step(tier="production", share=0.50, gate=Gate.ASSISTED, max_failed="5%"),
    Step(tier="production", share=0.75, gate=Gate.ASSISTED, max_failed="5%"),
    Step(tier="production", share=1.0, gate=Gate.ASSISTED, max_failed="5%"),
)
"""Staging with smoke test, dogfood, canary, then production in five steps."""


class Action(StrEnum):
    """What a failing metric leads to."""

    ALERT = "alert"
    PAUSE = "pause"
    REVERT = "revert"


class Direction(StrEnum):
    """Which way a metric is bad."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class Metric(Struct, frozen=True, forbid_unknown_fields=True):
    """One quantity the guard watches: the rate of a counter, or one counter over another.

    The names are those of the counters that agents report. Without ``per`` the value is
    ``counter`` per second and node; with it, ``counter`` divided by ``per``. ``above`` and
    ``below`` are static thresholds; ``zscore`` is the number of standard deviations from the
    trailing window that is too far. ``min_count`` is how much of ``per`` (or, without it, how
    many seconds of data) it takes to judge at all.
    """

    name: Name
    counter: str
    per: str | None = None
    above: float | None = None
    below: float | None = None
    zscore: Annotated[float, Meta(gt=0)] | None = None
    direction: Direction = Direction.UP
    action: Action = Action.REVERT
    min_count: float = 50.0


DEFAULT_METRICS = (Metric(name="errors", counter="errors", per="requests", above=0.02, zscore=3.0),)
"""The share of requests that the app answers with a server error."""


class SmokeCheck(Struct, frozen=True, forbid_unknown_fields=True):
    """One request that must succeed against staging after the flip."""

    url: Annotated[str, Meta(pattern=r"\Ahttps?://")]
    status: int = 200
    contains: str = ""
    timeout: Seconds = 5.0


class AppConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the control plane needs to know of an app; ``headway app apply`` sets it.

    ``make`` is the command that ``headway build make`` runs in a clean worktree, and
    ``output`` the directory in it that becomes the build.
    """

    name: Name
    plans: dict[Name, tuple[Step, ...]] = field(default_factory=lambda: {"default": DEFAULT_PLAN})
    metrics: tuple[Metric, ...] = DEFAULT_METRICS
    smoke: tuple[SmokeCheck, ...] = ()
    make: tuple[str, ...] = ()
    output: str = "."
    revert_concurrency: Amount = "100%"
    silent_after: Seconds = 15.0
