import pytest

from headway.core.emergency import find_build, go_back, goes_back
from headway.core.goal import goal
from headway.errors import NotFound, Refused
from headway.model.build import Failure
from headway.model.signal import Layer, NodeRecord, Seat, Signal

OLD, NEW, LEFT = "aa" * 32, "bb" * 32, "cc" * 32


def signal(**facts) -> Signal:
    given = {
        "app": "web",
        "epoch": 7,
        "rollout": "web-5",
        "base": OLD,
        "target": NEW,
        "fractions": {"canary": 1.0, "production": 0.25},
        "attempt": 5,
        "prepare": True,
        "issued_at": 1.0,
        "by": "headway",
        "why": "the wave rises",
        "turned": 5,
        "retry": {"canary": 1.0, "production": 0.25, "late": 0.0},
    }
    return Signal(**{**given, **facts})


def back(standing: Signal, to: str | None = None, beyond: int = 0) -> Signal:
    return go_back(standing, to, beyond, "alice", "errors", 9.0)


def runs(told: Signal, tier: str, position: float, failed: Failure | None = None) -> str | None:
    record = NodeRecord("n", 1, "z", {"web": Seat(tier, position)})
    return goal(told, record, failed, 9.0, "web").run


@pytest.mark.parametrize("tier", ["canary", "production", "unheard-of"])
@pytest.mark.parametrize("position", [0.0, 0.2, 0.99])
def test_every_node_goes_back_also_from_what_an_unfinished_rollout_left(
    tier: str, position: float
) -> None:
    standing = signal(layer=Layer(LEFT, {"production": 1.0}))
    told = back(standing)
    assert told.epoch == 8
    assert runs(told, tier, position) == OLD
    assert goes_back(told)
    assert "alice" in told.why
    assert "errors" in told.why


def test_a_build_that_failed_before_is_tried_again() -> None:
    for tier in ("canary", "production", "late"):
        assert runs(back(signal()), tier, 0.5, Failure(OLD, 7)) == OLD


def test_it_may_go_forward_to_what_is_being_rolled_out_too() -> None:
    assert runs(back(signal(), NEW), "production", 0.9) == NEW


def test_where_there_is_nothing_to_go_back_to_it_says_so() -> None:
    with pytest.raises(Refused, match="first build"):
        back(signal(base=None))
    assert back(signal(base=None), LEFT).base == LEFT
    with pytest.raises(Refused, match="already, since epoch 8"):
        back(back(signal()))
    assert back(back(signal()), NEW).epoch == 9
    # One that has just begun has moved nobody yet, but is about to.
    assert not goes_back(signal(fractions={}))
    assert goes_back(back(signal(fractions={})))


def test_an_older_copy_of_the_store_can_be_passed() -> None:
    assert back(signal(), beyond=40).epoch == 41
    assert back(back(signal()), beyond=40).epoch == 41


def test_a_build_is_named_by_what_the_signal_knows_or_in_full() -> None:
    assert find_build(signal(), "aaaaaa") == OLD
    assert find_build(signal(), LEFT) == LEFT
    for text in ("aaaaa", "cccccc", "", "x" * 64):
        with pytest.raises(NotFound, match="aaaaaaaaaaaa, bbbbbbbbbbbb"):
            find_build(signal(), text)
