"""What was live when: at every moment one build at most, and none that never was."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.lives import Course, Life, lives


def test_the_next_that_goes_live_ends_the_one_before() -> None:
    found = lives([Course("a", 10.0), Course("b"), Course("c", 30.0)])
    assert found == {"a": (Life(10.0, 30.0),), "c": (Life(30.0),)}


def test_what_is_taken_back_gives_way_to_the_one_before_once_all_nodes_have_it() -> None:
    found = lives([Course("a", 10.0), Course("b", 20.0, left_at=25.0, back_at=27.0)])
    assert found == {"a": (Life(10.0, 20.0), Life(27.0)), "b": (Life(20.0, 25.0),)}


def test_while_it_is_being_taken_back_nothing_is_live() -> None:
    found = lives([Course("a", 10.0), Course("b", 20.0, left_at=25.0)])
    assert found["a"] == (Life(10.0, 20.0),)
    assert found["b"] == (Life(20.0, 25.0),)


def test_two_taken_back_one_after_the_other() -> None:
    found = lives(
        [
            Course("a", 10.0),
            Course("b", 20.0, 25.0, 27.0),
            Course("c", 40.0, 45.0, 47.0),
            Course("d", 60.0),
        ]
    )
    assert found["a"] == (Life(10.0, 20.0), Life(27.0, 40.0), Life(47.0, 60.0))


@st.composite
def courses(draw: st.DrawFn) -> list[Course]:
    at, found = 0.0, []
    for number in range(draw(st.integers(0, 12))):
        fate = draw(st.sampled_from(["live", "never", "back"]))
        steps = [draw(st.floats(1, 1000)) for _ in range(3)]
        begin = at + steps[0]
        if fate == "live":
            found.append(Course(f"r{number}", begin))
            at = begin
        elif fate == "back":
            left, back = begin + steps[1], begin + steps[1] + steps[2]
            found.append(Course(f"r{number}", begin, left, back))
            at = back
        else:
            found.append(Course(f"r{number}"))
    return found


@given(courses())
def test_lives_never_overlap_and_the_last_good_one_is_live(of: list[Course]) -> None:
    found = lives(of)
    spans = sorted((life for mine in found.values() for life in mine), key=lambda s: s.begin)
    for before, after in pairwise(spans):
        assert before.end is not None
        assert before.begin <= before.end <= after.begin
    assert found.keys() == {one.rollout for one in of if one.live_at is not None}
    kept = [one.rollout for one in of if one.live_at is not None and one.left_at is None]
    still = [name for name, mine in found.items() if mine[-1].end is None]
    assert still == kept[-1:]


def reopened_at_once(of: list[Course]) -> dict[str, tuple[Life, ...]]:
    """The mutant: it takes the beginning of a revert for its end."""
    early = [Course(c.rollout, c.live_at, c.left_at, c.left_at) for c in of]
    return lives(early)


def test_the_tests_see_a_revert_that_counts_as_done_when_it_begins() -> None:
    of = [Course("a", 10.0), Course("b", 20.0, left_at=25.0, back_at=27.0)]
    with pytest.raises(AssertionError):
        assert reopened_at_once(of)["a"] == (Life(10.0, 20.0), Life(27.0))
