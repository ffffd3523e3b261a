"""A long run that was stopped makes the cuts that were left, and no others."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger


def made(run: Ledger, kind: str, stop: int | None = None) -> list[float]:
    """What the dice show, cut by cut, until it is stopped before the cut of that number."""
    met: Counter[str] = Counter()
    shown = []
    for dice in run.cuts(kind, met):
        if met.total() == stop:
            break
        shown.append(dice.random())
        met["failed" if shown[-1] < 0.5 else "reported"] += 1
    return shown


@pytest.fixture(autouse=True)
def _no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWAY_FAULTS_SEED", raising=False)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    before = made(Ledger(path, 10, 2), "a", stop=4)
    after = made(Ledger(path, 10, 2), "a")
    assert (len(before), len(after)) == (4, 6)
    assert len(set(before + after)) == 10
    assert made(Ledger(path, 10, 2), "a") == []
    assert len(made(Ledger(path, 10, 2), "b")) == 10
    again = made(Ledger(path, 10, 2), "a")
    assert len(again) == 10, "a run that is finished is followed by a new one"
    assert again != before + after


def test_the_seed_alone_tells_the_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_FAULTS_SEED", "7")
    straight = made(Ledger(None, 10, 1), "a")
    path = tmp_path / "run.json"
    pieces = made(Ledger(path, 10, 1), "a", stop=3)
    monkeypatch.delenv("HEADWAY_FAULTS_SEED")
    pieces += made(Ledger(path, 10, 1), "a")
    assert pieces == straight
    monkeypatch.setenv("HEADWAY_FAULTS_SEED", "8")
    assert made(Ledger(path, 10, 1), "a") != straight


def test_a_cut_that_fails_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    met: Counter[str] = Counter()
    with pytest.raises(ZeroDivisionError):
        for _ in Ledger(path, 10, 1).cuts("a", met):
            if met.total() == 5:
                raise ZeroDivisionError
            met["failed"] += 1
    assert len(made(Ledger(path, 10, 1), "a")) == 5
