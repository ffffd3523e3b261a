"""What a node asks, and is told, about other nodes that can hand it a build."""

from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import BuildId, Name, NodeName

PASS_TYPE = "application/vnd.headway.peer-pass+json"  # noqa: S105
PASS_HEADER = "Headway-Pass"  # noqa: S105

Address = Annotated[
    str, Meta(pattern=r"\A(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]{2,45}\]):[0-9]{1,5}\Z")
]
"""An IP address and a port. A name is none: nobody has others look it up."""


class PeerAsk(Struct, frozen=True, forbid_unknown_fields=True):
    """A node that wants a build, and where others reach it once it has it.

    ``failed`` are the peers that have not served it, or not rightly.
    """

    app: Name
    build: BuildId
    address: Address
    failed: Annotated[tuple[NodeName, ...], Meta(max_length=16)] = ()


class PeerAnswer(Struct, frozen=True):
    """Where to get the build: from ``peer``; else from the ``origin``; else ask again later.

    ``again`` is in how many seconds, on average. ``ticket`` opens the peer's door.
    """

    origin: bool = False
    peer: NodeName | None = None
    address: Address | None = None
    ticket: str = ""
    again: float = 0.0


class PeerPass(Struct, frozen=True):
    """What the control plane signs: this node may read what this app's builds consist of.

    ``until`` is in seconds since 1970. Only the peer ``at`` this address may count it.
    """

    node: NodeName
    app: Name
    at: Address
    until: float
