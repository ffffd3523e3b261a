"""The moving front inside a step: it rises only as fast as restart concurrency allows.

Nodes are admitted in order of position by raising one number, so no node needs a lock: it is
the fraction that waits. All functions take one tier's nodes, sorted by position.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from headway.model.names import Amount, BuildId, share
from headway.model.rollout import NodeState, NodeView


class Limits(Struct, frozen=True):
    """How many nodes may be in transition at a time, in all and in any one zone."""

    total: int
    zones: dict[str, int]


def limits(nodes: Sequence[NodeView], concurrency: Amount, zone_concurrency: Amount) -> Limits:
    """The limits for a tier; never less than one node, or nothing would ever move."""
    sizes = Counter(node.zone for node in nodes)
    return Limits(
        max(1, share(concurrency, len(nodes))),
        {zone: max(1, share(zone_concurrency, size)) for zone, size in sizes.items()},
    )


def rise(
    nodes: Sequence[NodeView], front: float, to: float, bound: Limits, target: BuildId
) -> float:
    """The highest front between ``front`` and ``to`` that the limits allow now.

    A node in transition is one that is moving, one that has failed and is on its way back, or one
    that was told to move and has fallen silent.
    """
    return _raise(nodes, front, front, to, bound, lambda node: _will_move(node, target))


def retry(nodes: Sequence[NodeView], front: float, to: float, bound: Limits) -> float:
    """As ``rise``, for the front below which failed nodes try again; ``to`` is the wave's."""
    return _raise(nodes, to, front, to, bound, _may_have_failed)


def _raise(
    nodes: Sequence[NodeView],
    told: float,
    front: float,
    to: float,
    bound: Limits,
    moves: Callable[[NodeView], bool],
) -> float:
    busy = Counter(node.zone for node in nodes if _in_transition(node, told))
    for node in nodes:
        if node.position < front:
            continue
        if node.position >= to:
            break
        if moves(node):
            if not _in_transition(node, told):
                busy[node.zone] += 1
            if not _fits(busy, node.zone, bound):
                return max(front, node.position)
    return max(front, to)


def fall(nodes: Sequence[NodeView], front: float, bound: Limits, base: BuildId) -> float:
    """The lowest front that the limits allow now, on the way back to 0.

    A silent node does not slow a revert down: those that answer are brought back first.
    """
    busy = Counter(node.zone for node in nodes if _is_moving(node))
    for node in reversed(nodes):
        if node.position >= front:
            continue
        if not _is_moving(node) and _is_elsewhere(node, base):
            busy[node.zone] += 1
            if not _fits(busy, node.zone, bound):
                return front
        front = node.position
    return 0.0


def within(nodes: Iterable[NodeView], front: float) -> list[NodeView]:
    """The nodes that a front covers."""
    return [node for node in nodes if node.position < front]


def _in_transition(node: NodeView, front: float) -> bool:
    if node.state is NodeState.UNKNOWN:
        return node.position < front
    return _is_moving(node)


def _is_moving(node: NodeView) -> bool:
    return node.state is NodeState.MOVING or node.away


def _will_move(node: NodeView, build: BuildId) -> bool:
    """Whether it runs another build, or may do so by now."""
    unsure = node.state is NodeState.UNKNOWN or _is_moving(node)
    return _is_elsewhere(node, build) or unsure


def _is_elsewhere(node: NodeView, build: BuildId) -> bool:
    return node.state is not NodeState.HELD and node.running != build


def _may_have_failed(node: NodeView) -> bool:
    return node.state in (NodeState.FAILED, NodeState.UNKNOWN)


def _fits(busy: Counter[str], zone: str, bound: Limits) -> bool:
    return busy.total() <= bound.total and busy[zone] <= bound.zones[zone]
