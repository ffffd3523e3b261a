"""The benchmark's promises hold in its quick form, and its judges are what they claim to be."""

import json
import subprocess
import sys

import numpy as np
import pytest
from benchmarks.guard import shapes
from benchmarks.guard.measure import PEERS, wilson
from benchmarks.guard.peers import shift_interval
from benchmarks.guard.shapes import Half
from scipy import stats

OURS = {
    "peers",
    "judge_ms_5000_series",
    "memory_growth_kb_1000_ticks",
    "recall_2x_with_history",
}
"""What is told of the guard alone."""

HAS_DATA = shapes.home().is_dir()


@pytest.mark.skipif(not HAS_DATA, reason="no server series; set HEADWAY_DATA to where nab/ lies")
def test_the_guard_keeps_its_promises_and_beats_the_rules_of_others() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.guard", "--quick", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["recall_2x"] >= 0.99
    assert result["false_reverts_per_rollout"] <= 0.02
    assert result["share_at_detection_p90"] < 0.10
    assert result["delay_p90_min"] <= 10
    assert result["recall_2x_with_history"] >= 0.99
    assert result["memory_growth_kb_1000_ticks"] < 100
    assert set(result["peers"]) == set(PEERS)
    for name, peer in result["peers"].items():
        assert result["precision"] > peer["precision"], name
        assert result["recall_2x"] >= peer["recall_2x"], name
        assert set(peer) == set(result) - OURS


@pytest.mark.skipif(not HAS_DATA, reason="no server series; set HEADWAY_DATA to where nab/ lies")
def test_the_two_halves_of_the_data_have_nothing_in_common() -> None:
    tune = {series.tobytes() for series in shapes.shapes(Half.TUNE)}
    report = {series.tobytes() for series in shapes.shapes(Half.REPORT)}
    assert len(tune) > 10
    assert len(report) > 10
    assert not tune & report


def test_the_shift_interval_is_the_inversion_of_scipys_rank_test() -> None:
    """Just inside the interval the shift is credible at 98 %, just outside it is not."""
    source = np.random.default_rng(1)
    canary, control = source.normal(1.0, 1.0, (25, 1)), source.normal(0.0, 1.0, (30, 1))
    estimate, low, high = (bound[0] for bound in shift_interval(canary, control))
    assert estimate == pytest.approx(np.median(canary[:, 0, None] - control[:, 0]))
    for bound, outward in ((low, -1), (high, 1)):
        shifts = [bound - outward * 0.1, bound + outward * 0.1]
        inside, outside = (
            stats.mannwhitneyu(
                canary[:, 0] - shift, control[:, 0], method="asymptotic", use_continuity=False
            ).pvalue
            for shift in shifts
        )
        assert inside > 0.02 > outside


def test_missing_values_are_left_out_of_the_shift_interval() -> None:
    source = np.random.default_rng(2)
    canary, control = source.normal(1.0, 1.0, (20, 1)), source.normal(0.0, 1.0, (20, 1))
    holes = np.full((5, 1), np.nan)
    whole = shift_interval(canary, control)
    holed = shift_interval(np.vstack([canary, holes]), np.vstack([holes, control]))
    assert np.array(holed) == pytest.approx(np.array(whole))


def test_the_intervals_are_scipys() -> None:
    for hits, trials in ((0, 20), (3, 50), (50, 50)):
        theirs = stats.binomtest(hits, trials).proportion_ci(method="wilson")
        assert wilson(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-4)
