"""Every page beside that of an app's present state: what it shows, to whom, and whose words."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection

from headway.model.access import Role
from headway.server.database import apps
from headway.server.plane import ControlPlane
from tests.unit.cockpit.conftest import Visitor
from tests.unit.cockpit.samples import NOW
from tests.unit.cockpit.stocked import build, config, stock, stock_nodes
from tests.unit.cockpit.test_render import HOSTILE, shape
from tests.unit.server.conftest import Clock
from tests.unit.server.herd import Herd

pytestmark = pytest.mark.anyio

MANY = 18
STOCKED, EARLIER = build(MANY - 1, NOW).id, build(3, NOW).id
PATHS = (
    "history",
    "history?text=Search&person=ann&outcome=live&since=2026-01-01&until=2030-01-01",
    "history?outcome=running",
    "history?text=nothing+fits",
    "history/web-170",
    "history/web-40",
    f"history/web-{MANY * 10 + 10}",
    "nodes",
    "nodes?mark=drift",
    "nodes?text=nobody",
    "nodes/prod-01",
    "nodes/prod-03",
    "nodes/prod-05",
    "nodes/prod-07",
    "nodes/prod-09",
    "releases",
    "releases?before=9",
    "releases/web-r8",
    "releases/web-r5",
    "releases/web-r9",
    "builds",
    f"builds/{STOCKED}",
    f"builds/{STOCKED}?since={EARLIER}",
    f"builds/{EARLIER}?since={STOCKED}",
    "holds",
    "schedule",
    "audit",
    "audit?person=ann&kind=start&text=Search&since=2026-01-01&until=2030-01-01",
    "settings",
    "statistics",
    "statistics?days=90",
)

LINES = ("nodes/prod-01", PATHS[1], f"history/web-{MANY * 10 + 10}", "audit", "settings")
"""Pages whose shape follows the text, or what the engine has to say meanwhile."""


async def filled(plane: ControlPlane, clock: Clock, text: str = "") -> None:
    """The plane with an app that has a past."""
    clock.now = NOW
    await plane.database.write(lambda c: stock(c, NOW, text, MANY))
    await plane.roster.load()
    await plane.desk.load()


@pytest.fixture
async def stocked(visitor: Visitor, clock: Clock) -> AsyncIterator[Visitor]:
    await filled(visitor.plane, clock)
    yield visitor


TAME: dict[str, list[str]] = {}
"""The shape of each page where nobody means harm."""


async def shapes(visitor: Visitor) -> dict[str, list[str]]:
    found = {}
    for path in PATHS:
        answer = await visitor.get(f"/apps/web/{path}")
        assert answer.status_code == 200, (path, visitor.page.shown)
        assert "<script>alert" not in answer.text, path
        assert "<img" not in answer.text, path
        bad = {c for c in visitor.page.shown if "\u202a" <= c <= "\u202e" or c in "\x1b\x00"}
        assert not bad, path
        found[path] = shape(visitor.page)
    return found


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
async def test_every_page_is_well_formed_and_its_links_lead_somewhere(
    stocked: Visitor, role: Role
) -> None:
    await stocked.sign_in(role)
    known: set[str] = set()
    for path in PATHS:
        assert (await stocked.get(f"/apps/web/{path}")).status_code == 200, path
        known |= {link["href"] for link in stocked.page.all("a")}
        forms = [form for form in stocked.page.all("form") if form["method"] == "post"]
        assert role is not Role.VIEWER or len(forms) == 1, f"{path}: only to sign out"
    for link in sorted(href for href in known if href.startswith("/apps/web/")):
        assert (await stocked.get(link)).status_code == 200, link


async def test_an_app_without_a_past_has_all_its_pages(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    for path in PATHS:
        page, _, one = path.partition("?")[0].partition("/")
        answer = await visitor.get(f"/apps/web/{page}")
        assert answer.status_code == 200, (path, visitor.page.shown)
        if one and one not in ("queue", "export"):
            assert (await visitor.get(f"/apps/web/{path}")).status_code == 404, path
    assert (await visitor.get("/apps/nowhere/history")).status_code == 404


@pytest.mark.parametrize("text", ["tame", *HOSTILE], ids=range(len(HOSTILE) + 1))
async def test_hostile_words_are_shown_and_change_nothing_else(
    visitor: Visitor, clock: Clock, text: str
) -> None:
    await filled(visitor.plane, clock, text)
    await visitor.sign_in(Role.ADMIN)
    found = await shapes(visitor)
    if text == "tame":
        TAME.update(found)
    for path, tame in TAME.items():
        if path not in LINES:
            assert found[path] == tame, path


async def test_what_is_typed_into_a_filter_comes_back_and_harms_nothing(stocked: Visitor) -> None:
    await stocked.sign_in(Role.VIEWER)
    for text in HOSTILE:
        for path in ("history", "nodes", "audit"):
            answer = await stocked.client.get(f"/apps/web/{path}", params={"text": text})
            assert answer.status_code == 200
            stocked._arrived(answer)


@pytest.mark.parametrize("bad", ["since=yesterday", "until=2026-13-01", "before=-1", "before=x"])
async def test_a_filter_that_is_none_is_told(stocked: Visitor, bad: str) -> None:
    await stocked.sign_in(Role.VIEWER)
    assert (await stocked.get(f"/apps/web/history?{bad}")).status_code == 400


async def test_ten_thousand_nodes_come_a_page_at_a_time(visitor: Visitor, clock: Clock) -> None:
    clock.now = NOW

    def write(connection: Connection) -> None:
        apps.put(connection, config(), NOW)
        stock_nodes(connection, NOW, None, scale=420)

    await visitor.plane.database.write(write)
    await visitor.plane.roster.load()
    await visitor.plane.desk.load()
    await visitor.sign_in(Role.VIEWER)
    names, path, pages = [], "/apps/web/nodes?tier=canary", 0
    while path:
        answer = await visitor.get(path)
        assert len(answer.content) < 150_000
        rows = [link["href"] for link in visitor.page.all("a") if "/nodes/" in link["href"]]
        names += rows
        assert len(rows) <= 100
        further = [link["href"] for link in visitor.page.all("a") if "after=" in link["href"]]
        path, pages = (further[0] if further else ""), pages + 1
    assert len(names) == len(set(names)) == 840
    assert pages == 9
    await visitor.get("/apps/web/nodes")
    assert "10,080 nodes" in visitor.page.shown
    assert "8,400" in visitor.page.shown
