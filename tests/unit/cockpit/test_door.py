import re
from itertools import pairwise

import pytest
from litestar import Litestar

from headway.model.access import Role
from headway.server.auth.rules import Rule, routes
from headway.server.auth.sessions import Limits
from headway.server.cockpit.assets import ASSETS, address
from headway.server.plane import ControlPlane
from tests.unit.cockpit.conftest import Visitor, visiting
from tests.unit.server.conftest import Clock
from tests.unit.server.herd import Herd

pytestmark = pytest.mark.anyio

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


def protected(response: object) -> bool:
    headers = response.headers  # type: ignore[attr-defined]
    policy = set(headers.get("content-security-policy", "").split("; "))
    sniff, referrer = headers.get("x-content-type-options"), headers.get("referrer-policy")
    return (policy, sniff, referrer) == (POLICY, "nosniff", "same-origin")


async def test_strangers_are_led_to_the_door_and_from_there_to_where_they_were_going(
    visitor: Visitor, herd: Herd
) -> None:
    led = await visitor.get("/apps/web")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=/apps/web")
    await visitor.get(led.headers["location"])
    assert visitor.page.field("next") == "/apps/web"
    entered = await visitor.sign_in(Role.VIEWER, then="/apps/web")
    assert (entered.status_code, entered.headers["location"]) == (303, "/apps/web")
    assert (await visitor.get("/apps/web")).status_code == 200
    assert "alice viewer" in visitor.page.shown


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Visitor) -> None:
    entered = await visitor.sign_in(Role.VIEWER)
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("headway_session=")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert "secure" not in parts


async def test_over_https_the_cookie_stays_there(visitor: Visitor, herd: Herd) -> None:
    visitor.client.base_url = "https://headway.test"
    entered = await visitor.sign_in(Role.VIEWER)
    cookies = entered.headers.get_list("set-cookie")
    assert all(cookie.startswith("__Host-headway_") for cookie in cookies)
    assert all("; secure" in cookie.lower() for cookie in cookies)
    assert all("domain" not in cookie.lower() for cookie in cookies)
    assert entered.headers["strict-transport-security"] == "max-age=31536000"
    assert (await visitor.get("/apps/web")).status_code == 200
    secret = visitor.client.cookies["__Host-headway_session"]
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_session"] = secret
    assert (await visitor.get("/apps/web")).status_code == 303, "a cookie that anybody can plant"


async def test_behind_a_proxy_that_ends_tls_the_cookie_stays_with_https(
    plane: ControlPlane,
) -> None:
    plane.public_url = "https://headway.test"
    async with visiting(plane) as visitor:
        asked = await visitor.get("/sign-in")
        assert asked.headers["set-cookie"].startswith("__Host-headway_visit=")
        assert "; secure" in asked.headers["set-cookie"].lower()
        assert "strict-transport-security" not in asked.headers, "the proxy's to say"


async def test_the_token_itself_is_nowhere_in_the_cookie_or_on_the_page(visitor: Visitor) -> None:
    secret = await visitor.token(Role.VIEWER)
    await visitor.get("/sign-in")
    entered = await visitor.submit("/sign-in", token=secret)
    assert secret not in entered.headers["set-cookie"] + entered.text
    refused = await visitor.get("/sign-in")
    assert secret not in refused.text


async def test_a_wrong_token_does_not_open_and_says_so(visitor: Visitor) -> None:
    await visitor.get("/sign-in")
    refused = await visitor.submit("/sign-in", token="hw_wrong")
    assert refused.status_code == 401
    assert "the token is not valid" in visitor.page.shown
    assert "headway_session" not in refused.headers["set-cookie"]
    again = await visitor.submit("/sign-in", token=await visitor.token(Role.VIEWER))
    assert again.status_code == 303, "the form that comes back works"


async def test_a_node_has_no_business_here(visitor: Visitor) -> None:
    refused = await visitor.sign_in(Role.NODE)
    assert refused.status_code == 403
    assert "a node" in visitor.page.shown


@pytest.mark.parametrize(
    "beyond", ["//evil.example", "https://evil.example", "/\\evil", "/v1/apps", "/apps/a b", "/x\n"]
)
async def test_the_door_leads_nowhere_else(visitor: Visitor, beyond: str) -> None:
    entered = await visitor.sign_in(Role.VIEWER, then=beyond)
    assert entered.headers["location"] == "/"


