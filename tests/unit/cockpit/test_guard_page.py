"""The guard's page: graphs of what it looked at, and hostile words made harmless."""

import re

import msgspec
import numpy as np
import pytest

from headway.guard.record import Record
from headway.model.access import Role
from headway.model.plan import Metric
from headway.model.verdict import Outcome, Verdict
from headway.server.cockpit.graphs import HEIGHT, MOST_POINTS, make_graphs
from headway.server.database import guard as memory
from tests.unit.cockpit.conftest import Visitor
from tests.unit.guard.test_memory import METRICS, at, played
from tests.unit.guard.traffic import app
from tests.unit.server.herd import Herd

pytestmark = pytest.mark.anyio

HOSTILE = '<script>alert("x")</script>\u202e'


def recorded() -> tuple[Record, tuple[Verdict, ...]]:
    traffic = played(3.0, seconds=600)
    record = traffic.guard.record("r")
    assert record is not None
    return record, tuple(traffic.verdicts(app(*METRICS), at(1)).values())


def test_a_graph_shows_both_builds_the_line_and_what_was_said() -> None:
    record, latest = recorded()
    errors, log, latency = make_graphs(record, latest)
    assert errors.outcome == "fail"
    assert errors.state == "failed"
    for graph in (errors, log, latency):
        points = re.findall(r"[ML]([\d.]+) ([\d.]+)", graph.new)
        assert 2 <= len(points) <= MOST_POINTS
        assert all(0 <= float(y) <= HEIGHT for _, y in points)
    assert log.line is not None
    assert log.line_label == "9"
    heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", errors.new)]
    control = [float(y) for _, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", errors.old)]
    assert np.mean(heights) < np.mean(control), "up is more"
    assert [one.outcome for one in errors.said][-1] == "fail"


def test_a_gap_is_a_gap() -> None:
    record, latest = recorded()
    for look in record.looks[50:60]:
        look[:, :2] = 0.0
    assert make_graphs(record, latest)[0].new.count("M") == 2


def test_nothing_seen_yet_draws_nothing() -> None:
    record, _ = recorded()
    (graph, *_) = make_graphs(Record(record.settings), ())
    assert graph.new == ""
    assert graph.outcome == "nothing said yet"


async def test_the_page_is_for_those_who_may_look_and_tells_nothing_hostile(
    visitor: Visitor, herd: Herd
) -> None:
    record, latest = recorded()
    metric = Metric("errors", HOSTILE, per="requests")
    settings = msgspec.structs.replace(
        record.settings,
        id="web-7",
        metrics=(metric, *record.settings.metrics[1:]),
        queries=(HOSTILE, *record.settings.queries[1:]),
    )
    record.settings = settings
    said = (Verdict("errors", Outcome.FAIL, HOSTILE), *latest[1:])
    chunk = Record.chunk(record)
    assert chunk is not None

    def write(connection) -> None:  # type: ignore[no-untyped-def]
        memory.begin_record(connection, settings, record.befores)
        memory.extend_record(connection, "web-7", chunk, said)

    await visitor.plane.database.write(write)
    away = await visitor.get("/apps/web/guard/web-7")
    assert away.status_code == 303
    assert away.headers["location"] == "/sign-in?next=/apps/web/guard/web-7"
    await visitor.sign_in(Role.VIEWER)
    page = await visitor.get("/apps/web/guard/web-7")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert 'id="latency"' in page.text
    for wrong in ("/apps/shop/guard/web-7", "/apps/web/guard/web-8"):
        assert (await visitor.get(wrong)).status_code == 404
