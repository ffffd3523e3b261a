"""Every node's stable place in [0, 1) within its tier.

With N nodes the places are 0/N, 1/N, … (N-1)/N, so that a fraction f covers exactly ceil(f·N)
of them. Nodes are dealt out so that every prefix holds each zone in proportion, to half a node.
"""

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from heapq import heapify, heappop, heappush


def assign(places: Mapping[str, str]) -> dict[str, float]:
    """Positions for all nodes of one tier, given as node → zone.

    The j-th of a zone's n nodes is due at (j + ½)/n; nodes take their places in that order.
    """
    zones: dict[str, list[str]] = {}
    for node, zone in places.items():
        insort(zones.setdefault(zone, []), node, key=_shuffled)
    due = [
        ((j + 0.5) / len(nodes), zone, node)
        for zone, nodes in zones.items()
        for j, node in enumerate(nodes)
    ]
    return {node: rank / len(due) for rank, (_, _, node) in enumerate(sorted(due))}


def newcomers(taken: Iterable[float]) -> Iterator[float]:
    """Places for nodes that join while others must not move: each the middle of the widest gap.

    Of equal gaps the last is taken, so that a newcomer is rather late than early in a rollout.
    """
    places = sorted(taken)
    if not places or places[0] > 0.0:
        yield 0.0
        places = [0.0, *places]
    gaps = [_gap(low, high) for low, high in zip(places, [*places[1:], 1.0], strict=True)]
    heapify(gaps)
    while True:
        _, from_above, high = heappop(gaps)
        middle = (high - from_above) / 2
        yield middle
        heappush(gaps, _gap(-from_above, middle))
        heappush(gaps, _gap(middle, high))


def _gap(low: float, high: float) -> tuple[float, float, float]:
    """A gap, such that the one to fill first is the least."""
    return -round(high - low, 9), -low, high


def _shuffled(node: str) -> bytes:
    """A node's fixed rank among its zone's nodes: by digest, so that names do not matter."""
    return sha256(node.encode()).digest()
