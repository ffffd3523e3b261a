"""The API's description: complete, in words, and as other programs read it."""

import copy
import re
from typing import Any

import msgspec
import pytest
import schemathesis
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler

from headway.errors import family
from headway.model.access import Role
from headway.server.api.document import document
from headway.server.app import ROUTES, create_app
from headway.server.auth.rules import Rule, routes
from headway.server.plane import ControlPlane
from tests.unit.server.conftest import Web

pytestmark = pytest.mark.anyio

WORDS = ("summary", "description", "operationId", "tags", "x-role", "responses")
METHODS = {"get", "put", "post", "delete", "head"}


def described(app: Litestar) -> dict[str, Any]:
    found = document(app, app.openapi_schema.to_schema())
    return msgspec.json.decode(msgspec.json.encode(found, enc_hook=str))


@pytest.fixture
def api(plane: ControlPlane) -> dict[str, Any]:
    return described(create_app(plane))


def operations(api: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, item in api["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def silences(api: dict[str, Any]) -> list[str]:
    """Whatever is named and not described."""
    missing = []
    for place, operation in operations(api):
        named = {key: operation.get(key) for key in WORDS}
        named |= {
            f"?{one['name']}": one.get("description") for one in operation.get("parameters", ())
        }
        named |= {
            status: answer.get("description") or answer.get("$ref")
            for status, answer in operation["responses"].items()
        }
        missing += [f"{place}: {key}" for key, said in named.items() if not said]
    for name, schema in api["components"]["schemas"].items():
        if not schema.get("description"):
            missing.append(name)
        for field, inner in schema.get("properties", {}).items():
            tagged = inner.keys() == {"enum"}
            if not inner.get("description") and not tagged:
                missing.append(f"{name}.{field}")
    missing += [tag["name"] for tag in api["tags"] if not tag["description"]]
    return missing


def test_nothing_is_named_that_is_not_described(api: dict[str, Any]) -> None:
    assert silences(api) == []


@pytest.mark.parametrize("what", ["route", "parameter", "field", "answer", "type", "tag"])
def test_a_silence_would_be_found(api: dict[str, Any], what: str) -> None:
    mute = copy.deepcopy(api)
    deploy = mute["paths"]["/v1/apps/{app}/rollouts"]["post"]
    silenced = {
        "route": deploy,
        "parameter": deploy["parameters"][0],
        "field": mute["components"]["schemas"]["Rollout"]["properties"]["since"],
        "answer": deploy["responses"]["201"],
        "type": mute["components"]["schemas"]["Rollout"],
        "tag": mute["tags"][0],
    }
    silenced[what]["description"] = ""
    assert len(silences(mute)) == 1


def test_every_route_is_in_it_and_says_who_may(plane: ControlPlane, api: dict[str, Any]) -> None:
    told = {place: operation["x-role"] for place, operation in operations(api)}
    public = {place for place, operation in operations(api) if operation.get("security") == []}
    served = {
        f"{method.lower()} {re.sub(r':[a-z]+}', '}', path)}": handler.opt["role"]
        for path, handler in routes(create_app(plane))
        if isinstance(handler, HTTPRouteHandler) and not path.startswith("/schema")
        for method in handler.http_methods
    }
    assert told == {place: rule.name.lower() for place, rule in served.items()}
    assert public == {place for place, rule in served.items() if rule is Rule.PUBLIC}
    assert len(told) == len(ROUTES)


def test_operations_are_named_by_their_functions_once(api: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(api)]
    assert sorted(names) == sorted(handler.fn.__name__ for handler in ROUTES)
    assert len(set(names)) == len(names)


def test_tags_stand_in_the_order_of_the_routes(api: dict[str, Any]) -> None:
    modules = [handler.fn.__module__.rpartition(".")[2] for handler in ROUTES]
    assert [tag["name"] for tag in api["tags"]] == list(dict.fromkeys(modules))


def test_every_error_is_a_problem_and_leads_somewhere(api: dict[str, Any]) -> None:
    answers = api["components"]["responses"]
    assert set(answers) == {str(kind.status) for kind in family()}
    for answer in answers.values():
        (media,) = answer["content"].items()
        assert media == (
            "application/problem+json",
            {"schema": {"$ref": "#/components/schemas/Problem"}},
        )
    for _, operation in operations(api):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and "$ref" in answer:
                assert answer["$ref"] == f"#/components/responses/{status}"
                assert status in answers


def test_bytes_and_streams_are_called_what_they_are(api: dict[str, Any]) -> None:
    def gives(method: str, path: str, status: str) -> list[str]:
        return list(api["paths"][path][method]["responses"][status].get("content", {}))

    assert gives("get", "/v1/events", "200") == ["text/event-stream"]
    assert gives("get", "/v1/node/watch", "200") == ["text/event-stream"]
    assert gives("get", "/v1/store/{path}", "206") == ["application/octet-stream"]
    assert gives("head", "/v1/store/{path}", "200") == []
    taken = api["paths"]["/v1/store/{path}"]["put"]["requestBody"]["content"]
    assert list(taken) == ["application/octet-stream"]


def test_types_say_what_is_checked(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]
    assert schemas["AppConfig"]["additionalProperties"] is False
    assert schemas["AppConfig"]["properties"]["name"]["pattern"] == "^[a-z0-9][a-z0-9._-]{0,62}$"
    assert "- `done`: It has attested" in schemas["NodeState"]["description"]
    (after,) = [
        one for one in api["paths"]["/v1/journal"]["get"]["parameters"] if one["name"] == "after"
    ]
    assert after["schema"] == {"type": "integer", "minimum": 0, "maximum": 2**53}
    assert "\\A" not in str(api)


def test_two_types_of_one_name_are_told_apart_by_where_they_are(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]
    assert {name for name in schemas if name.endswith("Kind")} >= {"PlanKind", "AnnouncementKind"}
    assert "Kind" not in schemas
    refs = re.findall(r"#/components/schemas/([^'\"]+)", str(api))
    assert set(refs) <= set(schemas)


def test_the_document_is_one_by_the_rules_of_openapi(api: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(api).validate()


async def test_it_is_served_to_everybody(web: Web, api: dict[str, Any]) -> None:
    served = await web(None, "GET", "/schema/openapi.json")
    assert served.json() == api
    assert (await web(None, "GET", "/schema/openapi.json")).json() == api


async def test_a_route_from_outside_is_left_out_when_it_asks_for_it(plane: ControlPlane) -> None:
    @get("/page", opt={"role": Rule.PUBLIC}, include_in_schema=False)
    async def page() -> None: ...

    assert "/page" not in described(create_app(plane, (page,)))["paths"]


async def test_a_problems_type_leads_to_what_it_means(web: Web) -> None:
    problem = (await web(Role.VIEWER, "GET", "/v1/apps/nothing")).json()
    assert problem["type"] == "/problems/not_found"
    kind = (await web(None, "GET", problem["type"])).json()
    assert (kind["code"], kind["status"], kind["exit_code"]) == ("not_found", 404, 4)
    assert kind["meaning"]
    unknown = await web(None, "GET", "/problems/gremlins")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_whoever_is_not_known_is_told_how_to_say_it(web: Web) -> None:
    assert (await web(None, "GET", "/v1/apps")).headers["WWW-Authenticate"] == "Bearer"
