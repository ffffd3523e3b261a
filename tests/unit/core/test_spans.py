"""What begins must end, once, and with the outcome that it had."""

from collections.abc import Iterator

import pytest
from msgspec import structs

from headway.core.spans import Turn, turns
from headway.model.announcement import Kind, Occasion
from headway.model.plan import Step
from headway.model.rollout import LIVE, Phase, Rollout

PLAN = (Step("canary"), Step("production", share=0.5), Step("production"))
STATE = Rollout(
    id="web-1",
    app="web",
    base="a" * 64,
    target="b" * 64,
    plan=PLAN,
    by="ann",
    started_at=100.0,
    phase=Phase.ROLLING,
    step=0,
    since=100.0,
    step_since=100.0,
    epoch=1,
    attempt=1,
    fractions={},
    why="",
    turned=1,
)


def at(phase: Phase, step: int = 0, **more: object) -> Rollout:
    return structs.replace(STATE, phase=phase, step=step, **more)


def told(before: Rollout | None, after: Rollout, now: float = 200.0) -> list[Turn]:
    return list(turns(before, after, "the reason", now))


def short(found: list[Turn]) -> list[tuple[str, str, str]]:
    return [
        (turn.occasion.value, turn.span.id, turn.span.outcome if turn.span.ended else "begins")
        for turn in found
    ]


def test_a_rollout_and_its_first_step_begin() -> None:
    found = told(None, STATE)
    assert short(found) == [("deploy", "web-1", "begins"), ("step", "web-1/0", "begins")]
    assert found[0].span.tiers == ("canary", "production")
    assert found[1].span.tiers == ("canary",)
    assert found[0].span.build == "b" * 64
    assert found[0].sentence == "the reason"


def test_one_step_ends_where_the_next_begins() -> None:
    found = told(at(Phase.SOAKING), at(Phase.ROLLING, 1, step_since=200.0))
    assert short(found) == [("step", "web-1/0", "succeeded"), ("step", "web-1/1", "begins")]
    assert (found[0].span.began, found[0].span.ended) == (100.0, 200.0)
    assert found[0].span.whole
    assert not found[1].span.whole
    assert "canary 100 % is green" in found[0].sentence


def test_a_tier_is_whole_with_its_last_step_also_where_that_was_skipped() -> None:
    (half, _) = told(at(Phase.WAITING, 1), at(Phase.ROLLING, 2))
    assert not half.span.whole
    (step, deploy) = told(at(Phase.SOAKING, 1), at(Phase.SUCCEEDED, 1))
    assert step.span.whole
    assert deploy.span.outcome == "succeeded"


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.SUPERSEDED])
def test_what_is_left_ends_step_and_rollout(phase: Phase) -> None:
    found = told(at(Phase.PAUSED, 1), at(phase, 1))
    assert short(found) == [("step", "web-1/1", phase.value), ("deploy", "web-1", phase.value)]
    assert "the reason" in found[0].sentence


def test_the_way_back_is_a_span_of_its_own() -> None:
    back = at(Phase.REVERTING, 1, turned=7, since=200.0)
    found = told(at(Phase.ROLLING, 1), back)
    assert short(found) == [
        ("step", "web-1/1", "reverted"),
        ("deploy", "web-1", "reverted"),
        ("return", "web-1/back/7", "begins"),
    ]
    span = found[2].span
    assert (span.kind, span.build, span.tiers) == (
        Kind.REVERT, "a" * 64, ("canary", "production"),
    )  # fmt: skip
    done = told(back, at(Phase.REVERTED, 1, turned=7), 230.0)
    assert short(done) == [("return", "web-1/back/7", "succeeded")]
    assert (done[0].span.began, done[0].span.ended) == (200.0, 230.0)


def test_what_had_ended_goes_back_without_ending_twice() -> None:
    for phase in (Phase.SUCCEEDED, Phase.ABORTED):
        assert short(told(at(phase, 2), at(Phase.REVERTING, 2, turned=9))) == [
            ("return", "web-1/back/9", "begins")
        ]


def test_a_way_back_that_is_abandoned_ends() -> None:
    found = told(at(Phase.REVERTING, 1, turned=7), at(Phase.ABORTED, 1, turned=7))
    assert short(found) == [("return", "web-1/back/7", "aborted")]


def histories() -> Iterator[tuple[Phase, Phase]]:
    yield from ((a, b) for a in Phase for b in Phase)


@pytest.mark.parametrize(("first", "then"), list(histories()))
def test_a_span_ends_if_and_only_if_it_was_under_way(first: Phase, then: Phase) -> None:
    found = told(at(first, 1, turned=3), at(then, 1, turned=3))
    ended = {turn.occasion for turn in found if turn.span.ended is not None}
    begun = {turn.occasion for turn in found if turn.span.ended is None}
    forward = LIVE - {Phase.REVERTING}
    assert (Occasion.DEPLOY in ended) == (first in forward and then not in forward)
    assert (Occasion.STEP in ended) == (Occasion.DEPLOY in ended)
    assert (Occasion.RETURN in begun) == (first is not then and then is Phase.REVERTING)
    assert (Occasion.RETURN in ended) == (first is not then and first is Phase.REVERTING)
    assert begun <= {Occasion.RETURN}
