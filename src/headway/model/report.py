"""What a node says: when it enrols, and about each app that it runs."""

from enum import StrEnum
from typing import Annotated
from zlib import crc32

from msgspec import Meta, Struct

from headway.model.build import Failure
from headway.model.names import BuildId, Name, NodeName

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
    ``counters`` are totals scraped from the app since it started.
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
    counters: dict[str, float] = {}


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
