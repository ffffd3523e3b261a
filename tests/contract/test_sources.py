"""One suite for every source of metrics: the fake, a real Prometheus and a real Graphite."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from headway.errors import Denied, InvalidInput, Unreachable
from headway.guard.feed import Feed
from headway.guard.sources.graphite import Graphite
from headway.guard.sources.http import Asking, Credentials
from headway.guard.sources.port import Source, Span
from headway.guard.sources.prometheus import Prometheus
from headway.guard.watch import Guard
from headway.guard.whereabouts import Whereabouts
from headway.model.plan import AppConfig, Guarding, Importance, Metric, Step
from headway.model.rollout import Phase, Rollout
from headway.model.source import GraphiteSource, PrometheusSource, SourceConfig
from headway.model.verdict import Outcome
from headway.testing.fake_source import FakeSource
from tests.contract.metric_servers import Metrics, Past, graphite, has_graphite, prometheus

pytestmark = pytest.mark.anyio

OLD, NEW = "b" * 64, "a" * 64
STEP = 30
NODES = ("c1", "p1", "p2", "p3")
RATES = {"c1": 20.0, "p1": 25.0, "p2": 30.0, "p3": 10.0}
BEGIN = int(time.time()) // 300 * 300 - 1800
"""When the deploy was, in the past that all sources know."""
BEFORE, AFTER = 1500, 900


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def counts(share: float) -> Past:
    """What happened in each ten seconds; from the deploy on the canary fails ``share``."""
    times = range(BEGIN - BEFORE, BEGIN + AFTER + 1, 10)
    past: Past = {"requests": {}, "errors": {}}
    random = np.random.default_rng(1)
    for node in NODES:
        past["requests"][node] = {at: float(random.poisson(10 * RATES[node])) for at in times}
        past["errors"][node] = {
            at: float(
                random.poisson(
                    past["requests"][node][at] * (share if node == "c1" and at >= BEGIN else 0.01)
                )
            )
            for at in times
        }
    return past


def totals(past: Past) -> Past:
    """The same as totals that rise; the canary's begin anew with the deploy."""
    made: Past = {}
    for name, nodes in past.items():
        for node, values in nodes.items():
            total = 1000.0
            for at, value in values.items():
                total = total + value if (node, at) != ("c1", BEGIN) else value
                made.setdefault(name, {}).setdefault(node, {})[at] = total
    return made


@dataclass
class Stage:
    """A source, with a query for every name, and how its configuration looks."""

    source: Source
    query: Callable[[str], str]
    node: str
    config: SourceConfig

    def name(self, labels: dict[str, str]) -> str:
        return labels[self.node].partition(":")[0]


PAST = counts(0.12)


@pytest.fixture(scope="module")
def real_prometheus(
    tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]
) -> Iterator[Metrics]:
    room = tmp_path_factory.mktemp("prometheus")
    with prometheus(room, program("prometheus"), {"n1": 10.0, "n2": 40.0}, totals(PAST)) as made:
        yield made


@pytest.fixture(scope="module")
def real_graphite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    if not has_graphite():
        pytest.skip("graphite-web does not run on this Python")
    with graphite(tmp_path_factory.mktemp("graphite"), PAST) as made:
        yield made


def asking(url: str, timeout: float = 10.0, **more: str) -> Asking:
    return Asking(url, timeout, {}, Credentials(**more))


def fake() -> Stage:
    source = FakeSource()
    for name, nodes in totals(PAST).items():
        source.series[name] = [
            ({"instance": f"{node}:9100"}, {float(at): value for at, value in values.items()})
            for node, values in nodes.items()
        ]
    queries = {"requests": "requests", "errors": "errors"}
    config = PrometheusSource(name="fake", url="http://x", totals=queries, every=STEP)
    return Stage(source, lambda name: name, "instance", config)


