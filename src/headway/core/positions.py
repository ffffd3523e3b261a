"""Every node's stable place in [0, 1) within its tier.

With N nodes the places are 0/N, 1/N, … (N-1)/N, so that a fraction f covers exactly ceil(f·N)
of them. Nodes are dealt out so that every prefix holds each zone in proportion, to half a node.
"""

from bisect import insort
from collections.abc import Iterable, Mapping
from hashlib import sha256


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


def newcomer(taken: Iterable[float]) -> float:
    """A place for a node that joins while others must not move: the middle of the widest gap.

    Of equal gaps the last is taken, so that a newcomer is rather late than early in a rollout.
    """
    places = sorted(taken)
    if not places or places[0] > 0.0:
        return 0.0
    gaps = zip(places, [*places[1:], 1.0], strict=True)
    low, high = max(gaps, key=lambda gap: (round(gap[1] - gap[0], 9), gap[0]))
    return (low + high) / 2


def _shuffled(node: str) -> bytes:
    """A node's fixed rank among its zone's nodes: by digest, so that names do not matter."""
    return sha256(node.encode()).digest()
