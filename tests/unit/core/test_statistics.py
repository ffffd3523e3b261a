"""The four figures: worked by hand on small pasts, and laws that hold on all."""

from itertools import pairwise
from math import isclose
from statistics import median

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.statistics import Deploy, Figures, figures, judged, periods

HOUR = 3600.0


def test_a_deploy_that_was_taken_back_has_failed_and_ends_with_the_old_build_everywhere() -> None:
    good = Deploy(0.0, live_at=100.0)
    bad = Deploy(1000.0, back_at=1300.0)
    found = judged([good, bad])
    assert [one.failed for one in found] == [False, True]
    whole = figures(found)
    assert (whole.counted, whole.live, whole.failed) == (2, 1, 1)
    assert whole.failure_rate == 0.5
    assert whole.restore == 300.0


def test_a_hotfix_makes_the_deploy_before_it_a_failure_and_restores() -> None:
    found = judged([Deploy(0.0, live_at=100.0), Deploy(500.0, live_at=700.0, hotfix=True)])
    assert [(one.failed, one.restored_at) for one in found] == [(True, 700.0), (False, None)]


def test_a_hotfix_mends_what_is_live_not_what_was_taken_back() -> None:
    found = judged(
        [
            Deploy(0.0, live_at=10.0),
            Deploy(20.0, back_at=30.0),
            Deploy(40.0, live_at=50.0, hotfix=True),
        ]
    )
    assert [one.failed for one in found] == [True, True, False]
    assert [one.restored_at for one in found] == [50.0, 30.0, None]


def test_a_hotfix_that_never_went_live_blames_nobody() -> None:
    found = judged([Deploy(0.0, live_at=10.0), Deploy(20.0, back_at=30.0, hotfix=True)])
    assert [one.failed for one in found] == [False, True]


def test_what_was_aborted_or_goes_on_counts_for_nothing() -> None:
    assert judged([Deploy(0.0), Deploy(5.0)]) == ()
    assert figures(()) == Figures()
    assert figures(()).failure_rate is None


def test_the_lead_time_is_that_of_each_change_not_of_each_deploy() -> None:
    many = Deploy(0.0, live_at=10 * HOUR, merged=tuple(h * HOUR for h in range(1, 10)))
    one = Deploy(0.0, live_at=10 * HOUR, merged=(9 * HOUR,))
    whole = figures(judged([many, one]))
    assert whole.lead == 4.5 * HOUR
    assert whole.lead_90 == 8 * HOUR


def test_a_change_counts_only_where_it_went_live() -> None:
    assert figures(judged([Deploy(0.0, back_at=9.0, merged=(1.0,))])).lead is None


@st.composite
def pasts(draw: st.DrawFn) -> list[Deploy]:
    at, found = 0.0, []
    for _ in range(draw(st.integers(0, 30))):
        at += draw(st.floats(1, 2e5))
        took = draw(st.floats(1, 1e4))
        fate = draw(st.sampled_from(["live", "back", "both", "neither"]))
        live = at + took if fate in ("live", "both") else None
        back = at + took * 2 if fate in ("back", "both") else None
        merged = tuple(at - draw(st.floats(0, 1e5)) for _ in range(draw(st.integers(0, 3))))
        hotfix, size = draw(st.booleans()), draw(st.none() | st.integers(0, 10**9))
        found.append(Deploy(at, live, back, hotfix, merged, len(merged), size))
    return found


@given(pasts(), st.floats(1e3, 1e6))
def test_periods_share_out_the_whole(of: list[Deploy], length: float) -> None:
    found = judged(of)
    end = max((deploy.began for deploy in of), default=0.0) + 1.0
    parts = periods(found, 0.0, end, length)
    whole = figures(found)
    assert sum(part.figures.counted for part in parts) == whole.counted
    assert sum(part.figures.live for part in parts) == whole.live
    assert sum(part.figures.failed for part in parts) == whole.failed
    assert parts[0].begin == 0.0
    assert isclose(parts[-1].end, end)
    for before, after in pairwise(parts):
        assert before.end == after.begin


@given(pasts())
def test_figures_stay_within_what_they_are_made_of(of: list[Deploy]) -> None:
    found = judged(of)
    whole = figures(found)
    assert 0 <= whole.failed <= whole.counted == len(found)
    assert whole.failed >= sum(one.back_at is not None for one in of)
    if whole.failure_rate is not None:
        assert 0.0 <= whole.failure_rate <= 1.0
    if whole.lead is not None and whole.lead_90 is not None:
        leads = [d.live_at - m for d in of if d.live_at is not None for m in d.merged]
        assert min(leads) <= whole.lead <= max(leads)
        assert whole.lead_90 in leads
        assert sum(lead <= whole.lead_90 for lead in leads) >= 0.9 * len(leads)
    if whole.restore is not None:
        assert whole.restore >= 0.0


@given(pasts())
def test_later_deploys_never_unmake_a_failure(of: list[Deploy]) -> None:
    for cut in range(len(of)):
        early, late = judged(of[:cut]), judged(of)
        assert all(not one.failed or other.failed for one, other in zip(early, late, strict=False))


def per_deploy(of: list[Deploy]) -> float:
    """A mutant: the lead time of each deploy's first change, and not of each change."""
    leads = [d.live_at - min(d.merged) for d in of if d.live_at is not None and d.merged]
    return median(leads)


def blind_to_hotfixes(of: list[Deploy]) -> list[bool]:
    """A mutant: nothing fails but what was taken back."""
    return [one.failed for one in judged(replace(d, hotfix=False) for d in of)]


def test_the_tests_see_what_would_be_wrong() -> None:
    many = Deploy(0.0, live_at=10 * HOUR, merged=tuple(h * HOUR for h in range(1, 10)))
    one = Deploy(0.0, live_at=10 * HOUR, merged=(9 * HOUR,))
    assert per_deploy([many, one]) != 4.5 * HOUR
    mended = [Deploy(0.0, live_at=100.0), Deploy(500.0, live_at=700.0, hotfix=True)]
    assert blind_to_hotfixes(mended) != [True, False]
