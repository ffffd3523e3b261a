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


class Hold(Struct, frozen=True):
    """A block on an app, one of its lanes or tiers, or a node. Holds never stop a revert.

    ``on`` names the app, ``app/code`` or ``app/config``, ``app/tier``, or the node. ``until`` is
    when it lapses by itself.
    """

    id: str
    scope: Scope
    on: str
    by: Text
    reason: Text
    at: float
    until: float | None = None
