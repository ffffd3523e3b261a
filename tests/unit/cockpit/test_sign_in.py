"""People with a password: coming in, being thrown out, and their sessions."""

from pathlib import Path

import pytest
from argon2 import Parameters
from argon2.profiles import CHEAPEST
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from headway.core.budget import Rate
from headway.model.access import Role
from headway.server.auth.passwords import Passwords
from headway.server.auth.throttle import BY_ADDRESS, BY_BROWSER, BY_NAME
from headway.server.cockpit.beyond import door, ours
from headway.server.database import journal, sessions, users
from headway.server.turnstile import LimitSettings, Turnstile
from headway.signals.memory import MemorySignals
from tests.unit.cockpit.conftest import Visitor, visiting
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import Herd

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


async def add(visitor: Visitor, name: str = "alice", role: Role = Role.DEPLOYER) -> None:
    await visitor.plane.people.add(name, role, PASSWORD, "root")


async def enter(visitor: Visitor, name: str = "alice", password: str = PASSWORD):
    await visitor.get("/sign-in")
    return await visitor.submit("/sign-in", name=name, password=password)


async def told(visitor: Visitor, kind: str) -> list[str]:
    entries = await visitor.plane.database.read(lambda c: journal.entries(c, limit=1000))
    return [entry.why for entry in entries if entry.kind == kind]


async def test_the_door_offers_what_there_is(visitor: Visitor) -> None:
    await visitor.get("/sign-in")
    names = [field.get("name") for field in visitor.page.all("input")]
    assert (names.count("token"), names.count("password")) == (1, 0)
    assert visitor.page.all("details") == []
    await add(visitor)
    await visitor.get("/sign-in")
    fields = {field.get("name"): field for field in visitor.page.all("input")}
    assert fields["name"]["autocomplete"] == "username"
    assert fields["password"]["autocomplete"] == "current-password"
    assert "token" in fields
    labelled = {label["for"] for label in visitor.page.all("label")}
    assert {"name", "password", "token"} <= labelled


async def test_the_door_may_be_open_in_several_tabs(visitor: Visitor) -> None:
    await add(visitor)
    await visitor.get("/sign-in")
    first = visitor.page
    await visitor.get("/sign-in")
    assert visitor.page.field("csrf") != first.field("csrf"), "another one on each page"
    visitor.page = first
    entered = await visitor.submit("/sign-in", name="alice", password=PASSWORD)
    assert entered.status_code == 303
    await visitor.get("/sign-in?next=/account")
    assert "You are signed in as alice" in visitor.page.shown
    assert "/account" in [link["href"] for link in visitor.page.all("a")]


async def test_a_name_and_its_password_open(visitor: Visitor, herd: Herd) -> None:
    await add(visitor)
    entered = await enter(visitor, " Alice ")
    assert entered.status_code == 303
    await visitor.get("/apps/web")
    assert "alice deployer" in visitor.page.shown
    assert await told(visitor, "sign-in") == ["alice signs in with a password, from 127.0.0.1"]
    assert PASSWORD not in str(await visitor.plane.database.read(users.every))


async def test_a_password_is_the_same_on_every_keyboard(visitor: Visitor) -> None:
    await visitor.plane.people.add("zoe", Role.VIEWER, "pa\u0308sswo\u0308rter ①23", "root")
    assert (await enter(visitor, "zoe", "p\u00e4ssw\u00f6rter 123")).status_code == 303


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong horse battery"),
        ("alice", ""),
        ("alice", PASSWORD + " "),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("alice\x00", PASSWORD),
        ("alice", "\x00" * 5000),
        ("é" * 3000, "x" * 9000),
    ],
)
async def test_what_is_wrong_is_told_in_the_same_words(
    visitor: Visitor, name: str, password: str
) -> None:
    await add(visitor)
    refused = await enter(visitor, name, password)
    assert refused.status_code == 401
    assert "the name or the password is wrong" in visitor.page.shown
    assert "headway_session" not in visitor.client.cookies