async def test_who_signs_out_is_out_even_with_the_old_cookie(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    cookie = visitor.client.cookies["headway_session"]
    await visitor.get("/apps/web")
    left = await visitor.submit("/sign-out")
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_session"] = cookie
    assert (await visitor.get("/apps/web")).status_code == 303


async def test_a_session_that_is_not_used_ends(visitor: Visitor, herd: Herd, clock: Clock) -> None:
    await visitor.sign_in(Role.VIEWER)
    for _ in range(2):
        clock.now += Limits().idle - 1
        assert (await visitor.get("/apps/web")).status_code == 200
    clock.now += Limits().idle
    assert (await visitor.get("/apps/web")).status_code == 303


async def test_a_session_ends_however_much_it_is_used(
    visitor: Visitor, herd: Herd, clock: Clock
) -> None:
    await visitor.sign_in(Role.VIEWER)
    ends = clock.now + Limits().longest
    while clock.now < ends - 3600:
        clock.now += 3600
        assert (await visitor.get("/apps/web")).status_code == 200
    clock.now += 3600
    assert (await visitor.get("/apps/web")).status_code == 303


async def test_a_session_ends_with_its_token(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    visitor.plane.callers.revoke("alice")
    assert (await visitor.get("/apps/web")).status_code == 303


async def test_a_token_alone_opens_no_page_and_a_cookie_no_api(
    visitor: Visitor, herd: Herd
) -> None:
    secret = await visitor.token(Role.ADMIN, "root")
    headers = {"Authorization": f"Bearer {secret}"}
    page = await visitor.client.get("/apps/web", headers=headers, follow_redirects=False)
    assert page.status_code == 303
    await visitor.sign_in(Role.ADMIN)
    assert (await visitor.client.get("/v1/apps")).status_code == 401


def our_routes(app: Litestar) -> list[tuple[str, set[str], Rule]]:
    found = [(path, set(h.http_methods), h.opt["role"]) for path, h in routes(app)]  # type: ignore[attr-defined]
    api = ("/v1", "/schema", "/problems", "/metrics")
    return [route for route in found if not route[0].startswith(api)]


def fill(path: str) -> str:
    name = next(iter(ASSETS))
    filled = path.replace("{digest:str}", ASSETS[name].digest).replace("{name:str}", name)
    values = {
        "app": "web",
        "rollout": "web-1",
        "action": "advance",
        "session": "0" * 16,
        "node": "p1",
    }
    for field, value in values.items():
        filled = filled.replace(f"{{{field}:str}}", value)
    return re.sub(r"\{[a-z]+:str\}", "s1", filled)


async def test_every_page_says_what_it_may_load(visitor: Visitor, herd: Herd) -> None:
    app: Litestar = visitor.app
    pages = [fill(path) for path, methods, _ in our_routes(app) if "GET" in methods]
    pages = [path for path in pages if not path.endswith("/live")]
    assert len(pages) > 9
    for path in [*pages, "/apps/nowhere", "/assets/0/none"]:
        assert protected(await visitor.get(path)), path
    await visitor.sign_in(Role.DEPLOYER)
    for path in [*pages, "/apps/nowhere", "/assets/0/none"]:
        assert protected(await visitor.get(path)), path


async def test_no_form_from_elsewhere_is_taken(visitor: Visitor, herd: Herd) -> None:
    app: Litestar = visitor.app
    forms = [fill(path) for path, methods, _ in our_routes(app) if "POST" in methods]
    assert len(forms) > 5
    await visitor.get("/sign-in")
    visit_seal = visitor.page.field("csrf")
    await visitor.sign_in(Role.DEPLOYER)
    for path in forms:
        for seal in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é\ud7ff"}):
            answer = await visitor.post(path, **seal)
            assert answer.status_code == 403, (path, seal)
            assert protected(answer)
    act = await visitor.post(
        fill("/apps/{app:str}/rollouts/{rollout:str}/{action:str}"), csrf=visit_seal
    )
    assert act.status_code == 403, "the seal of the form to sign in is good for nothing else"


async def test_who_has_no_session_posts_nothing(visitor: Visitor, herd: Herd) -> None:
    answer = await visitor.post("/apps/web/rollouts/web-1/advance", csrf="x", seen="1-waiting")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_assets_are_kept_for_good_under_their_digest(visitor: Visitor) -> None:
    for name, asset in ASSETS.items():
        answer = await visitor.get(address(name))
        assert answer.content == asset.content
        assert answer.headers["content-type"].startswith(asset.kind)
        assert "immutable" in answer.headers["cache-control"]


def test_digests_tell_files_apart() -> None:
    digests = sorted(asset.digest for asset in ASSETS.values())
    assert all(one != other for one, other in pairwise(digests))
