"""Long lists, a page at a time: whole, in order, bounded, and the same while things come and go."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from headway.errors import InvalidInput
from headway.model.access import Role
from headway.model.announcement import Occasion
from headway.model.build import Build
from headway.model.hold import Hold, Scope
from headway.model.plan import DEFAULT_PLAN, AppConfig
from headway.model.report import Enrolment
from headway.model.rollout import Phase, Rollout
from headway.server.api.pages import place
from headway.server.auth.callers import fingerprint
from headway.server.database import (
    announcements,
    apps,
    builds,
    holds,
    journal,
    rollouts,
    tokens,
    users,
)
from headway.server.database.tokens import Token
from headway.server.database.users import User
from headway.server.plane import ControlPlane
from tests.unit.server.conftest import Web

pytestmark = pytest.mark.anyio

V, A = Role.VIEWER, Role.ADMIN
NUMBER = 25


def digest(number: int) -> str:
    return f"{number:064x}"


def rollout(number: int) -> Rollout:
    return Rollout(
        f"web-{number}", "web", None, digest(1), DEFAULT_PLAN, "alice", 1.0, Phase.SUCCEEDED,
        0, 1.0, 1.0, number, 1, {}, "",
    )  # fmt: skip


async def add_builds(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        build = Build(digest(n), "web", "c0ffee", 1.0, "ci", 1, 1, 1)
        await plane.database.write(lambda c, b=build: builds.add(c, b, 1.0))


async def add_rollouts(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        await plane.database.write(lambda c, n=n: rollouts.put(c, rollout(n)))


async def add_tokens(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        token = Token(f"user-{n:03}", Role.VIEWER, fingerprint(f"{n}"), 1.0)
        await plane.database.write(lambda c, t=token: tokens.add(c, t))


async def add_users(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        user = User(f"user-{n:03}", Role.VIEWER, 1.0)
        await plane.database.write(lambda c, u=user: users.add(c, u))


async def add_holds(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        hold = Hold(f"h{n:03}", Scope.APP, "web", "bob", "x", float(n // 3))
        await plane.database.write(lambda c, h=hold: holds.add(c, h))


async def add_nodes(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        tier = "canary" if n % 5 == 0 else "production"
        await plane.roster.enrol(Enrolment(f"node-{n:03}", "z", {"web": tier}))


async def add_entries(plane: ControlPlane, numbers: range) -> None:
    for n in numbers:
        await plane.database.write(
            lambda c, n=n: journal.append(c, at=1.0, app="web", actor="a", kind="k", why=f"{n}")
        )


LISTS: dict[str, tuple[Callable[[ControlPlane, range], Awaitable[None]], str, bool]] = {
    "/v1/apps/web/builds": (add_builds, "id", True),
    "/v1/apps/web/rollouts": (add_rollouts, "id", True),
    "/v1/tokens": (add_tokens, "name", False),
    "/v1/holds": (add_holds, "id", False),
    "/v1/nodes": (add_nodes, "node", False),
    "/v1/users": (add_users, "name", False),
}
"""Each list: what fills it, what tells its items apart, and whether the newest comes first."""


@pytest.fixture
async def web(web: Web) -> Web:
    await web.plane.database.write(lambda c: apps.put(c, AppConfig("web"), 1.0))
    return web


async def read(web: Web, address: str, most: int = 1000) -> list[list[dict[str, Any]]]:
    """Every page from an address on."""
    found = []
    while address and len(found) < most:
        answer = await web(A, "GET", address)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        link = answer.headers.get("Link", "")
        address = link.partition("<")[2].partition(">")[0]
        assert not link or link.endswith('; rel="next"')
    return found


@pytest.mark.parametrize("path", LISTS)
async def test_pages_together_are_the_list(web: Web, path: str) -> None:
    fill, key, newest_first = LISTS[path]
    await fill(web.plane, range(1, NUMBER + 1))
    (whole,) = await read(web, f"{path}?limit=1000")
    pages = await read(web, f"{path}?limit=7")
    assert [item for page in pages for item in page] == whole
    assert all(len(page) == 7 for page in pages[:-1])
    assert 0 < len(pages[-1]) <= 7
    names = [item[key] for item in whole]
    assert len(set(names)) == len(names) >= NUMBER
    if path != "/v1/holds":
        assert (names == sorted(names, reverse=newest_first)) or path == "/v1/apps/web/rollouts"


@pytest.mark.parametrize("path", LISTS)
async def test_what_comes_meanwhile_repeats_and_skips_nothing(web: Web, path: str) -> None:
    fill, key, _ = LISTS[path]
    await fill(web.plane, range(1, NUMBER + 1))
    (whole,) = await read(web, f"{path}?limit=1000")
    first = await web(A, "GET", f"{path}?limit=7")
    await fill(web.plane, range(NUMBER + 1, NUMBER + 6))
    link = first.headers["Link"].partition("<")[2].partition(">")[0]
    rest = [item for page in await read(web, link) for item in page]
    seen = [item[key] for item in [*first.json(), *rest]]
    assert len(set(seen)) == len(seen)
    before = {item[key] for item in whole}
    assert before <= set(seen)


async def test_positions_instead_of_names_would_be_found(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbered = builds.numbered

    def positioned(
        connection: Connection, app: str, limit: int, before: int | None = None
    ) -> tuple[tuple[int, Build], ...]:
        begin = before or 0
        found = numbered(connection, app, begin + limit)[begin:]
        return tuple((begin + place, one) for place, (_, one) in enumerate(found, 1))

    monkeypatch.setattr(builds, "numbered", positioned)
    with pytest.raises(AssertionError):
        await test_what_comes_meanwhile_repeats_and_skips_nothing(web, "/v1/apps/web/builds")


async def test_what_goes_meanwhile_does_not_matter(web: Web) -> None:
    await add_tokens(web.plane, range(1, NUMBER + 1))
    first = await web(A, "GET", "/v1/tokens?limit=10")
    last = first.json()[-1]["name"]
    await web.plane.database.write(lambda c: tokens.revoke(c, last))
    link = first.headers["Link"].partition("<")[2].partition(">")[0]
    assert (await web(A, "GET", link)).json()[0]["name"] > last


async def test_a_filter_goes_on_to_the_next_page(web: Web) -> None:
    await add_nodes(web.plane, range(100))
    pages = await read(web, "/v1/nodes?app=web&tier=canary&limit=6")
    assert [len(page) for page in pages] == [6, 6, 6, 2]
    assert {item["tier"] for page in pages for item in page} == {"canary"}
    unknown = await read(web, "/v1/nodes?state=unknown&limit=50")
    assert [len(page) for page in unknown] == [50, 50]
    assert await read(web, "/v1/nodes?state=failed") == [[]]


async def test_the_journal_is_read_on_and_back(web: Web) -> None:
    await add_entries(web.plane, range(NUMBER))
    on = await read(web, "/v1/journal?after=0&limit=10&told=true")
    numbers = [item["seq"] for page in on for item in page]
    assert numbers == sorted(numbers)
    assert len(numbers) >= NUMBER
    newest = await web(V, "GET", "/v1/journal?limit=10")
    assert [item["seq"] for item in newest.json()] == numbers[-10:]
    back = newest.headers["Link"]
    assert back.endswith('; rel="prev"')
    earlier = await web(V, "GET", back.partition("<")[2].partition(">")[0])
    assert [item["seq"] for item in earlier.json()] == numbers[-20:-10]


async def test_what_has_not_arrived_is_paged_too(web: Web) -> None:
    def announce(connection: Connection) -> None:
        announcements.add(connection, at=1.0, occasion=Occasion.ALERT, app="web", sentence="x")
        (made,) = announcements.fresh(connection)
        announcements.spread(connection, made, [f"place {n}" for n in range(5)], 1e12)

    await web.plane.database.write(announce)
    pages = await read(web, "/v1/announcements?limit=2")
    assert [len(page) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize("path", [*LISTS, "/v1/announcements", "/v1/apps/web/releases"])
@pytest.mark.parametrize("cursor", ["x", "%00", "W10=", "é", "LTFlNDAw"])
async def test_a_cursor_of_ones_own_making_is_refused(web: Web, path: str, cursor: str) -> None:
    answer = await web(A, "GET", path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "all"])
async def test_a_page_is_bounded(web: Web, limit: str) -> None:
    assert (await web(A, "GET", f"/v1/nodes?limit={limit}")).status_code == 400


def test_no_cursor_is_the_beginning() -> None:
    assert place(None, int) is None
    with pytest.raises(InvalidInput, match="begin without one"):
        place("", int)
