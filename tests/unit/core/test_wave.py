"""The wave waits for whoever does not serve, or may not, whatever the reason."""

import pytest
from msgspec import structs

from headway.core import wave
from headway.model.rollout import NodeState, NodeView

BASE, TARGET = "b" * 64, "a" * 64
DONE, MOVING, FAILED, UNKNOWN = (
    NodeState.DONE,
    NodeState.MOVING,
    NodeState.FAILED,
    NodeState.UNKNOWN,
)


def tier(*states: NodeState, running: str = BASE, away: tuple[int, ...] = ()) -> list[NodeView]:
    return [
        NodeView(f"n{i}", "z", i / len(states), state, running, away=i in away)
        for i, state in enumerate(states)
    ]


ONE = wave.limits(tier(DONE), 1, 1)
TWO = wave.limits(tier(DONE, DONE), 2, 2)


def test_a_failed_node_takes_a_place_until_it_is_back() -> None:
    nodes = tier(FAILED, DONE, DONE, DONE)
    assert wave.rise(nodes, 0.25, 1.0, ONE, TARGET) == 0.5
    nodes = tier(FAILED, DONE, DONE, DONE, away=(0,))
    assert wave.rise(nodes, 0.25, 1.0, ONE, TARGET) == 0.25


def test_failed_nodes_try_again_one_after_another() -> None:
    assert wave.retry(tier(FAILED, FAILED), 0.0, 1.0, ONE) == 0.5
    assert wave.retry(tier(FAILED, FAILED, away=(0,)), 0.0, 1.0, ONE) == 0.5
    assert wave.retry(tier(FAILED, FAILED, away=(1,)), 0.0, 1.0, ONE) == 0.0
    assert wave.retry(tier(FAILED, FAILED, away=(0, 1)), 0.0, 1.0, ONE) == 0.0


def test_of_silent_nodes_no_more_are_passed_than_may_have_failed_at_once() -> None:
    assert wave.retry(tier(UNKNOWN, UNKNOWN), 0.0, 1.0, ONE) == 0.0
    assert wave.retry(tier(UNKNOWN, UNKNOWN), 0.0, 1.0, TWO) == 1.0
    assert wave.retry(tier(UNKNOWN, DONE), 0.0, 1.0, ONE) == 1.0


@pytest.mark.parametrize("state", [MOVING, UNKNOWN])
def test_who_ran_the_target_when_last_heard_may_have_left_it(state: NodeState) -> None:
    """As after an aborted rollout away from it: a signal of that one may still be under way."""
    assert wave.rise(tier(state, state, running=TARGET), 0.0, 1.0, ONE, TARGET) < 1.0
    assert wave.rise(tier(DONE, DONE, running=TARGET), 0.0, 1.0, ONE, TARGET) == 1.0


def test_a_failed_node_takes_a_place_on_the_way_back_too() -> None:
    gone = tier(DONE, DONE, DONE, DONE, running=TARGET)
    assert wave.fall(gone, 1.0, ONE, BASE) == 0.75
    gone[0] = structs.replace(gone[0], state=FAILED, running=None, away=True)
    assert wave.fall(gone, 1.0, ONE, BASE) == 1.0
