"""Who may do what: every route, every role."""

import pytest
from litestar import get

from headway.model.access import Role
from headway.server.app import create_app
from headway.server.auth.rules import Rule, routes
from headway.server.plane import ControlPlane
from tests.unit.server.conftest import Web

pytestmark = pytest.mark.anyio

V, D, A, N = Role.VIEWER, Role.DEPLOYER, Role.ADMIN, Role.NODE
EVERYBODY, PEOPLE = {None, V, D, A, N}, {V, D, A}

MAY = {
    ("GET", "/v1/health"): EVERYBODY,
    ("GET", "/schema/openapi.json"): EVERYBODY,
    ("GET", "/schema/{path:str}"): EVERYBODY,
    ("GET", "/schema"): EVERYBODY,
    ("GET", "/problems/{code:str}"): EVERYBODY,
    ("GET", "/v1/whoami"): {V, D, A, N},
    ("GET", "/metrics"): PEOPLE,
    ("PUT", "/v1/apps/{app:str}"): {A},
    ("GET", "/v1/apps"): PEOPLE,
    ("GET", "/v1/apps/{app:str}"): PEOPLE,
    ("GET", "/v1/apps/{app:str}/why"): PEOPLE,
    ("GET", "/v1/apps/{app:str}/picture"): PEOPLE,
    ("GET", "/v1/apps/{app:str}/places"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/builds"): {D, A},
    ("GET", "/v1/apps/{app:str}/builds"): PEOPLE,
    ("GET", "/v1/apps/{app:str}/builds/{prefix:str}"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/builds/repack"): {A},
    ("POST", "/v1/apps/{app:str}/builds/gc"): {A},
    ("GET", "/v1/store/{path:path}"): {V, D, A, N},
    ("HEAD", "/v1/store/{path:path}"): {V, D, A, N},
    ("PUT", "/v1/store/{path:path}"): {D, A},
    ("POST", "/v1/apps/{app:str}/rollouts"): {D, A},
    ("GET", "/v1/apps/{app:str}/rollouts"): PEOPLE,
    ("GET", "/v1/rollouts/{rollout:str}"): PEOPLE,
    ("POST", "/v1/rollouts/{rollout:str}/{action:str}"): {D, A},
    ("GET", "/v1/rollouts/{rollout:str}/replay"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/guard/tune"): {D, A},
    ("GET", "/v1/apps/{app:str}/guard/metrics/{metric:str}"): PEOPLE,
    ("GET", "/v1/announcements"): PEOPLE,
    ("POST", "/v1/announcements/{delivery:int}/retry"): {D, A},
    ("GET", "/v1/apps/{app:str}/queue"): PEOPLE,
    ("GET", "/v1/apps/{app:str}/releases"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/releases"): {D, A},
    ("GET", "/v1/releases/{release:str}"): PEOPLE,
    ("GET", "/v1/releases/{release:str}/notes"): PEOPLE,
    ("GET", "/v1/releases/{release:str}/suspects"): PEOPLE,
    ("POST", "/v1/releases/{release:str}/hotfix"): {D, A},
    ("POST", "/v1/releases/{release:str}/revert"): {D, A},
    ("POST", "/v1/releases/{release:str}/bisect"): PEOPLE,
    ("POST", "/v1/hooks/{forge:str}"): EVERYBODY,
    ("GET", "/v1/apps/{app:str}/schedule"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/freezes"): {D, A},
    ("DELETE", "/v1/freezes/{freeze:str}"): {D, A},
    ("POST", "/v1/apps/{app:str}/shift"): {D, A},
    ("GET", "/v1/nodes"): PEOPLE,
    ("GET", "/v1/nodes/{node:str}"): PEOPLE,
    ("PUT", "/v1/nodes/{node:str}/hold"): {D, A},
    ("DELETE", "/v1/nodes/{node:str}/hold"): {D, A},
    ("PUT", "/v1/nodes/{node:str}/pins/{app:str}"): {D, A},
    ("DELETE", "/v1/nodes/{node:str}/pins/{app:str}"): {D, A},
    ("POST", "/v1/nodes/{node:str}/verify/{app:str}"): {D, A},
    ("DELETE", "/v1/nodes/{node:str}"): {A},
    ("GET", "/v1/apps/{app:str}/train"): PEOPLE,
    ("POST", "/v1/apps/{app:str}/train"): PEOPLE,
    ("POST", "/v1/chat/links"): PEOPLE,
    ("GET", "/v1/holds"): PEOPLE,
    ("POST", "/v1/holds"): {D, A},
    ("DELETE", "/v1/holds/{hold:str}"): {D, A},
    ("GET", "/v1/journal"): PEOPLE,
    ("GET", "/v1/events"): PEOPLE,
    ("POST", "/v1/tokens"): {A},
    ("GET", "/v1/tokens"): {A},
    ("DELETE", "/v1/tokens/{name:str}"): {A},
    ("POST", "/v1/users"): {A},
    ("GET", "/v1/users"): {A},
    ("PUT", "/v1/users/{name:str}/role"): {A},
    ("PUT", "/v1/users/{name:str}/password"): {A},
    ("DELETE", "/v1/users/{name:str}/sessions"): {A},
    ("DELETE", "/v1/users/{name:str}"): {A},
    ("POST", "/v1/node/enrol"): {N},
    ("GET", "/v1/node/watch"): {N},
    ("POST", "/v1/node/reports"): {N},
    ("POST", "/v1/node/peers"): {N},
    ("POST", "/v1/hub/reports"): EVERYBODY,
}

STREAMS = {"/v1/events", "/v1/node/watch"}


def test_the_table_names_every_route(plane: ControlPlane) -> None:
    served = {
        (method, path)
        for path, handler in routes(create_app(plane))
        for method in handler.http_methods  # type: ignore[attr-defined]
    }
    assert served == set(MAY)


@pytest.mark.parametrize(("method", "path"), MAY)
async def test_each_role_may_exactly_what_the_table_says(web: Web, method: str, path: str) -> None:
    address = path
    for name in (
        "app",
        "prefix",
        "rollout",
        "action",
        "node",
        "hold",
        "name",
        "metric",
        "release",
        "forge",
        "freeze",
        "code",
    ):
        address = address.replace(f"{{{name}:str}}", "nothing")
    address = address.replace("{delivery:int}", "7")
    address = address.replace("{path:path}", "nothing/here").replace("{path:str}", "nothing")
    for role in (None, V, D, A, N):
        allowed = role in MAY[method, path]
        if allowed and path in STREAMS:
            continue
        status = (await web(role, method, address)).status_code
        if role is None and not allowed:
            assert status == 401
        else:
            assert (status == 403) is not allowed, (role, status)
            assert status != 401


def test_a_route_without_a_rule_does_not_start(plane: ControlPlane) -> None:
    @get("/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match="/forgotten"):
        create_app(plane, (forgotten,))


def test_a_rule_that_is_only_a_word_does_not_count(plane: ControlPlane) -> None:
    @get("/misspelt", opt={"role": "viewer"})
    async def misspelt() -> None: ...

    with pytest.raises(RuntimeError, match="/misspelt"):
        create_app(plane, (misspelt,))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer hw_wrong",
        "Bearer \xff",
        "Bearer " + "x" * 5000,
    ],
)
async def test_what_is_no_token_is_not_a_caller(web: Web, header: str) -> None:
    response = await web.client.get(
        "/v1/whoami", headers={"Authorization": header.encode("latin-1")}
    )
    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"


async def test_a_token_lives_from_its_making_to_its_revocation(web: Web) -> None:
    made = await web(A, "POST", "/v1/tokens", json={"name": "ci", "role": "deployer"})
    assert made.status_code == 201
    secret = made.json()["token"]
    assert secret.startswith("hw_")
    assert len(secret) >= 46
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await web(None, "GET", "/v1/whoami", headers=headers)).json() == {
        "name": "ci",
        "role": "deployer",
    }
    listed = (await web(A, "GET", "/v1/tokens")).json()
    assert {"name", "role", "created_at"} == set(listed[0])
    assert secret not in str(listed)
    assert secret not in (await web(A, "GET", "/v1/journal")).text
    again = await web(A, "POST", "/v1/tokens", json={"name": "ci", "role": "viewer"})
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    assert (await web(A, "DELETE", "/v1/tokens/ci")).status_code == 204
    assert (await web(None, "GET", "/v1/whoami", headers=headers)).status_code == 401
    assert (await web(A, "DELETE", "/v1/tokens/ci")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "role": "root"},
        {"name": "", "role": "viewer"},
        {"name": "a b", "role": "viewer"},
        {"name": "x\n", "role": "viewer"},
        {"name": "x" * 200, "role": "viewer"},
    ],
)
async def test_a_token_for_nobody_or_nothing_is_refused(web: Web, body: dict[str, str]) -> None:
    response = await web(A, "POST", "/v1/tokens", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_every_rule_that_needs_a_token_leaves_the_node_to_its_own_routes() -> None:
    assert Role.NODE not in Rule.VIEWER.value | Rule.DEPLOYER.value | Rule.ADMIN.value


async def test_a_role_that_does_not_suffice_is_told_which_does(web: Web) -> None:
    refused = await web(D, "GET", "/v1/tokens")
    assert refused.json()["sentence"] == "the-deployer is a deployer; this takes an admin"
    refused = await web(V, "POST", "/v1/holds", json={})
    assert refused.json()["sentence"] == "the-viewer is a viewer; this takes an admin or a deployer"
