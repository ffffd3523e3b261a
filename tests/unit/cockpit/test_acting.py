import asyncio
from collections.abc import AsyncIterator

import pytest

from headway.model.access import Role
from headway.model.picture import NodeMap
from headway.model.rollout import Phase
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.live import Broadcast, Picture, frame
from headway.server.database import apps, rollouts
from headway.server.news import News
from headway.signals.frames import HEARTBEAT
from tests.unit.cockpit.conftest import Visitor, deploy
from tests.unit.server.herd import NEW, OLD, Herd

pytestmark = pytest.mark.anyio


async def phase(herd: Herd, rollout: str) -> Phase:
    state = await herd.plane.database.read(lambda c: rollouts.get(c, rollout))
    assert state is not None
    return state.phase


async def test_the_start_leads_to_the_only_app(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    assert (await visitor.get("/")).headers["location"] == "/apps/web"


async def test_the_start_lists_apps_and_says_how_to_make_the_first(visitor: Visitor) -> None:
    await visitor.sign_in(Role.VIEWER)
    assert (await visitor.get("/")).status_code == 200
    assert "headway app apply FILE" in visitor.page.shown


async def test_two_apps_are_told_apart(visitor: Visitor, herd: Herd) -> None:
    known = (await visitor.plane.engine.situation("web")).config
    other = type(known)(name="api")
    await visitor.plane.database.write(lambda c: apps.put(c, other, 1.0))
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/")
    links = {link["href"] for link in visitor.page.all("a")}
    assert {"/apps/web", "/apps/api"} <= links


async def test_an_app_that_is_not_there(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    assert (await visitor.get("/apps/%3Cscript%3E")).status_code == 404
    assert "there is no app <script>" in visitor.page.shown


async def test_a_person_presses_next_and_the_journal_names_them(
    visitor: Visitor, herd: Herd
) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get("/apps/web")
    assert "alice deploys" in visitor.page.shown
    pressed = await visitor.press("advance")
    assert (pressed.status_code, pressed.headers["location"]) == (303, "/apps/web")
    await herd.settle()
    assert await phase(herd, rollout) is Phase.SUCCEEDED
    await visitor.get("/apps/web")
    assert "bela begins production 50 %" in visitor.page.shown


async def test_a_stale_button_does_not_fire_and_says_so(visitor: Visitor, herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    seen = visitor.page
    assert (await visitor.press("advance")).status_code == 303
    await herd.settle()
    assert await phase(herd, rollout) is Phase.SUCCEEDED
    visitor.page = seen
    stale = await visitor.press("advance")
    assert stale.status_code == 412
    assert "has moved on since you looked" in visitor.page.shown
    assert "Live everywhere" in visitor.page.shown, "the answer shows how things are now"


async def test_a_button_without_its_standing_does_not_fire(visitor: Visitor, herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    for seen in ("", "-1", "one", "9" * 30):
        await visitor.get("/apps/web")
        path = visitor.page.buttons()["advance"]["formaction"]
        assert (await visitor.submit(path, seen=seen)).status_code == 400, seen
    assert await phase(herd, rollout) is Phase.WAITING


async def test_what_hurts_needs_a_reason(visitor: Visitor, herd: Herd) -> None:
    await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    assert "revert" not in visitor.page.buttons(), "there is nothing to go back to yet"
    await visitor.press("advance")
    await herd.settle()
    rollout = await deploy(herd, NEW)
    await visitor.get("/apps/web")
    assert (await visitor.press("revert", reason=" ")).status_code == 400
    assert "say why" in visitor.page.shown
    assert await phase(herd, rollout) is Phase.WAITING
    assert (await visitor.press("revert", reason="checkout is <b>slow</b>")).status_code == 303
    await herd.settle()
    assert await phase(herd, rollout) is Phase.REVERTED
    await visitor.get("/apps/web")
    assert "checkout is <b>slow</b>" in visitor.page.shown


async def test_viewers_see_no_button_and_press_none(visitor: Visitor, herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/apps/web")
    assert visitor.page.buttons() == {}
    refused = await visitor.submit(f"/apps/web/rollouts/{rollout}/advance", seen="1-waiting")
    assert refused.status_code == 403
    assert await phase(herd, rollout) is Phase.WAITING


async def test_an_action_that_is_none(visitor: Visitor, herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    seen = visitor.page.buttons()["advance"]["value"]
    answer = await visitor.submit(f"/apps/web/rollouts/{rollout}/explode", seen=seen)
    assert answer.status_code == 404


class Renderings:
    """A page that says how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.word = "one"

    def broadcast(self, news: News) -> Broadcast:
        return Broadcast("web", news, self.gather, self.draw)

    async def gather(self) -> Facts:
        return Facts("web", 1.0, begun=self.word)

    def draw(self, facts: Facts) -> Picture:
        self.made += 1
        return Picture({"banner": facts.begun, "journal": "the same"}, NodeMap("here", "AAA"))


async def first(viewer: AsyncIterator[bytes]) -> bytes:
    """What a viewer is shown before anything changes."""
    while (frames := await anext(viewer)) == HEARTBEAT:
        pass
    return frames


async def test_all_viewers_share_one_rendering_and_get_only_what_changed() -> None:
    news, renderings = News(), Renderings()
    broadcast = renderings.broadcast(news)
    viewers = [broadcast.follow() for _ in range(20)]
    for viewer in viewers:
        shown = await first(viewer)
        assert frame("banner", "one") + frame("journal", "the same") in shown
        assert b"event: map\n" in shown
    made = renderings.made
    renderings.word = "two"
    news.fleet_moved("web")
    for viewer in viewers:
        assert await first(viewer) == frame("banner", "two")
    assert renderings.made <= made + 2, "once, and perhaps once by the clock"
    for viewer in viewers:
        await viewer.aclose()


async def test_a_slow_viewer_skips_to_the_newest() -> None:
    news, renderings = News(), Renderings()
    broadcast = renderings.broadcast(news)
    slow, quick = broadcast.follow(), broadcast.follow()
    for viewer in (slow, quick):
        await first(viewer)
    for word in ("two", "three"):
        renderings.word = word
        news.fleet_moved("web")
        assert await first(quick) == frame("banner", word)
    assert await first(slow) == frame("banner", "three")
    await slow.aclose()
    await quick.aclose()


async def test_streams_end_with_the_control_plane_and_nothing_is_left_running() -> None:
    news = News()
    broadcast = Renderings().broadcast(news)
    viewer = broadcast.follow()
    await first(viewer)
    news.close()
    async with asyncio.timeout(10):
        assert {part async for part in viewer} <= {HEARTBEAT}
    assert renderers() == []


def renderers() -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("Broadcast.")]


async def test_nothing_is_rendered_for_nobody() -> None:
    news = News()
    broadcast = Renderings().broadcast(news)
    viewer = broadcast.follow()
    await anext(viewer)
    assert renderers()
    await viewer.aclose()
    async with asyncio.timeout(10):
        while renderers():
            await asyncio.sleep(0)


async def test_the_map_says_which_node_is_where_and_why_it_is_so(
    visitor: Visitor, herd: Herd
) -> None:
    await visitor.sign_in(Role.VIEWER)
    places = (await visitor.get("/apps/web/map")).json()
    assert [node for tier in places["tiers"] for node in tier["nodes"]] == ["s1", "p1", "p2", "p3"]
    label = (await visitor.get("/apps/web/map/p2")).json()["label"]
    assert label.startswith("p2 · ")
    assert (await visitor.get("/apps/web/map/p9")).status_code == 404
    assert (await visitor.get("/apps/nope/map")).status_code == 404


async def test_the_graphs_have_a_line_for_a_deploy(visitor: Visitor, herd: Herd) -> None:
    rollout = await deploy(herd, OLD)
    await visitor.sign_in(Role.VIEWER)
    graphs = (await visitor.get("/apps/web/graphs")).json()
    assert [(line["kind"], line["rollout"]) for line in graphs["lines"]] == [("deploy", rollout)]


async def test_a_person_gets_into_the_train_and_everybody_sees_it(
    visitor: Visitor, herd: Herd
) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    answer = await visitor.submit("/apps/web/train", say="join", reason="the search; .kick bob")
    assert answer.status_code == 303
    await visitor.get("/apps/web")
    assert "alice" in visitor.page.shown
    train = (await visitor.plane.chat.view("web")).train
    assert train.riders["alice"].message == "the search; .kick bob"


async def test_what_stops_the_train_needs_a_reason(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    for say in ("hold", "uhoh"):
        answer = await visitor.submit("/apps/web/train", say=say, reason=" ")
        assert answer.status_code == 400
    assert (await visitor.plane.chat.view("web")).train.holds == ()
    assert (await visitor.submit("/apps/web/train", say="explode")).status_code == 400


async def test_viewers_say_nothing_to_the_train(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/apps/web")
    assert (await visitor.submit("/apps/web/train", say="join")).status_code == 403


async def test_the_newest_build_is_offered_and_deployed_once(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    newest, button = visitor.page.field("build"), visitor.page.buttons()["deploy"]
    seen = {"build": newest, "latest": button["value"]}
    answer = await visitor.submit(button["formaction"], **seen)
    assert answer.status_code == 303
    latest = (await visitor.plane.engine.situation("web")).latest
    assert latest is not None and (latest.target, latest.by) == (newest, "alice")
    await visitor.get("/apps/web")
    assert (await visitor.submit(button["formaction"], **seen)).status_code == 412
    assert "since you looked" in visitor.page.shown


async def test_pages_come_compressed_and_streams_do_not(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.VIEWER)
    assert (await visitor.get("/apps/web")).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in (await visitor.client.get("/v1/health")).headers
