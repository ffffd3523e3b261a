"""A real control plane answers as its description says, whatever it is asked, by whomever.

schemathesis makes the requests, valid and invalid ones, from the description that the server gives;
they are the same in every run. What it cannot know is checked beside it: which role may what.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from headway.model.plan import AppConfig, Checks, Gate, Step
from headway.model.report import Activity, Enrolment, Report
from tests.acceptance.server_process import Server

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]
STREAMS = {"follow", "watch"}
VALID, INVALID, BARRED = 10, 6, 1
"""How many requests are made of each operation: as it is described, otherwise, without the role."""

ROLES = ("viewer", "deployer", "admin", "node")
MAY = {
    "public": {"", *ROLES},
    "any": {*ROLES},
    "viewer": {"viewer", "deployer", "admin"},
    "deployer": {"deployer", "admin"},
    "admin": {"admin"},
    "node": {"node"},
}
HARMFUL = {"sources", "releases", "smoke", "make", "watch"}
"""Keys of an app that would make the server ask others for something: not in this test."""


UNLIMITED = """
from headway.core.budget import Rate
from headway.server.turnstile import LimitSettings
more["limits"] = LimitSettings(*[Rate(0.0, 1)] * 3)
"""
"""Thousands of requests in a minute, of which many are without a valid token."""


@dataclass
class Stage:
    """A control plane with data in it, and a token for each role."""

    server: Server
    tokens: dict[str, str]
    known: dict[str, str]
    schema: Any
    failures: list[str] = field(default_factory=list)

    def operations(self, *names: str) -> Iterator[Any]:
        """Those of these names, or all but the streams."""
        for found in self.schema.get_all_operations():
            operation = found.ok()
            name = operation.definition.raw["operationId"]
            if name in names or (not names and name not in STREAMS):
                yield operation

    def ask(self, operation: Any, role: str, mode: GenerationMode, most: int, known: bool) -> None:
        """Make ``most`` requests, and keep what is wrong with the answers."""
        if mode.is_negative and not (list(operation.query) or list(operation.body)):
            return
        names = [one.name for one in operation.path_parameters]
        places = {name: self.known[name] for name in names if name in self.known}

        @settings(
            max_examples=most,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(mode, path_parameters=places if known else None))
        def ask(case: Any) -> None:
            self._one(case, role)

        with contextlib.suppress(Unsatisfiable):
            ask()

    def _one(self, case: Any, role: str) -> None:
        if case.operation.label.startswith("PUT /v1/apps/") and isinstance(case.body, dict):
            if HARMFUL & case.body.keys():
                return
            case.path_parameters["app"] = self.known["spare"]
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        response = case.call(base_url=self.server.url, headers=headers, timeout=30)
        may = role in MAY[case.operation.definition.raw["x-role"]]
        if not may and response.status_code not in ({403} if role else {401}):
            self._keep(case, role, f"answers {response.status_code} to who may not")
        barred = {401, 403} if role != "node" else {401}  # a node may speak for itself alone
        if may and response.status_code in barred and role:
            self._keep(case, role, f"answers {response.status_code} to who may")
        try:
            case.validate_response(response, checks=CHECKS, headers=headers)
        except (FailureGroup, AssertionError) as error:
            for one in getattr(error, "exceptions", [error]):
                self._keep(case, role, f"{type(one).__name__}: {one}", response)

    def _keep(self, case: Any, role: str, what: str, response: Any = None) -> None:
        said = f" {response.status_code} {response.content[:200]!r}" if response is not None else ""
        asked = f"{case.formatted_path} {case.query!r} {case.body!r}"[:300]
        self.failures.append(f"{case.operation.label} as {role}: {what[:400]}{said}\n    {asked}")

    def wrong(self) -> str:
        return f"{len(self.failures)} wrong answers\n" + "\n".join(self.failures[:20])


def loaded(server: Server) -> Any:
    document = server.call("GET", "/schema/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.with_security_parameters = False
    return schema


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    begun = Server(tmp_path_factory.mktemp("api") / "data", sabotage=UNLIMITED)
    yield begun
    assert begun.stop() == 0, begun.log.read_text()[-2000:]
    assert "a defect" not in begun.log.read_text()


@pytest.fixture(scope="module")
def stage(server: Server) -> Stage:
    plan = (Step("canary", 1.0, soak=0.0, checks=Checks.NONE, gate=Gate.MANUAL),)
    server.set_up(AppConfig("web", plans={"default": plan}))
    build = server.publish("web", b"one")
    tokens = {"admin": server.token, "node": server.node_token("n1")}
    for role in ("viewer", "deployer"):
        made = server.call("POST", "/v1/tokens", {"name": f"the-{role}", "role": role})
        tokens[role] = made.json()["token"]
    for number in range(1, 4):
        token = tokens["node"] if number == 1 else server.node_token(f"n{number}")
        enrolment = Enrolment(f"n{number}", "z", {"web": "canary"})
        assert server.call("POST", "/v1/node/enrol", enrolment, token).status_code == 204
        report = Report(f"n{number}", "web", "boot", 1, 0, Activity.IDLE, None, None, "idle", 1.0)
        assert server.call("POST", "/v1/node/reports", [report], token).status_code == 204
    deployed = server.call("POST", "/v1/apps/web/rollouts", {"build": build})
    assert deployed.status_code == 201, deployed.text
    hold = server.call("POST", "/v1/holds", {"scope": "app", "on": "web", "reason": "x"}).json()
    known = {
        "app": "web",
        "spare": "spare",
        "rollout": deployed.json()["rollout"]["id"],
        "action": "pause",
        "node": "n2",
        "name": "n3",
        "hold": hold["id"],
        "prefix": build[:12],
        "metric": "errors",
        "path": f"web/manifests/{build}",
        "code": "refused",
    }
    return Stage(server, tokens, known, loaded(server))


@pytest.mark.parametrize("role", ["admin", "node"])
def test_whatever_is_asked_is_answered_as_described(stage: Stage, role: str) -> None:
    stage.failures.clear()
    for operation in stage.operations():
        if role not in MAY[operation.definition.raw["x-role"]]:
            continue
        if role == "node" and "admin" in MAY[operation.definition.raw["x-role"]]:
            continue
        for known in (True, False):
            stage.ask(operation, role, GenerationMode.POSITIVE, VALID, known)
            stage.ask(operation, role, GenerationMode.NEGATIVE, INVALID, known)
    assert not stage.failures, stage.wrong()


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_role_may_what_the_description_says(stage: Stage, role: str) -> None:
    stage.failures.clear()
    for operation in stage.operations():
        stage.ask(operation, role, GenerationMode.POSITIVE, BARRED, known=False)
    assert not stage.failures, stage.wrong()


MUTANTS = f"""{UNLIMITED}
import headway.server.api.kinds as kinds
import headway.server.api.tokens as tokens
import headway.server.api.announcements as announcements
import headway.server.app as app
from headway import errors
from headway.model.access import Identity, Role

class Teapot(errors.HeadwayError):
    code, status = "teapot", 418

def admit(connection, handler):
    connection.scope["user"] = Identity("anybody", Role.ADMIN)

kinds.NotFound = Teapot
tokens.TokenView = lambda name, role, created_at: dict(name=name)
announcements.announcements = None
app.admit = admit
"""
CAUGHT = {
    "explain_problem": "UndefinedStatusCode",
    "list_tokens": "JsonSchemaError",
    "list_deliveries": "ServerError",
    "list_apps": "IgnoredAuth",
}


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", sabotage=MUTANTS)
    try:
        stage = Stage(server, {"admin": server.token}, {}, loaded(server))
        for operation in stage.operations(*CAUGHT):
            stage.ask(operation, "admin", GenerationMode.POSITIVE, VALID, known=False)
        for operation in stage.operations("list_tokens"):
            stage.ask(operation, "", GenerationMode.POSITIVE, BARRED, known=False)
    finally:
        server.stop()
    found = "\n".join(stage.failures)
    assert [one for one in CAUGHT.values() if one not in found] == [], found
    assert "as : answers 200 to who may not" in found
