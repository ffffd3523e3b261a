"""The plan of a rollout, and the app's configuration that carries it."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from headway.model.names import Amount, Fraction, Name, Seconds
from headway.model.releasing import Pattern, Releasing
from headway.model.schedule import Schedule
from headway.model.source import SourceConfig


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
    """One step of a plan: bring ``share`` of ``tier`` onto the new build and watch it."""

    tier: Name
    """The tier whose nodes move."""
    share: Fraction = 1.0
    """How much of the tier runs the new build at the end of the step."""
    soak: Seconds = 60.0
    """How long the step is watched once all of its nodes have attested."""
    gate: Gate = Gate.AUTO
    """What it takes to begin the step."""
    notice: Seconds = 60.0
    """How long an ``assisted`` step waits for somebody to pause before it begins."""
    checks: Checks = Checks.REQUIRE
    """How much the guard has to say."""
    smoke: bool = False
    """Whether the app's smoke test must pass before the step is green."""
    sign_off: Annotated[int, Meta(ge=0, le=20)] = 0
    """How many people must sign the step off before it is green: ``headway rollout sign-off``."""
    concurrency: Amount = "25%"
    """How many nodes of the tier may be in transition at a time."""
    zone_concurrency: Amount = "100%"
    """How many nodes of any one zone may be in transition at a time."""
    max_failed: Amount = 0
    """How many failed nodes the step tolerates before the rollout pauses."""
    deadline: Seconds = 600.0
    """How long the nodes may take before the late ones are named and the rollout pauses."""
    patience: Seconds = 300.0
    """How long beyond ``soak`` the step waits for metrics that cannot be judged yet, under
    ``require``, before the rollout pauses and says so; who resumes it lets it go on without."""
    earliest: Seconds | None = None
    """With it the step may be green as early as this, once every metric has passed; without it
    the whole ``soak`` is waited for."""
    metrics: tuple[Name, ...] | None = None
    """The metrics that count in this step; without it all of them."""


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


class Kind(StrEnum):
    """What a metric's numbers are, and so which test compares them."""

    COUNTS = "counts"
    """Things that happen one by one: errors, requests, lines of log, restarts."""
    CONTINUOUS = "continuous"
    """A quantity that adds up: seconds of latency, bytes of memory, length of a queue."""


class Importance(StrEnum):
    """What a metric's share of the false-alarm budget is, and what its silence means."""

    CRITICAL = "critical"
    """The critical metrics share half of the budget; silence of the new build alone fails."""
    ORDINARY = "ordinary"
    """The ordinary ones share the rest."""
    WATCH = "watch"
    """It only ever alerts, has a budget beside the rollout's, and no step waits for it."""


class Metric(Struct, frozen=True, forbid_unknown_fields=True):
    """One quantity the guard watches: the rate of a counter, or one counter over another.

    The names are those of the counters that agents report. Without ``per`` the value is
    ``counter`` per second and node; with it, ``counter`` divided by ``per``.
    """

    name: Name
    """What people call it, in verdicts and in the journal."""
    counter: str
    """The counter that is watched."""
    per: str | None = None
    """The counter to divide by."""
    kind: Kind = Kind.COUNTS
    """What its numbers are."""
    importance: Importance = Importance.ORDINARY
    """Its share of the false-alarm budget, and what its silence means."""
    compare: bool = True
    """Whether the new build is compared with the old one that runs beside it."""
    min_effect: Annotated[float, Meta(ge=0, le=10)] = 0.05
    """How much worse than the old build is too little to speak of: 0.05 is 5 %."""
    detect: Annotated[float, Meta(gt=1)] = 2.0
    """It passes only once there was enough traffic to see the old build's value times this."""
    floor: Annotated[float, Meta(ge=0)] | None = None
    """A value up to this need not be noticed; without it ``above``, or 1 % where there is a
    ``per``."""
    above: float | None = None
    """A value above this fails."""
    below: float | None = None
    """A value below this fails."""
    zscore: Annotated[float, Meta(gt=0)] | None = None
    """How many standard deviations from the time before the deploy are too far, where there is
    no old build to compare with, and for an incident that moves both; without it 4."""
    direction: Direction = Direction.UP
    """Which way is bad."""
    action: Action = Action.REVERT
    """What a failure leads to."""
    optional: bool = False
    """Whether it is left out where no node, and no source, has ever told its counter."""
    paths: tuple[Pattern, ...] = ()
    """The files that it points at: a change that touches them is suspected first when it fails."""
    min_count: float = 50.0
    """How much of ``per`` (or, without it, how many seconds of data) it takes to pass at all."""


class ByGate(Struct, frozen=True, forbid_unknown_fields=True):
    """The strongest thing that follows from a metric, by the gate of the step."""

    manual: Action = Action.REVERT
    """In steps that a person begins."""
    assisted: Action = Action.REVERT
    """In steps that begin unless somebody pauses."""
    auto: Action = Action.REVERT
    """In steps that begin by themselves."""


