"""Plain and seasonal scores, static and dynamic thresholds."""

import numpy as np
import pytest
from scipy import stats

from headway.guard import dynamic, seasonal, static, zscore

UP, DOWN = np.array([True]), np.array([False])


def test_a_short_window_is_the_plain_mean_and_deviation() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 30)
    window = zscore.begin(1)
    for value in values:
        window = zscore.add(window, np.array([value]), length=1000.0)
    assert window.mean[0] == pytest.approx(values.mean())
    assert window.variance[0] == pytest.approx(values.var())
    found = zscore.score(window, np.array([11.0]), np.zeros(1))[0]
    assert found == pytest.approx(stats.zmap(11.0, values), rel=1e-9)


def test_a_long_window_forgets() -> None:
    window = zscore.begin(1)
    for value in [100.0] * 50 + [1.0] * 200:
        window = zscore.add(window, np.array([value]), length=20.0)
    assert window.mean[0] == pytest.approx(1.0, abs=1e-3)


def test_missing_values_and_short_windows_have_no_score() -> None:
    window = zscore.begin(1)
    for value in [1.0, 2.0, np.nan, 1.0, 2.0, 1.0]:
        window = zscore.add(window, np.array([value]), length=20.0)
    assert window.ticks[0] == 5
    assert np.isnan(zscore.score(window, np.array([9.0]), np.zeros(1))[0])
    window = zscore.add(window, np.array([1.0]), length=20.0)
    assert np.isnan(zscore.score(window, np.array([np.nan]), np.zeros(1))[0])


@pytest.mark.parametrize(
    ("score", "up", "down", "far"),
    [
        (5.0, UP, DOWN, True),
        (-5.0, UP, DOWN, False),
        (-5.0, DOWN, UP, True),
        (5.0, DOWN, UP, False),
        (-5.0, UP, UP, True),
        (2.9, UP, UP, False),
        (np.nan, UP, UP, False),
    ],
)
def test_the_direction_counts(score: float, up: np.ndarray, down: np.ndarray, far: bool) -> None:
    assert zscore.beyond(np.array([score]), np.array([3.0]), up, down)[0] == far


def test_one_odd_tick_is_not_a_trend() -> None:
    streak = np.zeros(1)
    for value in [9.0, 9.0, 1.0, 9.0, np.nan, 9.0]:
        beyond = static.outside(np.array([value]), np.array([np.nan]), np.array([5.0]))
        streak = static.persistent(streak, beyond, np.array([np.isfinite(value)]))
    assert streak[0] == 2


def test_static_bounds_bind_on_their_own_side_only() -> None:
    values = np.array([1.0, 3.0, 9.0])
    low, high, none = np.full(3, 2.0), np.full(3, 5.0), np.full(3, np.nan)
    assert static.outside(values, low, none).tolist() == [True, False, False]
    assert static.outside(values, none, high).tolist() == [False, False, True]


def daily(days: int, step: float = 300.0) -> np.ndarray:
    """A series with a peak each day, and a little noise."""
    clock = np.arange(int(days * dynamic.DAY / step)) * step / dynamic.DAY
    noise = np.random.default_rng(2).normal(0.0, 2.0, len(clock))
    return 100.0 + 80.0 * np.sin(2 * np.pi * clock) ** 2 + noise


def test_the_same_time_of_earlier_days_and_weeks_is_found() -> None:
    history = np.arange(15 * 288.0)[None, :]
    earlier = dynamic.same_time(history, 0.0, 300.0, 15 * dynamic.DAY, days=3, weeks=2, slack=0)
    assert sorted(earlier[0].tolist()) == [288.0, 8 * 288, 12 * 288, 13 * 288, 14 * 288]


def test_what_lies_before_the_history_is_missing() -> None:
    history = np.ones((1, 288))
    earlier = dynamic.same_time(history, 0.0, 300.0, dynamic.DAY, days=3, weeks=0, slack=0)
    assert np.isfinite(earlier).sum() == 1
    assert np.isnan(dynamic.thresholds(earlier)).all()


def test_a_dynamic_threshold_knows_the_daily_peak() -> None:
    history = daily(8)[None, :]
    for hour, usual in ((6.0, 180.0), (12.0, 100.0)):
        at = 8 * dynamic.DAY + hour * 3600
        earlier = dynamic.same_time(history, 0.0, 300.0, at, days=7, weeks=1, slack=1)
        low, high = dynamic.thresholds(earlier)
        assert low[0] < usual < high[0]
        assert high[0] - low[0] < 30


def test_a_key_metric_uses_the_higher_of_both() -> None:
    fixed, moving = np.array([5.0, 5.0, np.nan]), np.array([9.0, np.nan, 3.0])
    assert dynamic.higher(fixed, moving).tolist() == [9.0, 5.0, 3.0]
    assert dynamic.lower(fixed, moving).tolist() == [5.0, 5.0, 3.0]


def frozen(history: np.ndarray, now: int, ahead: int = 36, back: int = 24) -> seasonal.Season:
    days = [now - 288 * day for day in range(1, 8)]
    earlier = np.array([[history[d : d + ahead] for d in days]])
    recent_earlier = np.array([[history[d - back : d] for d in days]])
    return seasonal.freeze(earlier, history[None, now - back : now], recent_earlier)


def test_the_daily_peak_has_a_high_plain_and_a_low_seasonal_score() -> None:
    history = daily(9)
    now = 8 * 288 + 24
    season = frozen(history, now)
    window = zscore.begin(1)
    for value in history[now - 24 : now]:
        window = zscore.add(window, np.array([value]), 180.0)
    peak = np.array([history[now + 35]])
    plain = zscore.score(window, peak, np.zeros(1))
    off_season = seasonal.score(season, 35, peak, np.zeros(1))
    assert plain[0] > 2.5
    assert abs(off_season[0]) < 3.5
    three = np.array([2.5])
    assert not seasonal.both(plain, off_season / 3, three)[0]
    high = seasonal.score(season, 35, peak + 40, np.zeros(1))
    assert seasonal.both(plain, high, three)[0]


def test_a_season_follows_todays_level_and_forgives_one_bad_day() -> None:
    history = daily(9)
    now = 8 * 288 + 24
    history[now - 288 - 24 : now - 288 + 36] += 500
    history[now - 24 :] *= 1.5
    season = frozen(history, now)
    expected = np.median(np.abs(history[now : now + 36] - season.centre[0]))
    assert expected < 15


def test_without_a_season_the_plain_score_rules() -> None:
    nothing = np.array([np.nan])
    assert seasonal.both(np.array([4.0]), nothing, np.array([3.0]))[0]
    assert not seasonal.both(np.array([4.0]), np.array([-4.0]), np.array([3.0]))[0]
    missing = seasonal.freeze(
        np.full((1, 7, 4), np.nan), np.ones((1, 4)), np.full((1, 7, 4), np.nan)
    )
    assert np.isnan(seasonal.score(missing, 0, np.ones(1), np.zeros(1))[0])
    assert np.isnan(seasonal.score(missing, 99, np.ones(1), np.zeros(1))[0])


def test_the_residuals_scale_is_scipys() -> None:
    values = np.random.default_rng(3).normal(0, 2.0, (1, 7, 200))
    season = seasonal.freeze(values, np.ones((1, 1)), np.ones((1, 7, 1)))
    residuals = (values[0] - np.median(values[0], axis=0)).ravel()
    theirs = stats.median_abs_deviation(residuals, scale="normal")
    assert season.scale[0] == pytest.approx(theirs, rel=0.02)