async def test_an_unknown_name_costs_a_hash_too(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(visitor)
    checked: list[str] = []
    hasher = visitor.plane.people._passwords._hasher
    genuine = type(hasher).verify

    def verify(self, hashed, password):
        checked.append(hashed)
        return genuine(self, hashed, password)

    monkeypatch.setattr(type(hasher), "verify", verify)
    await enter(visitor, "nobody")
    await enter(visitor, "alice", "wrong horse battery")
    assert len(checked) == 2
    assert checked[0].split("$")[:4] == checked[1].split("$")[:4]


async def test_an_old_hash_is_made_anew_at_the_next_sign_in(visitor: Visitor) -> None:
    await add(visitor)
    before = visitor.plane.callers.user("alice")
    stronger = Parameters(**{**vars_of(CHEAPEST), "time_cost": 2})
    visitor.plane.people._passwords = Passwords(stronger)
    assert (await enter(visitor)).status_code == 303
    after = visitor.plane.callers.user("alice")
    assert before and after and before.password != after.password
    assert "t=2" in after.password
    kept = await visitor.plane.database.read(lambda c: users.find(c, "alice"))
    assert kept and kept.password == after.password
    assert (await enter(visitor)).status_code == 303


def vars_of(parameters: Parameters) -> dict:
    return {name: getattr(parameters, name) for name in parameters.__slots__}


async def test_guessing_has_to_wait(visitor: Visitor, clock: Clock) -> None:
    await add(visitor)
    for _ in range(BY_NAME.burst):
        assert (await enter(visitor, password="wrong horse battery")).status_code == 401
    refused = await enter(visitor)
    assert refused.status_code == 429, "even the right one"
    assert refused.headers["retry-after"] == "60"
    assert "too many attempts to sign in have failed" in visitor.page.shown
    await enter(visitor)
    (burst,) = await told(visitor, "sign-in")
    assert burst == (
        "too many attempts to sign in as alice have failed, from 127.0.0.1; more must wait"
    )
    clock.now += 60
    assert (await enter(visitor)).status_code == 303


async def test_whoever_guesses_locks_nobody_out(visitor: Visitor) -> None:
    await add(visitor)
    await add(visitor, "bob")
    assert (await enter(visitor)).status_code == 303
    mark = visitor.client.cookies["headway_browser"]
    visitor.client.cookies.clear()
    for number in range(BY_ADDRESS.burst):
        await enter(visitor, f"name{number}")
    assert (await enter(visitor, "bob")).status_code == 429
    token = await visitor.sign_in(Role.VIEWER, "by-token")
    assert token.status_code == 303, "a token cannot be guessed, and always opens"
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_browser"] = mark
    assert (await enter(visitor)).status_code == 303, "a browser that was here before"
    assert (await enter(visitor, "bob")).status_code == 429, "but under its own name only"


async def test_a_browser_that_was_here_before_cannot_guess_for_ever_either(
    visitor: Visitor,
) -> None:
    await add(visitor)
    await enter(visitor)
    for _ in range(BY_BROWSER.burst):
        assert (await enter(visitor, password="wrong horse battery")).status_code == 401
    assert (await enter(visitor)).status_code == 429


async def test_a_page_that_is_asked_for_too_often_says_when_to_come_back(
    visitor: Visitor, clock: Clock
) -> None:
    limits = LimitSettings(addresses=Rate(0.1, 1))
    visitor.app.state.turnstile = Turnstile(limits, clock)
    assert (await visitor.get("/sign-in")).status_code == 200
    refused = await visitor.get("/sign-in")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert "too many requests from this address" in visitor.page.shown


async def test_a_password_typed_as_a_name_is_not_told(visitor: Visitor) -> None:
    await add(visitor)
    for _ in range(BY_NAME.burst + 1):
        await enter(visitor, "my secret password", "alice")
    entries = await told(visitor, "sign-in")
    assert len(entries) == 1
    assert "under a name that nobody has" in entries[0]
    assert "secret" not in entries[0]


async def test_signing_in_again_makes_a_new_session(visitor: Visitor, herd: Herd) -> None:
    await add(visitor)
    await enter(visitor)
    first = visitor.client.cookies["headway_session"]
    await enter(visitor)
    assert visitor.client.cookies["headway_session"] != first
    visitor.client.cookies.clear()
    visitor.client.cookies["headway_session"] = first
    assert (await visitor.get("/apps/web")).status_code == 303, "the old one has ended"


async def test_nobody_can_be_given_a_session_to_sign_in_to(visitor: Visitor) -> None:
    await add(visitor)
    await visitor.get("/sign-in")
    visitor.client.cookies["headway_session"] = "chosen-by-somebody-else"
    entered = await visitor.submit("/sign-in", name="alice", password=PASSWORD)
    assert entered.status_code == 303
    assert "headway_session=chosen" not in str(entered.headers)
    held = await visitor.plane.database.read(sessions.every)
    assert [one.name for one in held] == ["alice"]


async def test_a_change_of_role_counts_in_an_open_session(visitor: Visitor, herd: Herd) -> None:
    await add(visitor, role=Role.DEPLOYER)
    await enter(visitor)
    await visitor.get("/apps/web")
    csrf = visitor.page.field("csrf")
    await visitor.plane.people.set_role("alice", Role.VIEWER, "root")
    path = "/apps/web/rollouts/web-1/advance"
    assert (await visitor.post(path, csrf=csrf, seen="1-waiting")).status_code == 403
    await visitor.get("/apps/web")
    assert "alice viewer" in visitor.page.shown
    assert (await told(visitor, "user"))[-1] == "root makes alice a viewer, not a deployer"


async def test_who_is_removed_is_out(visitor: Visitor, herd: Herd) -> None:
    await add(visitor)
    await enter(visitor)
    await visitor.plane.people.remove("alice", "root")
    assert (await visitor.get("/apps/web")).status_code == 303
    assert await visitor.plane.database.read(sessions.every) == ()
    await add(visitor)
    assert (await visitor.get("/apps/web")).status_code == 303, "another alice is somebody else"
    assert (await enter(visitor)).status_code == 303


async def first_frame(stream) -> bytes:
    while not (frame := await anext(stream)).startswith(b"event:"):
        pass
    return frame


@pytest.mark.parametrize("how", ["role", "removal", "sign-out", "password"])
async def test_an_open_stream_ends_with_what_it_stands_on(
    visitor: Visitor, herd: Herd, how: str
) -> None:
    await add(visitor, role=Role.DEPLOYER)
    await enter(visitor)
    plane = visitor.plane
    secret = visitor.client.cookies["headway_session"]
    held = plane.sessions.find(secret)
    assert held is not None
    caller = plane.callers.person("alice")
    site = visitor.site
    stream = site.live(Asking(secret), caller, "web")
    await first_frame(stream)
    match how:
        case "role":
            await plane.people.set_role("alice", Role.VIEWER, "root")
        case "removal":
            await plane.people.remove("alice", "root")
        case "sign-out":
            await plane.people.sign_out_everywhere("alice", "", "root")
        case "password":
            await plane.people.set_password("alice", PASSWORD + "!", "root")
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


class Asking:
    """The request of a stream, as the door reads it."""

    def __init__(self, secret: str) -> None:
        from litestar.datastructures import Headers
        from litestar.datastructures.url import URL

        self.cookies = {"headway_session": secret}
        self.headers = Headers({"host": "headway.test"})
        self.url = URL("http://headway.test/apps/web/live")


async def test_to_look_at_an_open_page_is_no_use_of_the_session(
    visitor: Visitor, herd: Herd, clock: Clock
) -> None:
    await add(visitor)
    await enter(visitor)
    secret = visitor.client.cookies["headway_session"]
    caller = visitor.plane.callers.person("alice")
    clock.now += visitor.plane.sessions.limits.idle - 1
    assert visitor.site.door.still(Asking(secret), caller)
    clock.now += 1
    assert not visitor.site.door.still(Asking(secret), caller)


async def test_sessions_and_their_forms_outlive_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with visiting(make_plane(tmp_path, MemorySignals(), clock)) as before:
        await add(before)
        await enter(before)
        await before.get("/account")
        clock.now += 3600
        assert (await before.get("/account")).status_code == 200
        secret = before.client.cookies["headway_session"]
        csrf = before.page.field("csrf")
        held = await before.plane.database.read(sessions.every)
        assert secret not in str(held)
    async with visiting(make_plane(tmp_path, MemorySignals(), clock)) as after:
        after.client.cookies["headway_session"] = secret
        assert (await after.get("/account")).status_code == 200
        (kept,) = await after.plane.database.read(sessions.every)
        assert kept.seen_at == clock.now, "what was in use was written down at the end"
        left = await after.post("/sign-out", csrf=csrf)
        assert left.headers["location"] == "/sign-in"
        assert await after.plane.database.read(sessions.every) == ()


async def test_sessions_that_are_over_are_struck_out(tmp_path: Path, clock: Clock) -> None:
    async with visiting(make_plane(tmp_path, MemorySignals(), clock)) as before:
        await add(before)
        await enter(before)
    clock.now += 13 * 3600
    async with visiting(make_plane(tmp_path, MemorySignals(), clock)) as after:
        assert await after.plane.database.read(sessions.every) == ()


async def test_the_account_lists_ones_sessions_and_ends_them(
    visitor: Visitor, clock: Clock
) -> None:
    await add(visitor)
    await add(visitor, "bob")
    visitor.client.headers["user-agent"] = "Phone <b>7</b>"
    await enter(visitor)
    phone = visitor.client.cookies["headway_session"]
    visitor.client.cookies.clear()
    await enter(visitor, "bob")
    visitor.client.cookies.clear()
    visitor.client.headers["user-agent"] = "Desk"
    clock.now += 60
    await enter(visitor)
    await visitor.get("/account")
    assert "Phone <b>7</b>" in visitor.page.shown
    assert "This browser" in visitor.page.shown
    (end,) = [f["action"] for f in visitor.page.all("form") if f["action"].endswith("/end")]
    assert (await visitor.submit(end)).headers["location"] == "/account"
    assert visitor.plane.sessions.find(phone) is None
    bobs = visitor.plane.sessions.of("bob", "")[0]
    await visitor.get("/account")
    foreign = await visitor.submit(f"/account/sessions/{bobs.id}/end")
    assert foreign.status_code == 404
    assert visitor.plane.sessions.of("bob", "")


async def test_out_everywhere_is_out_everywhere(visitor: Visitor) -> None:
    await add(visitor)
    for _ in range(3):
        visitor.client.cookies.clear()
        await enter(visitor)
    await visitor.get("/account")
    left = await visitor.submit("/account/sign-out")
    assert left.headers["location"] == "/sign-in"
    assert visitor.plane.sessions.of("alice", "") == ()
    assert "alice signs alice out everywhere, in 3 sessions" in await told(visitor, "user")


async def test_one_changes_ones_own_password(visitor: Visitor) -> None:
    await add(visitor)
    await enter(visitor)
    other = visitor.client.cookies["headway_session"]
    visitor.client.cookies.clear()
    await enter(visitor)
    await visitor.get("/account")
    for old, new, again, status in (
        (PASSWORD, "another password", "mistyped password", 400),
        (PASSWORD, "short", "short", 400),
        ("wrong horse battery", "another password", "another password", 401),
    ):
        refused = await visitor.submit("/account/password", old=old, new=new, again=again)
        assert refused.status_code == status
    new = "another password"
    changed = await visitor.submit("/account/password", old=PASSWORD, new=new, again=new)
    assert changed.headers["location"] == "/account"
    assert (await visitor.get("/account")).status_code == 200, "this session stays"
    assert visitor.plane.sessions.find(other) is None
    visitor.client.cookies.clear()
    assert (await enter(visitor)).status_code == 401
    assert (await enter(visitor, password=new)).status_code == 303


async def test_nobody_has_sessions_without_end(visitor: Visitor, clock: Clock) -> None:
    await add(visitor)
    for _ in range(23):
        visitor.client.cookies.clear()
        clock.now += 1
        await enter(visitor)
    assert len(visitor.plane.sessions.of("alice", "")) == 20
    assert len(await visitor.plane.database.read(sessions.every)) == 20


async def test_a_token_that_bears_the_name_does_no_more_than_its_role(
    visitor: Visitor, herd: Herd
) -> None:
    await add(visitor, role=Role.ADMIN)
    await visitor.sign_in(Role.VIEWER, "alice")
    await visitor.get("/apps/web")
    assert "alice viewer" in visitor.page.shown


async def test_a_user_changed_meanwhile_does_not_come_in(visitor: Visitor) -> None:
    await add(visitor)
    user = visitor.plane.callers.user("alice")
    assert user is not None
    stale = replace(user, password="something older")
    visitor.plane.callers.welcome(stale)
    with pytest.raises(Exception, match="wrong"):
        await visitor.plane.people._open(stale, "late", visitor_of())


def visitor_of():
    from headway.server.auth.sessions import Visitor as Where

    return Where()


PAGES = st.from_regex(r"/[a-z0-9._~/?=&%:@\\#;-]{0,40}", fullmatch=True)


@given(st.one_of(st.text(), PAGES))
@example("//evil.example")
@example("/\\evil.example")
@example("/..//evil.example")
@example("/./..")
@example("https://evil.example")
@example("/%2f%2fevil.example")
@example("/apps/web\r\nSet-Cookie: x=y")
@example("/sign-out")
@example("/v1/events")
@example("/?next=//evil")
def test_next_is_a_page_of_this_site_or_its_start(path: str) -> None:
    from urllib.parse import urljoin, urlsplit

    led = ours(path)
    base = "https://headway.example"
    whole = urlsplit(urljoin(base + "/sign-in", led))
    assert (whole.scheme, whole.netloc) == ("https", "headway.example")
    assert led.startswith("/") and not led.startswith(("//", "/\\"))
    assert led.isascii() and led.isprintable() and "\\" not in led
    assert whole.path.split("/")[1] not in {"v1", "schema", "assets", "sign-in", "sign-out"}
    assert ours(led) == led
    assert led in ("/", path)


@given(st.text(), st.text())
def test_the_way_to_the_door_is_on_this_site(path: str, query: str) -> None:
    way = door(path, query)
    assert way == "/sign-in" or way.startswith("/sign-in?next=/")
    assert way.isascii() and way.isprintable()


@pytest.mark.parametrize(
    "path", ["/", "/apps/web", "/apps/web/guard/web-1", "/history?app=web&by=alice", "/account"]
)
def test_deep_links_survive_the_door(path: str) -> None:
    assert ours(path) == path
