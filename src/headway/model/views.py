"""What the API answers and accepts; the typed client, the CLI and the cockpit speak it."""

from typing import Annotated

from msgspec import Meta, Raw, Struct
from msgspec.structs import force_setattr

from headway.model.hold import Scope
from headway.model.names import BuildId, Name, Text
from headway.model.plan import Action, AppConfig, Guarding, Metric
from headway.model.report import Report
from headway.model.rollout import NodeState, Rollout
from headway.model.signal import NodeHold
from headway.model.train import Train
from headway.model.verdict import Verdict


class Problem(Struct, frozen=True):
    """The shape of every error, after RFC 9457: a short code that programs compare, one sentence.

    ``type`` names the kind of problem, as an address below the server's; it follows from the code.
    """

    code: str
    sentence: str
    status: int
    type: str = ""

    def __post_init__(self) -> None:
        if not self.type:
            force_setattr(self, "type", f"/problems/{self.code}")


class ProblemKind(Struct, frozen=True):
    """What every problem of one code has in common.

    ``exit_code`` is the command line's, ``meaning`` one sentence.
    """

    type: str
    code: str
    status: int
    exit_code: int
    meaning: str


class AppView(Struct, frozen=True):
    """An app, the build that is live, and its latest rollout."""

    config: AppConfig
    live: BuildId | None = None
    rollout: str | None = None


class TierView(Struct, frozen=True):
    """One tier of an app: how many nodes stand how, and how many run which build.

    ``builds`` counts nodes by running build id; nodes that run nothing are under ``""``.
    """

    tier: str
    nodes: int
    fraction: float
    states: dict[NodeState, int]
    """How many nodes stand how."""
    builds: dict[str, int]


class RolloutView(Struct, frozen=True):
    """A rollout with what a person needs to act on it.

    ``next`` is the one obvious action (``advance``, ``resume``, ``deploy`` … or empty) and
    ``next_why`` the sentence beside its button. ``blockers`` says what stands in the way, and
    ``standing`` is the mark that an action can refer to.
    """

    rollout: Rollout
    tiers: tuple[TierView, ...]
    next: str = ""
    next_why: str = ""
    blockers: tuple[str, ...] = ()
    standing: str = ""


class NodeStatus(Struct, frozen=True):
    """One node of one app, as the control plane sees it. Times in seconds since the epoch.

    ``verify`` is the number of the last demand to read again all that it holds, answered when
    ``report.inspection.asked`` has reached it.
    """

    node: str
    app: str
    tier: str
    zone: str
    position: float
    state: NodeState
    why: str
    running: BuildId | None = None
    goal: BuildId | None = None
    pin: BuildId | None = None
    hold: NodeHold | None = None
    last_seen: float | None = None
    report: Report | None = None
    verify: int = 0


class DeployRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Start a rollout of ``build``: an id, 6 or more of its first digits, or a release.

    With ``hotfix``, which takes a reason, it passes where only hotfixes do. With ``seen``, the id
    of the latest rollout that the caller saw (empty: none), it fails as stale when there is
    another since.
    """

    build: str
    plan: Name = "default"
    reason: Text = ""
    supersede: bool = False
    hotfix: bool = False
    seen: Text | None = None


class ActionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Act on a rollout.

    With ``seen``, the ``standing`` that the caller saw, what pushes a build further (advance,
    resume, retry) fails as stale when the rollout has moved on since.
    """

    reason: Text = ""
    seen: Annotated[str, Meta(pattern=r"\A\d{1,4}-[a-z]{1,16}\Z")] | None = None


class TrainView(Struct, frozen=True):
    """An app's train, with what people see of it.

    ``topic`` is the train in one line, ``leader`` who leads, ``missing`` whose word is missing,
    and ``notes`` a sentence each on what it waits for.
    """

    train: Train
    topic: str
    leader: str = ""
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class TrainRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Commands for a train, as they are typed in chat: ``.join with bob; .in``."""

    text: Text
    """One command or several, with semicolons between them."""


class TrainAnswer(Struct, frozen=True):
    """What was said in return, a line each, and the train as it is now."""

    lines: tuple[str, ...]
    """What was said in return, a line each."""
    view: TrainView
    """The train as it is now."""


class LinkCode(Struct, frozen=True):
    """A code that ``.link`` in a private message exchanges for the caller's name, once."""

    code: str
    user: str
    until: float


class HoldRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Hold an app, ``app/tier``, node or app's train; ``until`` in seconds since the epoch."""

    scope: Scope
    on: str
    reason: Text
    until: float | None = None


class NodeHoldRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Keep a node as it is."""

    reason: Text
    until: float | None = None


class PinRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Pin a node to a build, whatever is signalled."""

    build: str


class RepackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Merge packs once a fresh node would have to read more than ``most`` for the newest build."""

    most: Annotated[int, Meta(ge=1)] = 8


class CollectRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Remove what nothing needs, but the newest ``keep`` builds and those of ``days`` days.

    With ``dry`` nothing is removed, only counted.
    """

    keep: Annotated[int, Meta(ge=1, le=1000)] = 20
    days: Annotated[float, Meta(ge=1)] = 14.0
    dry: bool = False


class Packet(Struct, frozen=True, forbid_unknown_fields=True):
    """What one node has reported to a hub: its token, and the JSON of its reports as it came."""

    token: str
    reports: Raw
    """A list of reports, as the node sent it."""


MAX_PACKETS = 256
"""How many packets a hub passes on at once."""


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a token: ``name`` is shown in the journal; for role node it is the node's name."""

    name: str
    role: str


class TokenCreated(Struct, frozen=True):
    """A new token; it is shown this once and only its hash is kept."""

    name: str
    role: str
    token: str


class TokenView(Struct, frozen=True):
    """A token as a list of them shows it; ``created_at`` in seconds since the epoch."""

    name: str
    role: str
    created_at: float


class UserRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a user; ``name`` is shown in the journal. ``role`` is viewer, deployer or admin."""

    name: str
    role: str
    password: str
    """12 characters at least, 1,024 bytes at most; no other rule."""

    def __repr__(self) -> str:
        return f"UserRequest({self.name!r}, {self.role!r}, …)"


class RoleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Give a user another role: viewer, deployer or admin."""

    role: str


class PasswordRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Give a user another password."""

    password: str
    """12 characters at least, 1,024 bytes at most; no other rule."""

    def __repr__(self) -> str:
        return "PasswordRequest(…)"


class UserView(Struct, frozen=True):
    """A person who signs in, ``by`` a password or a provider; times in seconds since the epoch.

    ``seen_at`` is the last sign-in, and ``sessions`` how many are open.
    """

    name: str
    role: str
    by: str
    created_at: float
    seen_at: float | None = None
    sessions: int = 0


class Why(Struct, frozen=True):
    """Why nothing is deploying, or what it waits for, a sentence each."""

    sentences: tuple[str, ...]
    """A sentence each, the weightiest first."""


class Health(Struct, frozen=True):
    """That the control plane serves, and in which version."""

    status: str
    version: str


class ReplayedVerdict(Struct, frozen=True):
    """A verdict as it was given ``after`` seconds, and as it comes out again."""

    metric: str
    after: float
    said: Verdict
    """The verdict as it was given."""
    again: Verdict
    """The verdict as it comes out now."""
    same: bool


class ReplayView(Struct, frozen=True):
    """A rollout's verdicts, replayed; ``same`` if every one is the same to the last bit."""

    rollout: str
    looks: int
    """How often the guard looked."""
    same: bool
    verdicts: tuple[ReplayedVerdict, ...]


class TuneRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Play past rollouts to other settings; without any, to some near the present ones."""

    metrics: tuple[Metric, ...] | None = None
    """The metrics to try; null for those of the app."""
    guard: Guarding | None = None
    """How to judge; null for the app's way."""
    rollouts: Annotated[int, Meta(ge=1, le=30)] = 10
    """How many of the newest rollouts to play."""


class Tried(Struct, frozen=True):
    """What settings would have done to one rollout, ``after`` so many seconds.

    ``action`` is what would have followed first, None where nothing would; ``passed_after`` is when
    every required metric would first have passed.
    """

    rollout: str
    action: Action | None
    after: float | None
    passed_after: float | None
    sentence: str


class Tuning(Struct, frozen=True):
    """Settings, and what they would have done to each rollout."""

    settings: str
    """What the settings are called."""
    tried: tuple[Tried, ...]
    """What they would have done, rollout by rollout."""


class TuneView(Struct, frozen=True):
    """Past rollouts, newest first, with what became of them, and what would have."""

    rollouts: tuple[str, ...]
    """The rollouts' ids, newest first."""
    became: tuple[str, ...]
    """How each of them ended in truth."""
    tunings: tuple[Tuning, ...]
    """Each of the settings that were tried."""
