"""The wave waits for whoever does not serve, whatever the reason."""

from msgspec import structs

from headway.core import wave
from headway.model.rollout import NodeState, NodeView

BASE, TARGET = "b" * 64, "a" * 64


def tier(*odd: NodeView) -> list[NodeView]:
    nodes = [NodeView(f"n{i}", "z", i / 4, NodeState.DONE, BASE) for i in range(4)]
    changed = {node.node: node for node in odd}
    return [changed.get(node.node, node) for node in nodes]


def failed(number: int, away: bool) -> NodeView:
    return NodeView(f"n{number}", "z", number / 4, NodeState.FAILED, BASE, away=away)


def test_a_failed_node_takes_a_place_until_it_is_back() -> None:
    bound = wave.limits(tier(), 1, 1)
    assert wave.rise(tier(failed(0, away=False)), 0.25, 1.0, bound, TARGET) == 0.5
    assert wave.rise(tier(failed(0, away=True)), 0.25, 1.0, bound, TARGET) == 0.25
    assert wave.retry(tier(failed(0, away=False), failed(1, away=False)), 0.0, 1.0, bound) == 0.25
    assert wave.retry(tier(failed(0, away=False), failed(1, away=True)), 0.0, 1.0, bound) == 0.0


def test_on_the_way_back_too() -> None:
    gone = [structs.replace(node, running=TARGET) for node in tier()]
    bound = wave.limits(gone, 1, 1)
    assert wave.fall(gone, 1.0, bound, BASE) == 0.75
    gone[0] = structs.replace(failed(0, away=True), running=None)
    assert wave.fall(gone, 1.0, bound, BASE) == 1.0
