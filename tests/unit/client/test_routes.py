"""Every method of the client asks for the route that its docstring names."""

import inspect
import re
from typing import Any

import httpx2
import msgspec
import pytest

from headway.client.api import Client
from headway.errors import InvalidInput
from headway.model.hold import Scope
from headway.model.peers import PeerAsk
from headway.model.plan import AppConfig
from headway.model.release_views import (
    BisectRequest,
    CutRequest,
    FreezeRequest,
    HotfixRequest,
    RevertRequest,
    ShiftRequest,
)
from headway.model.report import Activity, Enrolment, Report
from headway.model.views import (
    ActionRequest,
    CollectRequest,
    DeployRequest,
    HoldRequest,
    NodeHoldRequest,
    Packet,
    PasswordRequest,
    PinRequest,
    RepackRequest,
    RoleRequest,
    TokenRequest,
    TrainRequest,
    TuneRequest,
    UserRequest,
)
from tests.docs.generate import routes

REPORT = Report("n1", "web", "b", 1, 1, Activity.IDLE, None, None, "", 1.0)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "apply_app": (AppConfig(name="web"),),
    "problem": ("refused",),
    "app": ("web",),
    "why": ("web",),
    "picture": ("web",),
    "places": ("web",),
    "repack": ("web", RepackRequest()),
    "collect": ("web", CollectRequest()),
    "register_build": ("web", b"{}"),
    "builds": ("web",),
    "build": ("web", "a1b2c3"),
    "read_artifact": ("web/packs/x",),
    "artifact_size": ("web/packs/x",),
    "write_artifact": ("web/packs/x", b"x"),
    "deploy": ("web", DeployRequest("a1b2c3")),
    "rollouts": ("web",),
    "rollout": ("r1",),
    "act": ("r1", "pause", ActionRequest()),
    "train": ("web",),
    "ask_train": ("web", TrainRequest(".join")),
    "replay": ("r1",),
    "tune": ("web", TuneRequest()),
    "explain_metric": ("web", "errors"),
    "retry_delivery": (7,),
    "queue": ("web",),
    "releases": ("web",),
    "cut_release": ("web", CutRequest()),
    "release": ("web-r1",),
    "release_notes": ("web-r1",),
    "suspects": ("web-r1",),
    "hotfix": ("web-r1", HotfixRequest(("#12",))),
    "revert_change": ("web-r1", RevertRequest()),
    "bisect": ("web-r1", BisectRequest()),
    "deliver": ("github", {"X-Hub-Signature-256": "sha256=0"}, b"{}"),
    "schedule": ("web",),
    "freeze": ("web", FreezeRequest("2026-12-27", "the year ends")),
    "end_freeze": ("f1",),
    "change_shift": ("web", ShiftRequest()),
    "nodes": ("web",),
    "node": ("n1",),
    "hold_node": ("n1", NodeHoldRequest("x")),
    "unhold_node": ("n1",),
    "pin_node": ("n1", "web", PinRequest("a1b2c3")),
    "unpin_node": ("n1", "web"),
    "verify_node": ("n1", "web"),
    "forget_node": ("n1",),
    "add_hold": (HoldRequest(Scope.APP, "web", "x"),),
    "lift_hold": ("h1",),
    "journal": ("web",),
    "create_token": (TokenRequest("ci", "viewer"),),
    "revoke_token": ("ci",),
    "add_user": (UserRequest("alice", "viewer", "correct horse battery"),),
    "change_role": ("alice", RoleRequest("viewer")),
    "change_password": ("alice", PasswordRequest("correct horse battery")),
    "sign_out_user": ("alice",),
    "remove_user": ("alice",),
    "enrol": (Enrolment("n1", "z", {"web": "canary"}),),
    "watch": (["web", "api"],),
    "report": ([REPORT],),
    "find_peer": (PeerAsk("web", "a" * 64, "10.0.0.3:8702"),),
    "pass_on": ([Packet("t", msgspec.Raw(b"[]"))],),
}


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name)
def test_a_method_asks_for_the_route_of_its_docstring(route: Any) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(418)

    client = Client("http://server", "t0ken", transport=httpx2.MockTransport(answer))
    with pytest.raises(Exception, match="418"):
        call(getattr(client, route.name), ARGUMENTS.get(route.name, ()))
    (request,) = asked
    pattern = re.sub(r"\{(\w+)\}", lambda part: ".+" if part[1] == "path" else "[^/]+", route.path)
    assert request.method == route.method
    assert re.fullmatch(pattern, request.url.path)
    assert request.headers["authorization"] == "Bearer t0ken"


def call(method: Any, arguments: tuple[Any, ...]) -> None:
    result = method(*arguments)
    if hasattr(result, "__enter__"):
        with result as events:
            list(events)
    elif inspect.isgenerator(result):
        list(result)


@pytest.mark.parametrize("name", ["", ".", "..", "..."])
def test_a_name_that_would_climb_out_of_its_path_is_refused(name: str) -> None:
    client = Client("http://server", transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))
    with pytest.raises(InvalidInput, match="not a name"):
        client.forget_node(name)
    with pytest.raises(InvalidInput, match="not a name"):
        client.read_artifact(f"web/{name}/x")


def test_a_name_stays_one_part_of_the_path() -> None:
    asked: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.raw_path)
        return httpx2.Response(204)

    Client("http://server", transport=httpx2.MockTransport(answer)).revoke_token("a/../b?c#d e")
    assert asked == [b"/v1/tokens/a%2F..%2Fb%3Fc%23d%20e"]


def test_a_body_is_the_value_and_an_answer_is_its_type() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        sent = msgspec.json.decode(request.content, type=AppConfig)
        return httpx2.Response(200, content=msgspec.json.encode({"config": sent, "live": "a" * 64}))

    client = Client("http://server/", transport=httpx2.MockTransport(answer))
    view = client.apply_app(AppConfig(name="web", output="dist"))
    assert (view.config.output, view.live) == ("dist", "a" * 64)


def test_what_is_not_given_is_no_parameter() -> None:
    asked: list[httpx2.URL] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url)
        return httpx2.Response(200, content=b"[]")

    client = Client("http://server", transport=httpx2.MockTransport(answer))
    client.journal("web", after=0)
    client.nodes()
    assert [str(url) for url in asked] == [
        "http://server/v1/journal?app=web&after=0&limit=50",
        "http://server/v1/nodes?limit=1000",
    ]
