"""Holds: named, reasoned, optionally expiring blocks."""

from enum import StrEnum

from msgspec import Struct

from headway.model.names import Text


class Scope(StrEnum):
    """What a hold blocks."""

    APP = "app"
    TIER = "tier"
    NODE = "node"
    TRAIN = "train"


class Hold(Struct, frozen=True):
    """A block on an app, one of its tiers, a node, or an app's train. Holds never stop a revert.

    ``on`` names the app, ``app/tier`` or the node. Who holds a train holds all that would deploy
    its app, by whatever way. ``until`` is when it lapses by itself.
    """

    id: str
    scope: Scope
    on: str
    by: Text
    reason: Text
    at: float
    until: float | None = None
