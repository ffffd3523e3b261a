"""Holds: named, reasoned, optionally expiring blocks."""

from enum import StrEnum

from msgspec import Struct

from headway.model.names import Text


class Scope(StrEnum):
    """What a hold blocks."""

    APP = "app"
    LANE = "lane"
    TIER = "tier"
    NODE = "node"
    TRAIN = "train"


class Hold(Struct, frozen=True):
    """A block on an app, one of its lanes or tiers, a node, or a train. Holds never stop a revert.

    ``on`` names the app, ``app/code`` or ``app/config``, ``app/tier``, or the node. Who holds a
    train holds all that would deploy its app, by whatever way and in either lane. ``until`` is
    when it lapses by itself.
    """

    id: str
    scope: Scope
    on: str
    by: Text
    reason: Text
    at: float
    until: float | None = None
