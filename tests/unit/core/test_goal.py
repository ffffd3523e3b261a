"""What a node should run, case by case, with the sentence that says why."""

import pytest
from msgspec import structs

from headway.core.goal import goal
from headway.model.build import Failure
from headway.model.signal import Layer, NodeHold, NodeRecord, Seat, Signal

BASE, TARGET, OLDER = "b" * 64, "a" * 64, "c" * 64
SIGNAL = Signal(
    app="web",
    epoch=5,
    rollout="r",
    base=BASE,
    target=TARGET,
    fractions={"production": 0.25},
    attempt=2,
    prepare=True,
    issued_at=0.0,
    by="alice",
    why="",
    retry={"production": 0.5},
)


def record(position: float, **facts: object) -> NodeRecord:
    seat = Seat("production", position, facts.pop("pin", None))  # type: ignore[arg-type]
    return NodeRecord("n1", 1, "east", {"web": seat}, **facts)  # type: ignore[arg-type]


def decide(signal: Signal | None, node: NodeRecord | None, failed: Failure | None = None):
    return goal(signal, node, failed, 100.0, "web")


@pytest.mark.parametrize(("position", "run"), [(0.0, TARGET), (0.2499, TARGET), (0.25, BASE)])
def test_the_fraction_decides(position, run) -> None:
    decision = decide(SIGNAL, record(position))
    assert decision.run == run
    assert decision.prepare == TARGET
    assert "production" in decision.why


def test_nothing_runs_without_a_record_or_a_signal() -> None:
    assert decide(SIGNAL, None).run is None
    assert decide(None, record(0.0)).run is None
    assert "first signal" in decide(None, record(0.0)).why


def test_a_hold_comes_before_everything_until_it_lapses() -> None:
    held = record(0.0, pin=OLDER, hold=NodeHold("bob", "disk swap", until=101.0))
    assert decide(SIGNAL, held).run is None
    assert decide(SIGNAL, held).held
    assert decide(SIGNAL, held).why == "held by bob: disk swap"
    lapsed = structs.replace(held, hold=NodeHold("bob", "disk swap", until=100.0))
    assert decide(SIGNAL, lapsed).run == OLDER


def test_a_pin_comes_before_the_signal() -> None:
    assert decide(SIGNAL, record(0.9, pin=OLDER)).run == OLDER


def test_a_failed_build_waits_for_a_later_attempt_that_reaches_this_node() -> None:
    failed_now = Failure(TARGET, 2)
    failed_before = Failure(TARGET, 1)
    assert decide(SIGNAL, record(0.1), failed_now).run == BASE
    assert "waiting to be told to retry" in decide(SIGNAL, record(0.1), failed_now).why
    assert decide(SIGNAL, record(0.1), failed_before).run == TARGET
    beyond = structs.replace(SIGNAL, retry={"production": 0.05})
    assert decide(beyond, record(0.1), failed_before).run == BASE


def test_a_base_that_failed_leaves_the_node_as_it_is() -> None:
    assert decide(SIGNAL, record(0.9), Failure(BASE, 2)).run is None


def test_where_the_target_is_the_base_too_a_failed_node_waits_for_its_turn() -> None:
    """As when the base is deployed again over what an unfinished rollout left."""
    again = structs.replace(SIGNAL, base=TARGET, attempt=9, retry={"production": 0.0})
    assert decide(again, record(0.0), Failure(TARGET, 8)).run is None
    turn = structs.replace(again, retry={"production": 0.5})
    assert decide(turn, record(0.0), Failure(TARGET, 8)).run == TARGET


def test_what_an_unfinished_rollout_left_stays_until_a_step_reaches_it() -> None:
    layered = structs.replace(SIGNAL, layer=Layer(OLDER, {"production": 0.5}))
    assert decide(layered, record(0.1)).run == TARGET
    assert decide(layered, record(0.4)).run == OLDER
    assert decide(layered, record(0.6)).run == BASE


def test_what_an_unfinished_rollout_left_is_not_tried_again_where_it_failed() -> None:
    layered = structs.replace(SIGNAL, layer=Layer(OLDER, {"production": 0.5}))
    assert decide(layered, record(0.4), Failure(OLDER, 1)).run is None


def test_without_a_base_the_rest_of_the_tier_is_left_alone() -> None:
    first = structs.replace(SIGNAL, base=None)
    assert decide(first, record(0.9)).run is None
    assert "there is no base" in decide(first, record(0.9)).why
