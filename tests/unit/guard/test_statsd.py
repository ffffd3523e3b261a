"""StatsD's lines become counts of enrolled nodes, and nothing else does."""

import pytest

from headway.guard.counters import Counters
from headway.guard.statsd import GONE_AFTER, MOST_NAMES, StatsD, parse
from headway.guard.whereabouts import Whereabouts

OLD, NEW = "b" * 64, "a" * 64


@pytest.fixture
def nodes() -> Whereabouts:
    found = Whereabouts()
    found.note("web", "n1.example.org", "canary", OLD, 0.0)
    found.note("web", "n2", "production", OLD, 0.0)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web.n2.errors:1|c", ("web", "n2", "errors", "c", 1.0, 1.0, False)),
        ("web.n2.errors:3|c|@0.1", ("web", "n2", "errors", "c", 3.0, 0.1, False)),
        ("web.n2.api.time:320|ms", ("web", "n2", "api.time", "ms", 320.0, 1.0, False)),
        ("web.n2.queue:+4|g", ("web", "n2", "queue", "g", 4.0, 1.0, True)),
        ("errors:1|c|#app:web,node:n2", ("web", "n2", "errors", "c", 1.0, 1.0, False)),
        ("errors:1|c|@0.5|#node:n2,app:web,x", ("web", "n2", "errors", "c", 1.0, 0.5, False)),
    ],
)
def test_a_line(text: str, expected: tuple[object, ...]) -> None:
    said = parse(text)
    assert said is not None
    assert (
        said.app, said.node, said.name, said.kind, said.value, said.rate, said.sign,
    ) == expected  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "errors:1|c",
        "web.n2:1|c",
        "web.n2.errors:one|c",
        "web.n2.errors:nan|c",
        "web.n2.errors:1|c|@0",
        "web.n2.errors:1|c|@7",
        "web.n2.users:bob|s",
        "web.n2.errors:1",
        "web.n2.er\x00rors:1|c",
        "web.n2.errors:1|c|#app:web,node:n2\nweb.n2.errors:1|c",
        "web.n2." + "x" * 300 + ":1|c",
        "web.n2.errors:1e999|c",
        "web.n2.errors:--1|c",
    ],
)
def test_what_is_no_line(text: str) -> None:
    assert parse(text) is None


def test_counts_times_and_levels_reach_the_arm_of_the_node(nodes: Whereabouts) -> None:
    statsd, counters = StatsD(), Counters()
    for now in (10.0, 15.0, 20.0):
        statsd.hear(b"web.n2.errors:2|c\nweb.n2.time:500|ms\nweb.n2.queue:8|g\n", nodes)
        statsd.hear(b"web.n1_example_org.errors:1|c|@0.5", nodes)
        for sample in statsd.take(nodes, now):
            counters.take(sample, now)
    found = {
        bucket_arm.tier: counters.buckets([bucket_arm], 0.0) for bucket_arm in counters.arms("web")
    }
    production = {
        name: sum(b.sums.get(name, 0.0) for b in found["production"])
        for name in ("errors", "time", "time_count", "queue", "seconds@statsd")
    }
    assert production == {
        "errors": 4.0, "time": 1.0, "time_count": 2.0, "queue": 80.0, "seconds@statsd": 10.0,
    }  # fmt: skip
    assert sum(b.sums["errors"] for b in found["canary"]) == 4.0


def test_quiet_means_nothing_happened_and_gone_means_nothing_is_known(nodes: Whereabouts) -> None:
    statsd, counters = StatsD(), Counters()

    def say(now: float) -> None:
        statsd.hear(b"web.n2.errors:1|c", nodes)
        for sample in statsd.take(nodes, now):
            counters.take(sample, now)

    for now in (10.0, 40.0, 40.0 + GONE_AFTER * 3, 45.0 + GONE_AFTER * 3):
        say(now)
    total = sum(b.sums["seconds@statsd"] for b in counters.buckets(counters.arms("web"), 0.0))
    assert total == 30.0 + 5.0


def test_strangers_are_refused_and_names_are_bounded(nodes: Whereabouts) -> None:
    statsd = StatsD()
    statsd.hear(b"web.stranger.errors:1|c\nother.n2.errors:1|c\nrubbish\n\n", nodes)
    assert statsd.refused == 3
    assert statsd.take(nodes, 1.0) == []
    for number in range(MOST_NAMES + 10):
        statsd.hear(f"web.n2.name{number}:1|c".encode(), nodes)
    (sample,) = statsd.take(nodes, 2.0)
    assert len(sample.counts) == MOST_NAMES
    assert statsd.refused == 13
    statsd.hear(b"\xff\xfe\x00" * 100, nodes)


def test_a_node_between_two_builds_is_nobodys(nodes: Whereabouts) -> None:
    statsd, counters = StatsD(), Counters()
    for now, build in ((10.0, OLD), (15.0, None), (20.0, NEW), (25.0, NEW)):
        nodes.note("web", "n2", "production", build, now)
        statsd.hear(b"web.n2.errors:1|c", nodes)
        for sample in statsd.take(nodes, now):
            counters.take(sample, now)
    arms = {arm.build: counters.buckets([arm], 0.0) for arm in counters.arms("web")}
    assert set(arms) == {NEW}
    assert sum(bucket.sums.get("errors", 0.0) for bucket in arms[NEW]) == 1.0
