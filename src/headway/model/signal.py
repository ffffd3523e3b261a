"""The small signed values in the signal store: one per app, and one per node.

Both travel as the payload of a DSSE envelope signed by a release key (``headway.signing``).
An agent ignores fields that it does not know, so that a newer control plane can add some; what an
older agent must not act on without understanding comes with a higher ``version``.
"""

from msgspec import Struct

from headway.model.names import BuildId, Fraction, Name, NodeName, Text

SIGNAL_TYPE = "application/vnd.headway.signal+json"
RECORD_TYPE = "application/vnd.headway.node+json"
VERSION = 1
"""The version of both values that this code understands."""


class Layer(Struct, frozen=True):
    """What an earlier, unfinished rollout left behind, and on which fractions."""

    build: BuildId
    fractions: dict[Name, Fraction]
    """Up to which fraction of each tier it runs."""


class Signal(Struct, frozen=True):
    """What an app's nodes should run.

    A node whose position in its tier is below ``fractions[tier]`` runs ``target``; else, below
    ``layer.fractions[tier]``, what an unfinished rollout left there; else ``base``. A tier that
    is not named has fraction 0. ``epoch`` rises with every write and an agent never acts on one
    that it has passed. ``turned`` is the epoch at which the rollout began or turned round: what
    a node attested before it says nothing about where it is going now. ``attempt`` is the epoch
    at which failed nodes were last asked to try again; those whose position is below
    ``retry[tier]`` do. While ``prepare`` is set, every node may fetch and prepare ``target``
    before its turn.
    """

    app: Name
    epoch: int
    rollout: str
    base: BuildId | None
    target: BuildId
    fractions: dict[Name, Fraction]
    attempt: int
    prepare: bool
    issued_at: float
    by: Text
    why: Text
    turned: int = 0
    layer: Layer | None = None
    retry: dict[Name, Fraction] = {}
    version: int = VERSION


class Seat(Struct, frozen=True):
    """A node's place in one app: its tier, its position in [0, 1), and a build it is pinned to.

    ``verify`` rises whenever the node is to read again all that it holds of the app.
    """

    tier: Name
    position: Fraction
    pin: BuildId | None = None
    verify: int = 0


class NodeHold(Struct, frozen=True):
    """Why a node keeps what it runs, whatever is signalled."""

    by: Text
    reason: Text
    until: float | None = None


class NodeRecord(Struct, frozen=True):
    """What the control plane has decided about one node.

    ``serial`` rises with every write, as the signal's epoch does. ``seats`` is keyed by app.
    ``token`` is the sha256 of the node's token, by which a hub knows the node; nothing can be
    guessed back from it.
    """

    node: NodeName
    serial: int
    zone: Name
    seats: dict[Name, Seat]
    hold: NodeHold | None = None
    version: int = VERSION
    token: str = ""


def signal_key(app: str) -> str:
    """The key of an app's signal in the store."""
    return f"signals/{app}"


def record_key(node: str) -> str:
    """The key of a node's record in the store."""
    return f"nodes/{node}"
