"""What is said of damaged trees, and when the journal hears of it."""

import itertools
from typing import Any

from msgspec import structs

from headway.core import drift as core
from headway.model.report import Activity, Deviation, Drift, Inspection, Report, Stray

BUILD = "ab" * 32
HOT = Drift(
    "1", BUILD, 5.0, 5, tuple(Stray(f"f{n}", Deviation.CONTENT) for n in range(5)), serving=True
)
COLD = Drift("2", "cd" * 32, 6.0, 1, (Stray("g", Deviation.MISSING),))


def report(*drifts: Drift, **changes: Any) -> Report:
    bare = Report("n1", "web", "b", 1, 1, Activity.IDLE, None, None, "", 1.0)
    return structs.replace(bare, inspection=Inspection(drift=drifts), **changes)


def kinds(*reports: Report) -> list[list[str]]:
    """For each report after the first, what is news in it: found or gone."""
    pairs = itertools.pairwise(reports)
    return [
        ["gone" if why.endswith("is gone") else "found" for why in core.news(before, after)]
        for before, after in pairs
    ]


def test_each_tree_is_told_of_once_and_when_it_is_right_again() -> None:
    assert kinds(report(), report(HOT), report(HOT), report()) == [["found"], [], ["gone"]]
    assert kinds(report(HOT), report(HOT, COLD), report(COLD)) == [["found"], ["gone"]]
    assert core.news(None, report(HOT)) == (
        "n1: web abababababab, which serves, is not as published: f0 has other content, "
        "f1 has other content, f2 has other content and 2 more",
    )
    assert core.news(None, report()) == ()


def test_what_was_mended_is_gone_even_if_it_was_never_heard_of_before() -> None:
    mended = structs.replace(COLD, mended=True)
    assert kinds(report(), report(COLD), report(mended), report()) == [["found"], ["gone"], []]
    assert kinds(report(), report(mended), report()) == [["found", "gone"], []]


def test_the_same_tree_damaged_again_is_news() -> None:
    later = structs.replace(COLD, since=9.0)
    assert kinds(report(COLD), report(later)) == [["found", "gone"]]


def test_a_tree_that_serves_no_more_is_the_same_drift() -> None:
    assert kinds(report(HOT), report(structs.replace(HOT, serving=False))) == [[]]
    assert "not switched to" in core.sentence(structs.replace(HOT, serving=False), "web")
