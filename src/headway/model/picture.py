"""The picture of an app: all that the cockpit and the terminal monitor show, as values."""

from enum import StrEnum

from msgspec import Struct

from headway.model.hold import Hold
from headway.model.rollout import NodeState, Phase

ROLES = ("new", "live", "old", "other", "none")
"""What a build can be: the one that comes, the one at rest, the one that goes, another, none."""

STATES = tuple(NodeState)

LETTERS = {
    (state, role): chr(ord("A") + len(ROLES) * place + part)
    for place, state in enumerate(STATES)
    for part, role in enumerate(ROLES)
}
"""A letter for each state of a node and each part that its build plays."""


class Tone(StrEnum):
    """How much attention a state asks for; each has a colour, and a symbol of its own shape."""

    LIVE = "live"
    ROLLING = "rolling"
    PAUSED = "paused"
    REVERTING = "reverting"
    IDLE = "idle"


class Banner(Struct, frozen=True):
    """The state of an app at a glance: ``word`` says it in one or two words.

    ``symbol`` is the shape of its ``tone``. ``where`` is the step that it stands at, and
    ``because`` why it went back.
    """

    tone: Tone
    symbol: str
    word: str
    where: str
    sentence: str
    because: str = ""


class Alarm(Struct, frozen=True):
    """Something that is on fire; ``state`` is that of a node that looks the same."""

    state: str
    sentence: str


class Button(Struct, frozen=True):
    """What a person may do: the action's name in the API; ``label`` is what its button says."""

    action: str
    label: str


class Actions(Struct, frozen=True):
    """The one thing to do next, and everything else, for somebody who may deploy.

    ``wait`` replaces ``next`` when there is nothing to do but wait, ``command`` when it takes the
    command line. ``blockers`` say what stands in the way. ``small`` may be done at once, those in
    ``hurting`` ask for a reason first. ``rollout`` is the id of the latest rollout, ``seen`` where
    it stands, for actions to refer to, and ``until`` when its present phase ends by itself.
    ``build`` is what the action ``deploy`` deploys, and ``why`` the sentence beside it all.
    """

    rollout: str = ""
    seen: str = ""
    next: Button | None = None
    why: str = ""
    wait: str = ""
    command: str = ""
    blockers: tuple[str, ...] = ()
    small: tuple[Button, ...] = ()
    hurting: tuple[Button, ...] = ()
    until: float | None = None
    build: str = ""


class BuildLine(Struct, frozen=True):
    """A build as people know it; ``role`` is one of ``ROLES``."""

    id: str
    role: str
    commit: str = ""
    subject: str = ""
    by: str = ""


class Share(Struct, frozen=True):
    """How many nodes of a tier run ``build``."""

    build: BuildLine
    nodes: int


class StateCount(Struct, frozen=True):
    """How many nodes of a tier are in a state."""

    state: str
    nodes: int


class TierLine(Struct, frozen=True):
    """One tier of the pipeline; ``fraction`` is how much of it is ``of`` some build, in words.

    ``current``: the rollout stands in this tier. ``shares`` are its nodes by the build that they
    run, ``states`` by how they stand.
    """

    tier: str
    nodes: int
    fraction: str
    of: str
    current: bool
    shares: tuple[Share, ...]
    states: tuple[StateCount, ...]


class StepLine(Struct, frozen=True):
    """One step of the plan; ``place`` is done, current, stopped or later.

    ``title`` is the tier and the share, ``terms`` how it begins and how long it soaks, and ``note``
    what there is to say of it now.
    """

    title: str
    place: str
    terms: str
    note: str = ""


class VerdictLine(Struct, frozen=True):
    """What a metric or a smoke test says; ``state`` is that of a node that looks the same."""

    metric: str
    outcome: str
    state: str
    sentence: str


class RolloutPanel(Struct, frozen=True):
    """The latest rollout: what is being pushed, by whom and why, and where it stands.

    Times are in seconds since the epoch; ``begun`` is the sentence with which it began.
    ``running``: it has not ended yet. ``target`` is the build that comes, ``base`` the one before.
    ``steps`` are those of its plan.
    """

    id: str
    running: bool
    target: BuildLine
    base: BuildLine | None
    by: str
    begun: str
    started_at: float
    ended_at: float | None
    plan: str
    steps: tuple[StepLine, ...]
    verdicts: tuple[VerdictLine, ...]


class EntryLine(Struct, frozen=True):
    """A journal entry with its number ``seq``; ``actor`` is empty where the sentence names it."""

    seq: int
    at: float
    kind: str
    actor: str
    why: str


class TrainLine(Struct, frozen=True):
    """An app's train in one line: its ``topic``, as in chat, and the ``leader`` or nothing."""

    topic: str
    leader: str = ""


class NodeMap(Struct, frozen=True):
    """``letters``: one for each node, tier after tier, each in the order of positions.

    The first five letters are nodes that are done and run the build that is new, live, old, another
    or none; then, by the same builds, come those that move, have failed, are unknown, are held.

    ``layout`` changes when a node comes, goes or moves.
    """

    layout: str
    letters: str


class TierPlaces(Struct, frozen=True):
    """A tier, and ``nodes``: their names in the order of their letters."""

    tier: str
    nodes: tuple[str, ...]


class Places(Struct, frozen=True):
    """Which node each letter of a map with the same ``layout`` is about."""

    layout: str
    tiers: tuple[TierPlaces, ...]


class Picture(Struct, frozen=True):
    """An app at the moment ``now``, in seconds since the epoch.

    ``banner`` says it at a glance, and ``phase`` is that of ``rollout``, the latest. ``alarms`` are
    what is on fire; ``calm`` says that all is well where there are none. ``live`` is the build that
    is, ``live_since`` when its rollout ended. ``actions`` are what there is to do, ``train`` who
    rides, ``tiers`` and ``map`` where the builds are. ``holds`` are those on the app and its tiers,
    ``idle`` what an app waits for that rolls out nothing. ``journal`` is newest first.
    """

    app: str
    now: float
    phase: Phase | None
    banner: Banner
    alarms: tuple[Alarm, ...]
    calm: str
    live: BuildLine | None
    live_since: float | None
    actions: Actions
    train: TrainLine
    tiers: tuple[TierLine, ...]
    rollout: RolloutPanel | None
    idle: tuple[str, ...]
    holds: tuple[Hold, ...]
    map: NodeMap
    journal: tuple[EntryLine, ...]


def meaning() -> dict[str, tuple[NodeState, str]]:
    """The state and the role that each letter of a map stands for."""
    return {letter: meant for meant, letter in LETTERS.items()}
