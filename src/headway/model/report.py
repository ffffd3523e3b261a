"""What a node says: when it enrols, and about each app that it runs."""

from enum import StrEnum
from typing import Annotated
from zlib import crc32

from msgspec import Meta, Struct

from headway.model.build import Failure
from headway.model.names import BuildId, Name, NodeName

MOST_STRAYS = 10
"""How many paths of one tree are named."""
_MOST_DRIFTS = 16

Output = Annotated[str, Meta(max_length=8000)]
"""The last lines of a hook's output."""


class Activity(StrEnum):
    """What an agent is doing for an app."""

    IDLE = "idle"
    FETCHING = "fetching"
    PREPARING = "preparing"
    DRAINING = "draining"
    SWITCHING = "switching"
    RESTARTING = "restarting"
    VERIFYING = "verifying"
    FLIPPING_BACK = "flipping back"


class Deviation(StrEnum):
    """How a path differs from what was published."""

    CONTENT = "has other content"
    MISSING = "is missing"
    UNEXPECTED = "should not be there"
    KIND = "is of another kind"
    MODE = "has another mode"
    TIME = "has another time of change"
    TARGET = "leads elsewhere"
    UNREADABLE = "cannot be read"
    LISTING = "has lost its listing, or a piece of it, so what it holds cannot be checked"


class Stray(Struct, frozen=True, forbid_unknown_fields=True):
    """A path that is not as it was published, and how; odd characters in it are escaped."""

    path: Annotated[str, Meta(max_length=300)]
    """Where it lies, below the tree."""
    problem: Deviation
    """How it differs."""


class Drift(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not as it was published in the tree of one slot.

    ``strays`` are the first of ``count``, found first at ``since``. ``serving`` tells that the
    application runs from this tree. ``mended`` tells that a right tree has taken its place since,
    or that nothing needs it any more; a tree that does not serve is never switched to before.
    """

    slot: Annotated[str, Meta(max_length=8)]
    build: BuildId
    since: float
    count: int
    strays: Annotated[tuple[Stray, ...], Meta(max_length=MOST_STRAYS)]
    serving: bool = False
    mended: bool = False


class Inspection(Struct, frozen=True, forbid_unknown_fields=True):
    """The last time that a node read again all that it holds of an app.

    ``files`` of ``build``, which serves, were checked by ``ended``; 0 before the first was.
    ``asked`` is the number of the latest demand (``Seat.verify``) that this answers. ``drift`` is
    told as soon as it is found.
    """

    asked: int = 0
    ended: float = 0.0
    build: BuildId | None = None
    files: int = 0
    drift: Annotated[tuple[Drift, ...], Meta(max_length=_MOST_DRIFTS)] = ()


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True):
    """A node presenting itself: where it stands, and in which tier it runs each app."""

    node: NodeName
    zone: Name
    tiers: dict[Name, Name]
    version: str = ""


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """The state of one app on one node, complete in itself: the last one is all that matters.

    ``running`` is the verified build in the hot slot, ``prepared`` the build that is ready in
    a cold one. ``epoch`` is the signal's that the agent last decided upon, and ``activity``
    what it does since. ``why`` is one sentence: what the agent does, or why it does not. ``boot``
    names the agent's process and ``seq`` rises within it, so that a report can be sent twice.
    ``counters`` are totals scraped from the app since it started. ``inspection`` tells whether the
    trees are still what was published. ``serial`` is that of the node's record that the agent last
    decided upon; 0 from an agent that does not tell.
    """

    node: NodeName
    app: Name
    boot: str
    seq: int
    epoch: int
    activity: Activity
    running: BuildId | None
    prepared: BuildId | None
    why: str
    at: float
    error: str = ""
    output: Output = ""
    failed: Failure | None = None
    """The build that it tried in vain, and at which attempt; null if there is none."""
    counters: dict[str, float] = {}
    inspection: Inspection | None = None
    serial: int = 0


class Presence(Struct, frozen=True):
    """All that a node says where it reports through the signal store: one value, under a lease.

    ``lease`` tells what an agent has written from what another one of the node has.
    """

    enrolment: Enrolment
    reports: tuple[Report, ...] = ()
    lease: str = ""


PRESENCE_SHARDS = 64
"""Into how many directories nodes are spread: a store may read a whole one at each change."""


def presence_shard(number: int) -> str:
    """The directory of one shard."""
    return f"presence/{number:02x}/"


def presence_key(node: str) -> str:
    """Where a node's presence is in the store."""
    return f"{presence_shard(crc32(node.encode()) % PRESENCE_SHARDS)}{node}"
