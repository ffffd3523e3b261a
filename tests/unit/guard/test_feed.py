"""What outside sources tell reaches the right arms; what they do not tell is never a zero."""

import pytest

from headway.errors import InvalidInput, Unreachable
from headway.guard.counters import SLOT
from headway.guard.feed import FARTHEST, Feed
from headway.guard.sources.port import Span
from headway.guard.watch import MOST_LATE, Change, Guard
from headway.guard.whereabouts import Whereabouts
from headway.model.plan import AppConfig, Guarding, Importance, Kind, Metric
from headway.model.source import PrometheusSource
from headway.model.verdict import Outcome
from headway.testing.fake_source import FakeSource
from tests.unit.guard.traffic import rollout

pytestmark = pytest.mark.anyio

OLD, NEW = "b" * 64, "a" * 64
CONFIG = PrometheusSource(
    name="prom",
    url="http://prom",
    totals={"requests": "R", "errors": "E"},
    levels={"queue": "Q"},
    every=15,
    delay=5,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def series(node: str, rate: float, until: int = 3000) -> tuple[dict[str, str], dict[float, float]]:
    return {"instance": f"{node}:9100"}, {float(t): rate * t for t in range(0, until, 15)}


def shop() -> tuple[Guard, FakeSource, Feed]:
    guard, source = Guard(), FakeSource()
    for node, tier in (("c1", "canary"), ("p1", "production")):
        guard.whereabouts.note("web", node, tier, OLD, 0.0)
    source.series = {
        "R": [series("c1", 10.0), series("p1", 40.0), series("stranger", 1e6)],
        "E": [series("c1", 1.0), series("p1", 4.0)],
        "Q": [({"instance": "p1"}, {float(t): 12.0 for t in range(0, 3000, 15)})],
    }
    return guard, source, Feed("web", CONFIG, source)


def sums(guard: Guard, tier: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for bucket in guard.counters.buckets(guard.counters.arms("web", tier=tier), 0.0):
        for name, value in bucket.sums.items():
            found[name] = found.get(name, 0.0) + value
    return found


async def test_totals_and_levels_become_sums_of_the_arm() -> None:
    guard, source, feed = shop()
    for now in range(305, 700, 20):
        guard.take(await feed.pull(guard.whereabouts, float(now)))
    assert feed.reached == 675.0
    told = sums(guard, "production")
    assert told["requests"] == pytest.approx(40.0 * 375)
    assert told["errors"] == pytest.approx(4.0 * 375)
    assert told["queue"] / told["seconds@prom"] == pytest.approx(12.0)
    assert told["seconds@prom"] == 375.0
    assert sums(guard, "canary")["requests"] == pytest.approx(10.0 * 375)
    assert {query for query, _ in source.asked} == {"R", "E", "Q"}, "one query, whoever many nodes"


async def test_where_one_query_fails_nothing_counts_and_it_is_asked_again() -> None:
    """A counter that is missing beside its traffic would read as no errors."""
    guard, source, feed = shop()
    guard.take(await feed.pull(guard.whereabouts, 305.0))
    source.error = Unreachable("no answer")
    assert await feed.pull(guard.whereabouts, 400.0) == []
    assert feed.trouble == "prom: no answer"
    assert feed.reached == 300.0
    source.error = None
    guard.take(await feed.pull(guard.whereabouts, 500.0))
    assert feed.trouble == ""
    assert sums(guard, "production")["requests"] == pytest.approx(40.0 * 195)


async def test_warnings_are_told_and_never_pass() -> None:
    guard, source, feed = shop()
    source.warnings = ("partial response",)
    await feed.pull(guard.whereabouts, 305.0)
    assert feed.trouble == "prom warns: partial response"


async def test_after_a_long_silence_not_everything_is_asked_for() -> None:
    guard, source, feed = shop()
    await feed.pull(guard.whereabouts, 305.0)
    await feed.pull(guard.whereabouts, 305.0 + 10 * FARTHEST)
    _, span = source.asked[-1]
    assert isinstance(span, Span)
    assert span.end - span.begin <= FARTHEST


async def test_a_sample_belongs_to_the_build_of_its_time() -> None:
    guard, _, feed = shop()
    guard.take(await feed.pull(guard.whereabouts, 305.0))
    guard.whereabouts.note("web", "c1", "canary", None, 370.0)
    guard.whereabouts.note("web", "c1", "canary", NEW, 380.0)
    guard.configure(AppConfig("web", guard=Guarding(warmup=0.0)))
    guard.take(await feed.pull(guard.whereabouts, 500.0))
    old = guard.counters.buckets(guard.counters.arms("web", OLD, "canary"), 0.0)
    new = guard.counters.buckets(guard.counters.arms("web", NEW, "canary"), 0.0)
    assert sum(b.sums["requests"] for b in old) == pytest.approx(10.0 * 60)
    assert max(b.begin for b in old) == 360.0
    assert min(b.begin for b in new) > 390.0


async def test_a_source_in_trouble_is_an_error_and_a_late_one_is_waited_for() -> None:
    errors = Metric("errors", "errors", per="requests", importance=Importance.CRITICAL)
    app = AppConfig("web", metrics=(errors,), guard=Guarding(warmup=0.0), sources=(CONFIG,))
    guard, _, _ = shop()
    state = rollout()
    guard.heard_from("web", "prom", state.started_at, "")
    for now in (15.0, 30.0, MOST_LATE):
        guard.judge(app, state, state.started_at + now)
        assert guard.record("r") is not None
        assert not guard.record("r").looks, "nothing is looked at before it was read"
    guard.heard_from("web", "prom", state.started_at, "prom: no answer")
    (verdict,) = guard.judge(app, state, state.started_at + MOST_LATE + 30)
    assert verdict.outcome is Outcome.ERROR
    assert "prom: no answer" in verdict.sentence
    (evidence,) = guard.evidence("r")
    assert evidence.trouble == "prom: no answer"


async def test_earlier_days_of_a_source_as_slots() -> None:
    guard, _, feed = shop()
    slots = await feed.history(guard.whereabouts, [(600.0, 1500.0)], {"production"})
    assert slots[900.0]["requests"] == pytest.approx(40.0 * SLOT)
    assert slots[900.0]["seconds@prom"] == SLOT
    assert slots[900.0]["queue"] == pytest.approx(12.0 * SLOT)


async def test_a_broken_query_names_itself() -> None:
    guard, source, feed = shop()
    source.error = InvalidInput("http://prom does not accept the query (400): parse error")
    await feed.pull(guard.whereabouts, 305.0)
    assert "parse error" in feed.trouble


def test_labels_name_nodes_in_several_ways() -> None:
    nodes = Whereabouts()
    nodes.note("web", "n1", "canary", OLD, 0.0)
    nodes.note("web", "10.0.0.7", "canary", OLD, 0.0)
    for said in ("n1", "n1:9100", "n1.example.org", "n1.example.org:9100"):
        assert nodes.find("web", said) == "n1"
    assert nodes.find("web", "10.0.0.7:9100") == "10.0.0.7"
    assert nodes.find("web", "n11") is None
    assert nodes.find("shop", "n1") is None


def test_a_change_that_is_no_build_is_judged_with_and_without_the_others() -> None:
    """A flag on some nodes, then on all: the judge of builds judges it too."""
    from tests.unit.guard.traffic import Traffic, app

    for nodes in (frozenset({"canary"}), None):
        traffic = Traffic(5, canary=300, control=300)
        traffic.builds = {"canary": OLD, "production": OLD}
        start = traffic.now
        traffic.run(900, {"errors": 0.01}, {"errors": 0.01})
        change = Change("dark-mode", "web", traffic.now, nodes)
        guard = traffic.guard
        guard.judge_change(app(), change, traffic.now)
        worse = {"errors": 0.05}
        verdict = None
        for _ in range(60):
            traffic.run(5, worse, worse if nodes is None else {"errors": 0.01})
            (verdict,) = guard.judge_change(app(), change, traffic.now)
            if verdict.outcome is Outcome.FAIL:
                break
        assert traffic.now > start
        assert verdict is not None
        assert verdict.outcome is Outcome.FAIL
        assert ("control" in verdict.sentence) is (nodes is not None)
        guard.end_change("dark-mode")
        queue = Metric("queue", "queue", kind=Kind.CONTINUOUS)
        assert guard.watched(AppConfig("web", metrics=(queue,))).metrics == (queue,)
