"""A rollout's state, the events that move it, and what a decision consists of."""

from enum import StrEnum

from msgspec import Struct

from headway.model.hold import Hold
from headway.model.names import Amount, BuildId, Fraction, Name, Text
from headway.model.plan import ByGate, Step
from headway.model.signal import Layer, Signal
from headway.model.verdict import Verdict


class Phase(StrEnum):
    """Where a rollout stands."""

    ROLLING = "rolling"
    """The wave of the current step is rising."""
    SOAKING = "soaking"
    """Every node of the step has attested; it is being watched."""
    WAITING = "waiting"
    """The step is green; the next one's gate is closed."""
    PAUSED = "paused"
    """Stopped by a person, the guard or a failure; only a person resumes it."""
    REVERTING = "reverting"
    """The base build is being restored everywhere it is not."""
    SUCCEEDED = "succeeded"
    """Every step is green. It can still be reverted while it is the app's latest."""
    REVERTED = "reverted"
    """Every node has attested the base build."""
    ABORTED = "aborted"
    """Ended by a person where it stood; nodes keep what they run."""
    SUPERSEDED = "superseded"
    """Ended because another rollout took its place."""


LIVE = frozenset({Phase.ROLLING, Phase.SOAKING, Phase.WAITING, Phase.PAUSED, Phase.REVERTING})


class SmokeFinding(Struct, frozen=True):
    """What one check of a smoke test has found; ``output`` is the last of what it said."""

    check: Text
    """The name of the check."""
    passed: bool
    sentence: str
    output: str = ""


class Rollout(Struct, frozen=True):
    """The state row. ``step`` indexes ``plan``; ``fractions`` are those last signalled.

    ``since`` is when the phase began and ``step_since`` when the step did. ``resume_to`` is
    the phase that a pause interrupted. ``smoke`` is the result of the step's smoke test, once
    there is one. ``metrics`` are those that a step may require. ``objections`` are what made
    the machine pause (``nodes``, ``deadline``, ``smoke``, ``metric:NAME``, ``data:NAME``), and
    ``waived`` those that a person has overruled for this step. ``turned``, ``layer`` and
    ``retry`` are as in the signal. ``overtaken`` is the epoch of the last signal from outside the
    control plane that was taken over. ``release`` is the release that the build is of, and
    ``hotfix`` whether it passes where only hotfixes do. ``signed_off`` are the people who have
    signed the step off, ``findings`` those of its smoke test. ``barred`` is why no step begins at
    present: the schedule's sentence, or that of the lanes. ``at_most`` is what the guard may do in
    steps of each gate. ``why`` is the sentence of the last decision.
    """

    id: str
    app: Name
    base: BuildId | None
    target: BuildId
    plan: tuple[Step, ...]
    by: str
    started_at: float
    phase: Phase
    step: int
    since: float
    step_since: float
    epoch: int
    attempt: int
    fractions: dict[Name, Fraction]
    why: str
    plan_name: str = "default"
    revert_concurrency: Amount = "100%"
    resume_to: Phase | None = None
    smoke: bool | None = None
    verdicts: tuple[Verdict, ...] = ()
    ended_at: float | None = None
    turned: int = 0
    layer: Layer | None = None
    retry: dict[Name, Fraction] = {}
    metrics: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
    overtaken: int = 0
    at_most: ByGate = ByGate()
    release: str = ""
    hotfix: bool = False
    signed_off: tuple[str, ...] = ()
    findings: tuple[SmokeFinding, ...] = ()
    barred: str = ""


class NodeState(StrEnum):
    """A node, seen against what the signal asks of it."""

    DONE = "done"
    """It has attested what it should run."""
    MOVING = "moving"
    """It should run something else than it has attested, and says that it is on its way."""
    FAILED = "failed"
    """It tried and went back."""
    UNKNOWN = "unknown"
    """It has not reported within the stated time."""
    HELD = "held"
    """A person keeps it as it is."""


class NodeView(Struct, frozen=True):
    """What the engine knows of one node of one app."""

    node: str
    zone: str
    position: float
    state: NodeState
    running: BuildId | None = None
    why: str = ""
    away: bool = False
    """It has failed, and may not serve yet: it is on its way back, or may be trying again."""


class FleetView(Struct, frozen=True):
    """All enrolled nodes of an app by tier, each tier sorted by position."""

    tiers: dict[str, tuple[NodeView, ...]] = {}


class Observed(Struct, frozen=True, tag="observed"):
    """Time has passed: this is what the fleet reports and what the guard concludes.

    ``barred`` is why no further step may begin now, or empty; what has begun goes on.
    """

    fleet: FleetView
    verdicts: tuple[Verdict, ...] = ()
    holds: tuple[Hold, ...] = ()
    barred: str = ""


class SmokeTested(Struct, frozen=True, tag="smoke-tested"):
    """The smoke test of a step has ended."""

    step: int
    passed: bool
    sentence: str
    findings: tuple[SmokeFinding, ...] = ()


class SignOff(Struct, frozen=True, tag="sign-off"):
    """A person has looked at the step, and answers for it."""

    by: str
    reason: str = ""


class Advance(Struct, frozen=True, tag="advance"):
    """A person, or the bot, begins the next step; ``barred`` as when observed."""

    by: str
    fleet: FleetView
    holds: tuple[Hold, ...] = ()
    barred: str = ""


class Pause(Struct, frozen=True, tag="pause"):
    """A person stops the rollout where it stands."""

    by: str
    reason: str


class Resume(Struct, frozen=True, tag="resume"):
    """A person lets a paused rollout go on."""

    by: str
    reason: str = ""


class Revert(Struct, frozen=True, tag="revert"):
    """A person brings the base build back everywhere."""

    by: str
    reason: str


class Abort(Struct, frozen=True, tag="abort"):
    """A person ends the rollout where it stands."""

    by: str
    reason: str


class Retry(Struct, frozen=True, tag="retry"):
    """A person asks the failed nodes to try again."""

    by: str
    reason: str = ""


class Supersede(Struct, frozen=True, tag="supersede"):
    """Another rollout takes this one's place."""

    by: str
    successor: str


class Overtaken(Struct, frozen=True, tag="overtaken"):
    """The store holds a signal that was not decided here.

    ``reached`` is the highest epoch that was surely written before: nodes may be there.
    """

    signal: Signal
    reached: int


class Behind(Struct, frozen=True, tag="behind"):
    """The store holds an older signal than the last that was written (epoch 0: none)."""

    epoch: int


Event = (
    Observed
    | SmokeTested
    | SignOff
    | Advance
    | Pause
    | Resume
    | Revert
    | Abort
    | Retry
    | Supersede
    | Overtaken
    | Behind
)


class WriteSignal(Struct, frozen=True, tag="write-signal"):
    """Put this signal into the store, unless its epoch has been passed."""

    signal: Signal


class RunSmoke(Struct, frozen=True, tag="run-smoke"):
    """Run the app's smoke test and answer with ``SmokeTested``."""

    rollout: str
    step: int


class PlaceHold(Struct, frozen=True, tag="place-hold"):
    """Hold the app until a person lifts it."""

    hold: Hold


class Alert(Struct, frozen=True, tag="alert"):
    """Tell people of a failing metric on which nothing follows by itself."""

    sentence: str
    metric: str = ""


Effect = WriteSignal | RunSmoke | PlaceHold | Alert


class Decision(Struct, frozen=True):
    """The next state, what to do about it, and one sentence why.

    A decision whose state equals the one before it is not recorded.
    """

    state: Rollout
    effects: tuple[Effect, ...] = ()
    why: str = ""