class Guarding(Struct, frozen=True, forbid_unknown_fields=True):
    """How the guard judges a rollout of the app, over all of its metrics."""

    false_alarms: Annotated[float, Meta(gt=0, le=0.5)] = 0.01
    """The budget: the share of healthy rollouts that the comparisons may blame by chance, over
    all metrics and steps together."""
    at_most: Action = Action.REVERT
    """The strongest thing that follows from any metric."""
    warmup: Seconds = 40.0
    """How long a node's counters are left out after it changed its build or restarted."""
    silence: Seconds = 60.0
    """How long the new build may say nothing of a critical metric while the old one does."""
    at_most_in: ByGate = ByGate()
    """The same, by gate: with ``manual = "pause"`` a person decides to go back where a person
    has pressed the button."""


class Watching(Struct, frozen=True, forbid_unknown_fields=True):
    """What the guard does while nothing is rolled out: it looks for a site on fire."""

    then: Action = Action.ALERT
    """``alert`` tells; ``pause`` also places a hold, which a person lifts."""
    everything: bool = True
    """Whether the hold is on every app, or on this one only."""
    metrics: tuple[Name, ...] = ()
    """The metrics that can be on fire; without any, the critical ones."""


DEFAULT_METRICS = (
    Metric(
        name="errors",
        counter="errors",
        per="requests",
        importance=Importance.CRITICAL,
        above=0.02,
        zscore=3.0,
    ),
    Metric(
        name="latency",
        counter="latency",
        per="requests",
        kind=Kind.CONTINUOUS,
        min_effect=0.10,
        optional=True,
    ),
    Metric(
        name="traffic",
        counter="requests",
        importance=Importance.WATCH,
        direction=Direction.DOWN,
        min_effect=0.25,
    ),
    Metric(name="restarts", counter="restarts", importance=Importance.WATCH),
)
"""What any HTTP application can be watched by: the share of requests that it answers with a server
error; where it tells them, the seconds that an answer takes; and, for an alert only, the traffic of
its nodes and how often they restart."""


class SmokeCheck(Struct, frozen=True, forbid_unknown_fields=True):
    """One request, or one command, that must succeed against staging after the flip.

    Raises ValueError unless it is one of them.
    """

    url: Annotated[str, Meta(pattern=r"\Ahttps?://|\A\Z")] = ""
    """What is asked for with GET."""
    status: int = 200
    """The status that the answer must have."""
    command: tuple[str, ...] = ()
    """What is run on the control plane's host instead: an argv, no shell. Its program must be one
    of the server's ``smoke_programs``; it succeeds when it ends with status 0."""
    contains: str = ""
    """What the answer's body, or the command's output, must hold."""
    timeout: Seconds = 5.0
    """How long it may take."""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.command):
            raise ValueError("a smoke check has either a url or a command")


class TrainSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the app's train runs."""

    size: Annotated[int, Meta(ge=1, le=100)] = 8
    """How many riders a car has room for."""
    remind: Seconds = 600.0
    """How long the train waits for somebody before it reminds them."""
    lease: Seconds = 900.0
    """How long it waits for its leader before somebody else leads."""


class AppConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the control plane needs to know of an app; ``headway app apply`` sets it."""

    name: Name
    """The app's name."""
    plans: dict[Name, tuple[Step, ...]] = field(default_factory=lambda: {"default": DEFAULT_PLAN})
    """The steps of each plan; ``headway deploy`` takes ``default`` unless told otherwise."""
    metrics: tuple[Metric, ...] = DEFAULT_METRICS
    """What the guard watches; without any it has nothing to say."""
    guard: Guarding = Guarding()
    """How the guard judges."""
    watch: Watching = Watching()
    """What the guard does while nothing is rolled out."""
    sources: tuple[SourceConfig, ...] = ()
    """Where further counters come from, beside what agents report."""
    levels: tuple[Name, ...] = ()
    """Those numbers that agents report which are levels, such as a queue's length, not totals."""
    statsd: tuple[Name, ...] = ()
    """Those counters that come by StatsD; only rates per second need to know."""
    smoke: tuple[SmokeCheck, ...] = ()
    """The smoke test: requests and commands that must all succeed."""
    make: tuple[str, ...] = ()
    """The command that ``headway build make`` runs in a clean worktree; an argv, no shell."""
    output: str = "."
    """The directory in the worktree that becomes the build."""
    revert_concurrency: Amount = "100%"
    """How many nodes of a tier may be in transition at a time during a revert."""
    silent_after: Seconds = 15.0
    """How long after its last report a node counts as unknown."""
    releases: Releasing | None = None
    """Where its changes come from; without it, it has builds but no releases."""
    schedule: Schedule | None = None
    """When rollouts may begin and go on; without it, at any time."""
    train: TrainSettings = TrainSettings()
    """How the app's train runs."""
