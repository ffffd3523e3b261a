"""The map of all nodes, small enough to be sent again and again: one letter for each node.

A letter says a node's state and the part that its build plays. Which node it is about follows
from its place: tier after tier, each in the order in which its nodes move. Who has seen the map
before is sent only the runs of letters that differ.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import zip_longest

import msgspec
from msgspec import Struct

from headway.model.picture import LETTERS, NodeMap, Places, TierPlaces
from headway.model.rollout import NodeView
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.lines import role
from headway.server.cockpit.pipeline import tier_views

GAP = 8
"""So many letters that are the same between two that differ cost less than a run of their own."""


class MapNews(Struct, frozen=True):
    """Runs of letters, each with the place of its first; ``whole``: forget what was before."""

    layout: str
    whole: bool
    runs: tuple[tuple[int, str], ...]


def node_map(facts: Facts) -> NodeMap:
    """The map as it is now."""
    builds = {build or None for tier in tier_views(facts) for build in tier.builds}
    parts = tuple((build, role(facts, build)) for build in builds)
    letters = "".join(_letters(_Same(nodes), parts) for _, nodes in _tiers(facts))
    names = tuple((tier, _names(_Same(nodes))) for tier, nodes in _tiers(facts))
    return NodeMap(_layout(names), letters)


def places(facts: Facts) -> Places:
    """Which node stands where."""
    names = tuple((tier, _names(_Same(nodes))) for tier, nodes in _tiers(facts))
    return Places(_layout(names), tuple(TierPlaces(tier, nodes) for tier, nodes in names))


@lru_cache(maxsize=64)
def news(before: NodeMap | None, after: NodeMap) -> bytes:
    """What leads from one map to the other, as JSON; made once for however many look."""
    if before is None or before.layout != after.layout:
        return msgspec.json.encode(MapNews(after.layout, True, ((0, after.letters),)))
    return msgspec.json.encode(MapNews(after.layout, False, _runs(before.letters, after.letters)))


def _tiers(facts: Facts) -> list[tuple[str, Sequence[NodeView]]]:
    return [(view.tier, facts.fleet.tiers.get(view.tier, ())) for view in tier_views(facts)]


class _Same:
    """A tier's nodes, known again by being the very same tuple: nothing in it has changed."""

    def __init__(self, nodes: Sequence[NodeView]) -> None:
        self.nodes = nodes

    def __hash__(self) -> int:
        return id(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.nodes is other.nodes


@lru_cache(maxsize=64)
def _letters(same: _Same, parts: tuple[tuple[str | None, str], ...]) -> str:
    part = dict(parts)
    return "".join([LETTERS[node.state, part[node.running]] for node in same.nodes])


@lru_cache(maxsize=64)
def _names(same: _Same) -> tuple[str, ...]:
    return tuple(node.node for node in same.nodes)


@lru_cache(maxsize=64)
def _layout(names: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return sha256(msgspec.json.encode(names)).hexdigest()[:16]


def _runs(before: str, after: str) -> tuple[tuple[int, str], ...]:
    differ = [i for i, (old, new) in enumerate(zip_longest(before, after)) if old != new]
    runs: list[tuple[int, int]] = []
    for place in differ:
        if runs and place - runs[-1][1] <= GAP:
            runs[-1] = runs[-1][0], place
        else:
            runs.append((place, place))
    return tuple((first, after[first : last + 1]) for first, last in runs)
