"""Coming in by a provider: through the pages, with whatever may go wrong on the way."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from headway.errors import Refused
from headway.model.access import Role
from headway.server.database import journal, users
from headway.signals.memory import MemorySignals
from tests.unit.cockpit.conftest import Visitor, visiting
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import set_up
from tests.unit.server.hostile_provider import ISSUER, HostileProvider

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


@pytest.fixture
def there(clock: Clock) -> HostileProvider:
    return HostileProvider(clock)


@pytest.fixture
async def visitor(tmp_path: Path, clock: Clock, there: HostileProvider) -> AsyncIterator[Visitor]:
    plane = make_plane(tmp_path, MemorySignals(), clock, provider=there.provider())
    async with visiting(plane) as visitor:
        await set_up(visitor.plane)
        yield visitor


async def go(visitor: Visitor, there: HostileProvider, beyond: str = "/apps/web") -> dict[str, str]:
    """Begin, and agree; what the browser is sent back with."""
    await visitor.get(f"/sign-in?next={beyond}")
    links = [a["href"] for a in visitor.page.all("a") if "provider" in a.get("href", "")]
    led = await visitor.get(links[0])
    assert led.status_code == 303, visitor.page.shown
    assert led.headers["location"].startswith(f"{ISSUER}/authorize?")
    return there.consent(led.headers["location"])


async def come_back(visitor: Visitor, answer: dict[str, str]) -> Any:
    return await visitor.get(f"/sign-in/return?{urlencode(answer)}")


async def enter(visitor: Visitor, there: HostileProvider) -> Any:
    visitor.client.cookies.clear()
    return await come_back(visitor, await go(visitor, there))


async def told(visitor: Visitor) -> list[str]:
    entries = await visitor.plane.database.read(lambda c: journal.entries(c, limit=1000))
    return [entry.why for entry in entries if entry.kind in ("user", "sign-in")]


async def test_through_the_door_and_back(visitor: Visitor, there: HostileProvider) -> None:
    answer = await go(visitor, there)
    back = await come_back(visitor, answer)
    assert (back.status_code, back.headers["location"]) == (303, "/apps/web")
    cookies = {c.partition("=")[0]: c.lower() for c in back.headers.get_list("set-cookie")}
    assert "samesite=lax" in cookies["headway_session"]
    assert "httponly" in cookies["headway_session"]
    assert "max-age=0" in cookies["headway_flow"], "what began is over"
    assert (await visitor.get("/apps/web")).status_code == 200
    assert "alice deployer" in visitor.page.shown
    assert await told(visitor) == [
        "Example ID brings the user alice, a deployer",
        "alice signs in with Example ID, from 127.0.0.1",
    ]


async def test_the_page_offers_the_provider_first(visitor: Visitor) -> None:
    await visitor.get("/sign-in")
    assert "Sign in with Example ID" in visitor.page.shown
    assert "Sign in with a token" in visitor.page.shown


async def test_a_return_that_this_browser_did_not_begin(
    visitor: Visitor, there: HostileProvider
) -> None:
    """Somebody lures a person into the account of somebody else."""
    answer = await go(visitor, there)
    visitor.client.cookies.clear()
    refused = await come_back(visitor, answer)
    assert refused.status_code == 403
    assert "not begun in this browser" in visitor.page.shown
    await go(visitor, there)
    assert (await come_back(visitor, answer)).status_code == 403
    assert "/token" not in there.asked
    assert "headway_session" not in visitor.client.cookies


async def test_a_return_counts_once(visitor: Visitor, there: HostileProvider) -> None:
    answer = await go(visitor, there)
    flow = visitor.client.cookies["headway_flow"]
    assert (await come_back(visitor, answer)).status_code == 303
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_flow"] = flow
    assert (await come_back(visitor, answer)).status_code == 403
    assert "headway_session" not in visitor.client.cookies


@pytest.mark.parametrize("planted", ["", "x", "e30=", "bnVsbA==", "é", "[]"])
async def test_a_planted_cookie_is_none(
    visitor: Visitor, there: HostileProvider, planted: str
) -> None:
    answer = await go(visitor, there)
    visitor.client.cookies.clear()
    sent = await visitor.client.get(
        f"/sign-in/return?{urlencode(answer)}",
        headers={"Cookie": b"headway_flow=" + planted.encode()},
        follow_redirects=False,
    )
    assert sent.status_code == 403


@pytest.mark.parametrize("beyond", ["//evil.example", "https://evil.example", "/v1/events"])
async def test_the_way_back_leads_nowhere_else(
    visitor: Visitor, there: HostileProvider, beyond: str
) -> None:
    led = await visitor.get("/sign-in/provider?" + urlencode({"next": beyond}))
    back = await come_back(visitor, there.consent(led.headers["location"]))
    assert back.headers["location"] == "/"


async def test_a_name_stays_whatever_the_provider_says_later(
    visitor: Visitor, there: HostileProvider
) -> None:
    await enter(visitor, there)
    there.claims = {"preferred_username": "admin"}
    assert (await enter(visitor, there)).status_code == 303
    await visitor.get("/apps/web")
    assert "alice deployer" in visitor.page.shown
    assert [u.name for u in await visitor.plane.database.read(users.every)] == ["alice"]


async def test_nobody_comes_in_under_the_name_of_somebody_else(
    visitor: Visitor, there: HostileProvider
) -> None:
    await visitor.token(Role.ADMIN, "Root")
    await visitor.plane.people.add("bob", Role.ADMIN, PASSWORD, "root")
    await enter(visitor, there)
    for number, name in enumerate(("root", "ROOT", "bob", "alice")):
        there.claims = {"preferred_username": name, "sub": f"other-{number}"}
        assert (await enter(visitor, there)).status_code == 403, name
        assert "belongs to somebody else here" in visitor.page.shown
    for name in ("headway", "a b", "../x", "x" * 129, "\u0430lice", "alice\n"):
        there.claims = {"preferred_username": name, "sub": f"other-{name}"}
        refused = (await enter(visitor, there)).status_code
        assert refused == 400 or (name.strip() == "alice" and refused == 403), name
    assert len(await visitor.plane.database.read(users.every)) == 2


async def test_the_role_is_taken_over_at_each_sign_in(
    visitor: Visitor, there: HostileProvider
) -> None:
    await enter(visitor, there)
    first = visitor.client.cookies["headway_session"]
    there.claims = {"groups": ["boss"]}
    await enter(visitor, there)
    assert "Example ID makes alice an admin, not a deployer" in await told(visitor)
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_session"] = first
    await visitor.get("/apps/web")
    assert "alice admin" in visitor.page.shown
    there.claims = {"groups": []}
    assert (await enter(visitor, there)).status_code == 403
    assert "none of your groups has a role here" in visitor.page.shown


async def test_what_the_provider_decides_is_not_decided_here(
    visitor: Visitor, there: HostileProvider
) -> None:
    await enter(visitor, there)
    with pytest.raises(Refused, match="comes from the groups"):
        await visitor.plane.people.set_role("alice", Role.ADMIN, "root")
    with pytest.raises(Refused, match="no password here"):
        await visitor.plane.people.set_password("alice", PASSWORD, "root")
    await visitor.get("/sign-in")
    refused = await visitor.submit("/sign-in", name="alice", password="")
    assert refused.status_code == 401, "an empty password is not the right one"


async def test_while_the_provider_is_down_the_other_ways_are_open(
    visitor: Visitor, there: HostileProvider
) -> None:
    there.down = True
    await visitor.plane.people.add("bob", Role.VIEWER, PASSWORD, "root")
    refused = await visitor.get("/sign-in/provider")
    assert refused.status_code == 503
    assert "Example ID does not answer" in visitor.page.shown
    assert (await visitor.submit("/sign-in", name="bob", password=PASSWORD)).status_code == 303
    assert (await visitor.sign_in(Role.VIEWER, "by-token")).status_code == 303


async def test_people_of_a_provider_that_is_not_configured_any_more_are_out(
    visitor: Visitor, there: HostileProvider, tmp_path: Path, clock: Clock
) -> None:
    await enter(visitor, there)
    secret = visitor.client.cookies["headway_session"]
    assert visitor.plane.sessions.find(secret) is not None
    async with visiting(make_plane(tmp_path, MemorySignals(), clock)) as after:
        after.client.cookies["headway_session"] = secret
        assert (await after.get("/apps/web")).status_code == 303
        assert (await after.get("/sign-in/provider")).status_code == 404
        assert (await after.get("/sign-in/return?code=x&state=y")).status_code == 404
