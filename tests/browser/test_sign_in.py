"""People at the door, in a real browser: with a password, and with a real provider elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from headway.model.plan import Checks, Step
from headway.model.views import RoleRequest, UserRequest
from tests.acceptance.fleet import RealFleet
from tests.browser.chromium import Page, chromium
from tests.contract.oidc_server import OidcServer, oidc_server

PASSWORD = "correct horse battery"
ALICE = {"sub": "s-1", "preferred_username": "alice", "groups": ["ops"], "email": "a@example.org"}
MALLORY = {"sub": "s-2", "preferred_username": "admin", "groups": ["ops"]}
NOBODY = {"sub": "s-3", "preferred_username": "nobody", "groups": []}


@pytest.fixture
def page(program) -> Iterator[Page]:
    program("chromium")
    with chromium() as opened:
        opened.look(1280, 900)
        # The provider's pages ask a host elsewhere for their style.
        opened.tab.context.route(
            re.compile(r"https?://(?!localhost|127\.0\.0\.1)"),
            lambda route: route.fulfill(body="", content_type="text/css"),
        )
        yield opened


@pytest.fixture
def there(tmp_path: Path) -> Iterator[OidcServer]:
    with oidc_server(tmp_path / "provider.log", ALICE, MALLORY, NOBODY) as server:
        yield server


@pytest.fixture
def fleet(tmp_path: Path, there: OidcServer) -> Iterator[RealFleet]:
    secret = tmp_path / "oidc.secret"
    secret.write_text("the client's secret\n")
    fleet = RealFleet(tmp_path)
    fleet.server = f"""
public_url = "{fleet.url}"
[oidc]
title = "Example ID"
issuer = "{there.issuer}"
client_id = "headway"
client_secret_file = "{secret}"
[oidc.roles]
ops = "deployer"
"""
    try:
        fleet.start_server()
        fleet.apply(Step("staging", checks=Checks.NONE))
        yield fleet
    finally:
        fleet.stop()


def to_the_provider_as(page: Page, fleet: RealFleet, subject: str) -> None:
    page.go(f"{fleet.url}/apps/web")
    page.press("text=Sign in with Example ID")
    page.wait(lambda: "Authorize Client" in page.text("h1"), "the provider's page")
    page.press(f'button[value="{subject}"]')


def test_somebody_comes_by_the_provider_and_is_back_where_they_were_going(
    fleet: RealFleet, there: OidcServer, page: Page
) -> None:
    to_the_provider_as(page, fleet, "s-1")
    assert page.run("location.pathname") == "/apps/web"
    assert "alice" in page.text(".who")
    assert "deployer" in page.text(".who")
    cookies = {one["name"]: one for one in page.tab.context.cookies(fleet.url)}
    session = cookies["headway_session"]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")
    assert "headway_flow" not in cookies
    # From a page of another site, a link leads to where somebody is signed in.
    page.go(f"{there.issuer}/")
    page.run(f"location.assign('{fleet.url}/account')")
    page.wait(lambda: "This browser" in page.text("main"), "the account")

    assert page.problems == []
    fleet.kill("server")
    fleet.start_server()
    page.go(f"{fleet.url}/account")
    assert "This browser" in page.text("main"), "the session has outlived the control plane"
    page.press("text=Sign out everywhere")
    page.go(f"{fleet.url}/apps/web")
    assert page.run("location.pathname") == "/sign-in"


def test_whom_the_provider_may_not_bring_stays_outside(
    fleet: RealFleet, there: OidcServer, page: Page
) -> None:
    to_the_provider_as(page, fleet, "s-2")
    assert "the name admin belongs to somebody else here" in page.text(".notice")
    to_the_provider_as(page, fleet, "s-3")
    assert "none of your groups has a role here" in page.text(".notice")
    page.press("text=Sign in with Example ID")
    page.press("text=Deny")
    assert "begin again" in page.text(".notice")
    there.stop()
    page.go(f"{fleet.url}/sign-in")
    page.tab.click("summary")
    page.tab.fill("#token", fleet.token)
    page.press("#by-token button")
    assert "admin" in page.text(".who")
    there.start()


def test_by_keyboard_alone_with_a_password(fleet: RealFleet, page: Page) -> None:
    with fleet.client() as client:
        client.add_user(UserRequest("bob", "deployer", PASSWORD))
    page.look(390, 844)
    page.go(f"{fleet.url}/sign-in?next=/account")
    assert page.run("document.activeElement.id") == "name"
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert page.run(wide) is False
    keyboard = page.tab.keyboard
    keyboard.type("bob")
    keyboard.press("Tab")
    keyboard.type("wrong horse battery")
    with page.tab.expect_navigation():
        keyboard.press("Enter")
    assert page.text(".notice") == "the name or the password is wrong"
    assert Axe().run(page.tab).response["violations"] == []
    keyboard.type("bob")
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    with page.tab.expect_navigation():
        keyboard.press("Enter")
    assert page.run("location.pathname") == "/account"
    assert page.run(wide) is False
    assert Axe().run(page.tab).response["violations"] == []
    # A wrong password is answered with 401, of which the browser tells in its console.
    assert all("401" in problem for problem in page.problems)


def test_a_demotion_closes_the_stream_of_an_open_page(fleet: RealFleet, page: Page) -> None:
    with fleet.client() as client:
        client.add_user(UserRequest("bob", "deployer", PASSWORD))
        page.go(f"{fleet.url}/sign-in")
        page.tab.fill("#name", "bob")
        page.tab.fill("#password", PASSWORD)
        page.press("#by-password button")
        page.run(
            "window.ended = 0, window.live = new EventSource('/apps/web/live'),"
            " window.live.onerror = () => { window.ended++ }, true"
        )
        page.wait(lambda: page.run("window.live.readyState") == 1, "the stream to open")
        client.change_role("bob", RoleRequest("viewer"))
        page.wait(lambda: page.run("window.ended") >= 1, "the stream to end")
        client.remove_user("bob")
    page.go(f"{fleet.url}/apps/web")
    assert page.run("location.pathname") == "/sign-in"
