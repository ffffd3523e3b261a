"""The watch without a rollout: it sees a fire, says when it is over, and does not cry wolf."""

import msgspec
import numpy as np
import pytest

from headway.guard.evidence import Row, table
from headway.guard.fire import CALM, TICK, Fire, News, Patrol
from headway.guard.season import DAYS, SLOT, Seasons
from headway.guard.watch import Guard
from headway.model.plan import AppConfig, Direction, Importance, Kind, Metric, Watching

CRITICAL = Importance.CRITICAL
ERRORS = Metric("errors", "errors", per="requests", importance=CRITICAL, above=0.05)
TRAFFIC = Metric("traffic", "requests", importance=CRITICAL, direction=Direction.DOWN)
QUEUE = Metric("queue", "queue", importance=CRITICAL, kind=Kind.CONTINUOUS, above=100.0)
LOG = Metric("log", "lines", per="requests", importance=Importance.ORDINARY)
APP = AppConfig("web", metrics=(ERRORS, TRAFFIC, QUEUE, LOG))
EXPOSURES = ("requests", "seconds", "seconds", "requests")


class Site:
    """Ten nodes, seen every twenty seconds."""

    def __init__(self, seed: int = 1, app: AppConfig = APP, requests: float = 200.0) -> None:
        self.random = np.random.default_rng(seed)
        self.patrol = Patrol(app, EXPOSURES, 0.0)
        self.requests = requests
        self.now = 0.0

    def run(
        self,
        ticks: int,
        errors: float = 0.01,
        load: float = 1.0,
        queue: float = 10.0,
        silent: bool = False,
    ) -> list[News]:
        news: list[News] = []
        for _ in range(ticks):
            self.now += TICK
            requests = float(self.random.poisson(self.requests * load * TICK))
            failed = float(self.random.poisson(requests * errors))
            seconds = 10 * TICK
            length = queue * seconds * self.random.lognormal(0, 0.1)
            rows = [
                Row(0, 0, failed, requests),
                Row(0, 0, requests, seconds),
                Row(0, 0, length, seconds),
            ]
            if silent:
                rows = [Row(0, 0, 0, 0)] * 3
            news += self.patrol.look(table(rows), self.now)
        return news


@pytest.mark.parametrize(
    ("metric", "how"),
    [
        ("errors", {"errors": 0.2}),
        ("traffic", {"load": 0.2}),
        ("traffic", {"load": 0.0}),
        ("queue", {"queue": 300.0}),
    ],
)
def test_a_fire_is_seen_within_two_minutes_and_its_end_as_well(
    metric: str, how: dict[str, float]
) -> None:
    site = Site()
    assert site.run(90) == []
    (began,) = site.run(6, **how)
    assert began.began
    assert began.metric == metric
    assert "is on fire" in began.sentence
    assert site.run(60, **how) == [], "once, and it does not become its own normal"
    assert site.run(CALM - 1) == []
    (over,) = site.run(3)
    assert not over.began
    assert "is over after" in over.sentence
    assert site.run(60) == []


def test_a_day_of_ordinary_noise_is_no_fire() -> None:
    for seed in range(5):
        site = Site(seed)
        quiet = Site(seed, requests=3.0)
        news = [
            one
            for hour in range(24)
            for here in (site, quiet)
            for one in here.run(180, load=1 + 0.5 * np.sin(hour / 24 * 2 * np.pi))
        ]
        assert news == []


def test_two_errors_at_night_are_no_fire() -> None:
    site = Site(requests=0.2)
    site.run(90, errors=0.0)
    assert site.run(2, errors=0.3) + site.run(30, errors=0.0) == []


def test_silence_is_no_fire_and_ends_none() -> None:
    site = Site()
    site.run(90)
    assert site.run(30, silent=True) == []
    site.run(6, errors=0.3)
    assert site.patrol.fire is not None
    assert site.run(30, silent=True) == []
    assert site.patrol.fire is not None


def test_what_lasts_for_more_than_an_hour_is_what_is_usual_now() -> None:
    site = Site()
    site.run(90)
    began, over = site.run(600, load=0.3)
    assert began.began
    assert not over.began


def test_only_the_metrics_that_were_chosen_burn() -> None:
    watch = Watching(metrics=("queue",))
    site = Site(app=msgspec.structs.replace(APP, watch=watch))

    def rows(queue: float, errors: float) -> list[Row]:
        return [Row(0, 0, queue * 200, 200)]

    for tick in range(60):
        assert site.patrol.look(table(rows(10.0, 0.5)), tick * TICK) == []
    news = [n for tick in range(60, 70) for n in site.patrol.look(table(rows(200.0, 0)), tick)]
    assert [one.metric for one in news] == ["queue"]


def test_a_fire_outlives_a_restart_and_so_does_what_was_normal() -> None:
    site = Site()
    site.run(90)
    site.run(6, load=0.2)
    fire = site.patrol.fire
    assert fire is not None
    again = msgspec.json.decode(msgspec.json.encode(fire), type=Fire)
    site.patrol = Patrol(APP, EXPOSURES, site.now, again)
    assert site.run(30, load=0.2) == [], "still the same fire"
    (over,) = site.run(CALM + 4)
    assert not over.began


def test_a_daily_peak_that_is_known_is_no_fire() -> None:
    """Traffic that falls to a fifth at this hour every day."""
    began, day = 90 * TICK, 86_400.0
    slots = {}
    for ago in (0, *DAYS):
        for slot in range(-10, 80):
            at = began // SLOT * SLOT + slot * SLOT
            load = 1.0 if at < began // SLOT * SLOT + SLOT else 0.2
            jitter = 1 + 0.02 * np.sin(ago * 7 + slot)
            slots[at - ago * day] = {
                "requests": 200 * load * SLOT * jitter,
                "seconds": 10 * SLOT,
                "queue": 10.0 * 10 * SLOT * jitter,
                "errors": 0.01 * 200 * load * SLOT * jitter,
            }
    for known in (False, True):
        site = Site()
        pairs = [("errors", "requests"), ("requests", "seconds"), ("queue", "seconds")]
        site.run(90)
        if known:
            site.patrol.seasons = Seasons.learn(pairs, [True, True, False], slots, began)
            assert site.patrol.seasons.known()
            site.patrol._since = site.now
        news = []
        for _ in range(20):
            site.patrol._since = site.now + TICK
            load = 1.0 if site.now < began // SLOT * SLOT + SLOT else 0.2
            news += site.run(1, load=load)
        assert bool(news) is not known


def test_an_app_without_metrics_is_watched_in_peace() -> None:
    guard, app = Guard(), AppConfig("web", metrics=())
    assert guard.patrol(app, 1000.0) == ()
    guard.learn_day("web", {900.0: {"requests": 5.0}}, 1000.0)
    assert guard.patrol(app, 2000.0) == ()
