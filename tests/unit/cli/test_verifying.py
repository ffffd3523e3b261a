"""``headway node verify``: asks, waits, and ends with what was found."""

from typing import Any

import msgspec
import pytest

from headway.model.report import Deviation, Drift, Inspection, Stray
from headway.model.views import NodeStatus
from tests.unit.cli import examples
from tests.unit.cli.fake_api import FakeApi

PATH = "/v1/nodes/n1/verify/web"
DRIFT = Drift(
    "1",
    examples.OLD,
    examples.THEN,
    12,
    (Stray("a/b.css", Deviation.CONTENT), Stray("\\x1b[31m", Deviation.UNEXPECTED)),
    serving=True,
)


def node(asked: int, verify: int = 7, name: str = "n1", *drift: Drift) -> NodeStatus:
    report = msgspec.structs.replace(
        examples.NODE.report,
        inspection=Inspection(asked, examples.THEN, examples.OLD, 100_000, drift),
    )
    return msgspec.structs.replace(examples.NODE, node=name, verify=verify, report=report)


@pytest.fixture
def told(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    monkeypatch.setattr("headway.cli.verifying._LOOK_EVERY_SECONDS", 0.01)
    api.on("POST", PATH, [node(6)])
    return api


def test_it_waits_until_the_node_has_answered_this_demand(headway: Any, told: FakeApi) -> None:
    told.on("GET", "/v1/nodes/n1", [node(3)], [node(6)], [node(6)], [node(7)])
    ended = headway("node", "verify", "n1")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "n1: 100,000 files of web 0f9e8d7c6b5a are as published\n"
    assert [(a.method, a.path) for a in told.asked] == [
        ("GET", "/v1/nodes/n1"),
        ("POST", PATH),
        *[("GET", "/v1/nodes/n1")] * 3,
    ]


def test_what_is_not_right_is_named_and_ends_with_1(headway: Any, told: FakeApi) -> None:
    told.on("GET", "/v1/nodes/n1", [node(7, 7, "n1", DRIFT)])
    ended = headway("node", "verify", "n1")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        "n1: 12 paths of web 0f9e8d7c6b5a, which serves, not as published:",
        "  a/b.css has other content",
        "  \\x1b[31m should not be there",
        "  and 10 more",
    ]
    as_json = headway("node", "verify", "n1", "--json")
    assert as_json.code == 1
    assert as_json.json[0]["report"]["inspection"]["drift"][0]["count"] == 12
    mended = msgspec.structs.replace(DRIFT, mended=True)
    told.on("GET", "/v1/nodes/n1", [node(7, 7, "n1", mended)])
    ended = headway("node", "verify", "n1")
    assert (ended.code, "which was mended since" in ended.out) == (1, True)


def test_all_nodes_of_an_app_and_one_that_does_not_answer(headway: Any, told: FakeApi) -> None:
    told.on("GET", "/v1/nodes", [node(7), node(6, 7, "n2")])
    told.on("POST", "/v1/nodes/n2/verify/web", [node(6, 7, "n2")])
    ended = headway("node", "verify", "--app", "web", "--timeout", "0.1s")
    assert ended.code == 6
    assert "no answer within 0 s from n2 (verify failed" in ended.err
    assert ended.out.startswith("n1: 100,000 files")


def test_somebody_has_to_be_asked(headway: Any, told: FakeApi) -> None:
    ended = headway("node", "verify")
    assert (ended.code, "--app" in ended.err) == (2, True)
    told.on("GET", "/v1/nodes/n1", [node(7)])
    assert headway("node", "verify", "n1", "--app", "none").code == 4


def test_drift_is_listed_and_shown(headway: Any, told: FakeApi) -> None:
    fine = msgspec.structs.replace(node(7, 7, "n1", DRIFT), state="done", why="target; a/b.css")
    told.on("GET", "/v1/nodes", [fine])
    assert "n1: target; a/b.css" in headway("node", "list").out
    told.on("GET", "/v1/nodes/n1", [fine])
    shown = headway("node", "show", "n1").out
    assert "a/b.css has other content" in " ".join(shown.split())
    assert "100,000 files of 0f9e8d7c6b5a" in shown