@pytest.fixture(params=["fake", "prometheus", "graphite"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    if request.param == "fake":
        made = fake()
    elif request.param == "prometheus":
        server = request.getfixturevalue("real_prometheus")
        queries = {n: f"sum by (instance) ({n})" for n in ("requests", "errors")}
        config = PrometheusSource(name="prom", url=server.url, totals=queries, every=STEP)
        source = Prometheus(asking(server.url))
        made = Stage(source, lambda n: f"sum by (instance) ({n})", "instance", config)
    else:
        server = request.getfixturevalue("real_graphite")
        query = "aliasByNode(summarize(stats.web.*.{},'30s'),2)".format
        queries = {n: query(n) for n in ("requests", "errors")}
        config = GraphiteSource(name="graphite", url=server.url, counts=queries, every=STEP)
        made = Stage(Graphite(asking(server.url)), query, "target", config)
    yield made
    await made.source.close()


async def test_one_query_gives_a_line_for_every_node(stage: Stage) -> None:
    span = Span(BEGIN - 600, BEGIN - 300, STEP)
    reading = await stage.source.read(stage.query("requests"), span)
    assert sorted(stage.name(line.labels) for line in reading.lines) == sorted(NODES)
    assert not reading.warnings
    for line in reading.lines:
        assert np.all(np.diff(line.times) > 0)
        assert np.isfinite(line.values).all()
        assert (line.times >= span.begin).all()
        assert (line.times <= span.end).all()
        assert len(line.times) >= 9


async def test_an_unknown_name_is_silence_and_no_error(stage: Stage) -> None:
    reading = await stage.source.read(stage.query("nothing"), Span(BEGIN - 600, BEGIN, STEP))
    assert reading.lines == ()


async def test_what_a_node_did_not_tell_is_a_gap_and_no_zero(stage: Stage) -> None:
    span = Span(BEGIN + AFTER + 600, BEGIN + AFTER + 780, STEP)
    reading = await stage.source.read(stage.query("errors"), span)
    assert all(len(line.times) == 0 for line in reading.lines)


async def test_a_bad_canary_is_caught_by_what_the_source_tells(stage: Stage) -> None:
    """The whole way: queries, nodes to arms, totals or counts to increments, judge."""
    guard, app = Guard(), app_of(stage.config)
    place(guard, BEGIN - BEFORE - 60, OLD)
    feed = Feed("web", stage.config, stage.source)
    caught = None
    for now in range(BEGIN - BEFORE, BEGIN + AFTER, STEP):
        if now == BEGIN:
            guard.whereabouts.note("web", "c1", "canary", NEW, now)
        guard.take(await feed.pull(guard.whereabouts, now + stage.config.delay))
        assert feed.trouble == ""
        guard.heard_from("web", feed.name, feed.reached, feed.trouble)
        if now >= BEGIN + STEP:
            (errors,) = guard.judge(app, rollout(), now + 60)
            if errors.outcome is Outcome.FAIL:
                caught = now - BEGIN
                assert "× control" in errors.sentence
                break
    assert caught is not None
    assert caught <= 420
    (evidence,) = guard.evidence("r")
    assert stage.config.queries["errors"] in evidence.query


async def test_earlier_hours_come_back_as_slots(stage: Stage) -> None:
    """A season is made of slots of five minutes, with the seconds of the nodes that told them."""
    guard = Guard()
    place(guard, BEGIN, OLD)
    feed = Feed("web", stage.config, stage.source)
    span = (BEGIN - 900.0, BEGIN - 300.0)
    slots = await feed.history(guard.whereabouts, [span], {"production"})
    slot = slots[BEGIN - 600.0]
    expected = sum(RATES[node] for node in NODES if node != "c1") * 300
    assert slot["requests"] == pytest.approx(expected, rel=0.1)
    assert slot[f"seconds@{feed.name}"] == 3 * 300


async def test_a_server_that_stands_still_is_unreachable_in_time(
    real_prometheus: Metrics,
) -> None:
    source = Prometheus(asking(real_prometheus.url, timeout=0.5))
    began = time.monotonic()
    real_prometheus.server.pause()
    try:
        with pytest.raises(Unreachable, match=r"within 0\.5 s"):
            await source.read("vector(1)", Span(BEGIN, BEGIN + 60, STEP))
    finally:
        real_prometheus.server.resume()
        await source.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", [Prometheus, Graphite])
async def test_where_nobody_listens_it_is_unreachable(
    kind: type[Prometheus] | type[Graphite],
) -> None:
    source = kind(asking("http://127.0.0.1:9"))
    with pytest.raises(Unreachable, match="cannot be asked"):
        await source.read("requests", Span(BEGIN, BEGIN + 60, STEP))
    await source.close()


async def test_prometheus_tells_more_points_than_one_request_may_ask_for(
    real_prometheus: Metrics,
) -> None:
    source = Prometheus(asking(real_prometheus.url))
    span = Span(BEGIN - 30_000, BEGIN, 1)
    reading = await source.read("vector(1) * time()", span)
    (line,) = reading.lines
    assert len(line.times) == 30_001
    assert np.array_equal(line.times, line.values)
    await source.close()


async def test_prometheus_scrapes_real_processes_and_odd_numbers_are_left_out(
    real_prometheus: Metrics,
) -> None:
    source = Prometheus(asking(real_prometheus.url))
    deadline = time.monotonic() + 60
    while True:
        now = time.time()
        reading = await source.read("live_requests_total", Span(now - 10, now - 1, 1))
        if len(reading.lines) == 2 and all(len(line.times) >= 8 for line in reading.lines):
            break
        assert time.monotonic() < deadline
    rates = {
        line.labels["instance"].partition(":")[0]: float(
            (line.values[-1] - line.values[0]) / (line.times[-1] - line.times[0])
        )
        for line in reading.lines
    }
    assert rates["n1"] == pytest.approx(10, rel=0.35)
    assert rates["n2"] == pytest.approx(40, rel=0.35)
    odd = await source.read("live_odd", Span(now - 5, now, 1))
    assert all(len(line.times) == 0 for line in odd.lines)
    infinite = await source.read("live_queue / 0", Span(now - 5, now, 1))
    assert all(len(line.times) == 0 for line in infinite.lines)
    await source.close()


async def test_prometheus_says_what_is_wrong_with_a_query(real_prometheus: Metrics) -> None:
    source = Prometheus(asking(real_prometheus.url))
    with pytest.raises(InvalidInput, match="parse error"):
        await source.read("sum by (", Span(BEGIN, BEGIN + 60, STEP))
    await source.close()


BCRYPT = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"
"""Of "test", from Prometheus's own documentation."""


async def test_prometheus_with_a_password(tmp_path: Path, program: Callable[[str], str]) -> None:
    with prometheus(tmp_path, program("prometheus"), {"n1": 1.0}, {}, password=BCRYPT) as made:
        wrong = Prometheus(asking(made.url, user="guard", password="wrong"))
        with pytest.raises(Denied, match="credentials"):
            await wrong.read("vector(1)", Span(BEGIN, BEGIN, STEP))
        right = Prometheus(asking(made.url, user="guard", password="test"))
        deadline = time.monotonic() + 30
        while True:
            try:
                reading = await right.read("vector(1)", Span(BEGIN, BEGIN, STEP))
                break
            except Unreachable:
                assert time.monotonic() < deadline
        assert len(reading.lines) == 1
        await wrong.close()
        await right.close()


def app_of(config: SourceConfig) -> AppConfig:
    errors = Metric("errors", "errors", per="requests", importance=Importance.CRITICAL)
    guard = Guarding(warmup=0.0)
    return AppConfig("web", metrics=(errors,), guard=guard, sources=(config,))


def place(guard: Guard, now: float, build: str) -> None:
    nodes: Whereabouts = guard.whereabouts
    for node in NODES:
        nodes.note("web", node, "canary" if node == "c1" else "production", build, now)


def rollout() -> Rollout:
    return Rollout(
        id="r",
        app="web",
        base=OLD,
        target=NEW,
        plan=(Step("canary"), Step("production")),
        by="alice",
        started_at=float(BEGIN),
        phase=Phase.SOAKING,
        step=0,
        since=float(BEGIN),
        step_since=float(BEGIN),
        epoch=1,
        attempt=1,
        fractions={"canary": 1.0},
        why="",
    )
