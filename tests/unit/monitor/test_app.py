"""The monitor under a person's hands: keys, mouse, what is stale, what is lost."""

import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input

from headway.errors import Conflict, StaleView, Unreachable
from headway.model.access import Role
from headway.model.report import Activity
from headway.model.rollout import LIVE, Phase
from headway.monitor import app as monitor_app
from headway.monitor import node_screen
from headway.monitor.app import Ending, Monitor
from tests.unit.monitor.samples import HOSTILE, FakeClient, picture, status

PATIENCE = 20.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has just come up may be acted on at once, but where a test is about that."""
    monkeypatch.setattr(monitor_app, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(node_screen, "SETTLE_SECONDS", 0.01)


class Hands:
    """A person at the keys: waits for what they see."""

    def __init__(self, monitor: Monitor, pilot: Pilot[Any]) -> None:
        self.monitor, self.pilot = monitor, pilot

    @property
    def screen(self) -> str:
        strips = self.monitor.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)

    async def until(self, seen: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + PATIENCE
        while not seen(self.screen):
            assert time.monotonic() < deadline, self.screen
            await self.pilot.pause(0.02)
        return self.screen

    async def shows(self, text: str) -> str:
        return await self.until(lambda screen: text in screen)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def click(self, text: str) -> None:
        lines = (await self.shows(text)).splitlines()
        y = next(n for n, line in reversed(list(enumerate(lines))) if text in line)
        await self.pilot.click(offset=(lines[y].index(text), y))


@asynccontextmanager
async def watching(
    client: FakeClient, size: tuple[int, int] = (80, 24), role: Role = Role.DEPLOYER, **more: Any
) -> AsyncIterator[Hands]:
    apps = more.pop("apps", ("shop",))
    app = more.pop("app", "shop")
    monitor = Monitor(client, app, apps, role, quiet=0.2, **more)  # type: ignore[arg-type]
    async with monitor.run_test(size=size) as pilot:
        hands = Hands(monitor, pilot)
        if app is not None:
            await hands.until(lambda screen: "looking at" not in screen and "⏎ nodes" in screen)
        yield hands
        client.happenings.put(None)


def done(client: FakeClient) -> list[tuple[str, str, str | None]]:
    return [(action, request.reason, request.seen) for _, action, request in client.acted]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("nodes", [3, 10_000])
async def test_it_shows_the_picture_and_what_happens_then(
    nodes: int, size: tuple[int, int]
) -> None:
    client = FakeClient(picture(nodes, Phase.ROLLING))
    async with watching(client, size) as hands:
        assert f"Nodes {nodes:,}" in hands.screen
        client.show(picture(nodes, Phase.WAITING))
        assert "a advance" in await hands.shows("Green, waiting")


@pytest.mark.parametrize(
    ("phase", "key", "action"),
    [
        (Phase.WAITING, "a", "advance"),
        (Phase.ROLLING, "p", "pause"),
        (Phase.PAUSED, "R", "retry"),
    ],
)
async def test_a_key_acts_on_just_what_is_shown(phase: Phase, key: str, action: str) -> None:
    client = FakeClient(picture(phase=phase))
    async with watching(client) as hands:
        await hands.press(key)
        await hands.shows(f"{action}: done. {action} by you")
    assert client.acted[0][0] == "shop-41"
    assert done(client) == [(action, "", f"4-{phase}")]


async def test_keys_can_be_clicked() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.click("a advance")
        await hands.shows("advance: done")
        await hands.click("r revert")
        await hands.shows("Revert to 9c41d07be2a8?")
        await hands.press(*"bad")
        await hands.click("Enter: do it")
        await hands.shows("revert: done")
    assert [action for action, *_ in done(client)] == ["advance", "revert"]


async def test_a_revert_asks_for_a_reason_and_confirms() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press("r")
        await hands.shows("Revert to 9c41d07be2a8?")
        await hands.press("enter")
        await hands.shows("A reason first")
        await hands.press("escape")
        await hands.shows("revert: left alone")
        assert not client.acted
        await hands.press("r", *"bad", "space", *"graphs", "enter")
        await hands.shows("revert: done")
    assert done(client) == [("revert", "bad graphs", "4-waiting")]


async def test_accepting_failed_nodes_is_confirmed() -> None:
    client = FakeClient(picture(phase=Phase.PAUSED, failed=2))
    async with watching(client) as hands:
        await hands.press("A")
        await hands.shows("Resume, accept the failed nodes?")
        assert not client.acted
        await hands.press("enter")
        await hands.shows("resume: done")
    assert done(client) == [("resume", "", "4-paused")]


async def test_what_has_changed_under_the_finger_does_not_fire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor_app, "SETTLE_SECONDS", 60.0)
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press("a")
        await hands.shows("It has just become “Green, waiting production 25 %”")
        assert not client.acted
        await hands.press("p")
        await hands.shows("pause: done")
    assert [action for action, *_ in done(client)] == ["pause"]


async def test_a_stale_key_is_refused_and_the_new_state_shown() -> None:
    """Somebody else was faster: the server refuses, and the screen is right at once."""

    def stale(client: FakeClient, _: str) -> str:
        client.shown = picture(phase=Phase.REVERTING)
        raise StaleView("it is reverting by now; look again")

    client = FakeClient(picture(), on_act=stale)
    async with watching(client) as hands:
        await hands.press("a")
        await hands.shows("advance: not done. it is reverting by now; look again")
        await hands.shows("↺ Reverting")
        await hands.press("a")
        await hands.shows("Nothing to advance now: it stands at “Reverting")
    assert len(client.acted) == 1


async def test_a_dialog_lets_nothing_through_that_has_gone_meanwhile() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press("r", *"bad")
        client.show(picture(phase=Phase.REVERTING))
        await hands.shows("there is nothing to revert")
        await hands.press("enter")
        await hands.pilot.pause(0.1)
        assert "Revert to 9c41d07be2a8?" in hands.screen
        await hands.press("escape")
        await hands.shows("↺ Reverting")
    assert not client.acted


async def test_a_dialog_is_about_the_rollout_that_it_was_opened_for() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press("r", *"bad")
        other = picture()
        client.show(replace(other, actions=replace(other.actions, rollout="shop-42")))
        await hands.shows("there is nothing to revert")
        await hands.press("enter", "escape")
    assert not client.acted


async def test_an_action_is_asked_for_once() -> None:
    import threading

    go_on = threading.Event()
    client = FakeClient(picture(), on_act=lambda *_: go_on.wait(10) and "begins")
    async with watching(client) as hands:
        await hands.press("a")
        await hands.shows("advance: asked for")
        await hands.press("a")
        await hands.shows("advance is still being asked for")
        go_on.set()
        await hands.shows("advance: done. begins")
    assert len(client.acted) == 1


async def test_a_viewer_has_no_keys_that_act() -> None:
    client = FakeClient(picture())
    async with watching(client, role=Role.VIEWER) as hands:
        assert "a advance" not in hands.screen
        for key in "apr":
            await hands.press(key)
            await hands.shows("acting takes that of a deployer")
    assert not client.acted


async def test_a_lost_connection_is_told_with_its_age_and_holds_forward_keys_back() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        client.show(Unreachable("http://server cannot be reached"))
        await hands.shows("NOT LIVE, ")
        assert "http://server cannot be reached" in hands.screen
        assert "Green, waiting" in hands.screen, "what was known stays on the screen"
        await hands.press("a")
        await hands.shows("Nothing was sent")
        assert not client.acted
        await hands.press("p")
        await hands.shows("pause: done")
        client.show(picture(phase=Phase.PAUSED))
        await hands.until(lambda screen: "NOT LIVE" not in screen and "Paused" in screen)


async def test_a_quiet_app_is_not_asked_again_and_again() -> None:
    client = FakeClient(picture())
    monitor = Monitor(client, "shop", ("shop",), Role.VIEWER)  # type: ignore[arg-type]
    async with monitor.run_test() as pilot:
        await pilot.pause(1.5)
        looked = client.looked
        client.happenings.put(None)
    assert looked <= 3


async def test_a_storm_of_news_is_looked_at_four_times_a_second() -> None:
    client = FakeClient(picture(phase=Phase.ROLLING))
    async with watching(client) as hands:
        before = client.looked
        for _ in range(100):
            client.show(picture(phase=Phase.ROLLING))
            await hands.pilot.pause(0.01)
        assert client.looked - before <= 8


async def test_the_next_rollout_comes_up_by_itself() -> None:
    client = FakeClient(picture(phase=Phase.REVERTED))
    async with watching(client) as hands:
        await hands.shows("Reverted")
        await hands.shows("errors is 4.1 %")
        client.show(picture(phase=Phase.ROLLING))
        await hands.shows("Rolling out")


@pytest.mark.parametrize("phase", sorted(set(Phase) - LIVE - {Phase.ABORTED, Phase.SUPERSEDED}))
async def test_until_ended_follows_the_revert_and_ends_with_the_rollout(phase: Phase) -> None:
    client = FakeClient(picture(phase=Phase.WAITING))
    async with watching(client, rollout="shop-41") as hands:
        client.show(picture(phase=Phase.REVERTING))
        await hands.shows("Reverting")
        assert hands.monitor.is_running
        client.show(picture(phase=phase))
        await hands.until(lambda _: not hands.monitor.is_running)
    assert hands.monitor.return_value is Ending.ENDED


async def test_a_time_out_ends_it() -> None:
    client = FakeClient(picture())
    async with watching(client, rollout="shop-41", timeout=0.1) as hands:
        await hands.until(lambda _: not hands.monitor.is_running)
    assert hands.monitor.return_value is Ending.TIMED_OUT


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_leaving_is_one_key(key: str) -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press(key)
        await hands.until(lambda _: not hands.monitor.is_running)
    assert hands.monitor.return_value is Ending.LEFT
    assert not client.acted


async def test_one_of_several_apps_is_chosen() -> None:
    client = FakeClient(picture())
    async with watching(client, app=None, apps=("api", "shop")) as hands:
        await hands.shows("Which app?")
        await hands.press("down", "enter")
        await hands.until(lambda screen: screen.startswith(" shop  train"))
        await hands.press("o", "enter")
        await hands.until(lambda screen: screen.startswith(" api  train"))


async def test_the_help_has_every_key() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        await hands.press("question_mark")
        shown = await hands.shows("Keys:")
        for key in monitor_app.KEYS.values():
            assert f"│  {key} " in shown
        await hands.press("question_mark")
        await hands.until(lambda screen: "Keys:" not in screen)


async def test_the_journal_scrolls_and_stays_within_itself() -> None:
    client = FakeClient(picture())
    async with watching(client) as hands:
        assert "entry number 19" not in hands.screen
        for _ in range(9):
            await hands.press("pagedown")
        await hands.shows("entry number 19")
        for _ in range(9):
            await hands.press("pageup")
        await hands.until(lambda screen: "entry number 19" not in screen)


@pytest.mark.parametrize("nodes", [3, 10_000])
async def test_the_drill_down_begins_with_what_has_failed(nodes: int) -> None:
    client = FakeClient(picture(nodes, failed=1))
    async with watching(client) as hands:
        await hands.press("enter")
        shown = await hands.shows("ImportError: no module named basket")
        assert f"1 of {nodes:,} nodes" in shown
        assert "verify: GET /health answered 503" in shown
        await hands.press("tab")
        await hands.shows(f"{nodes - 1:,} of {nodes:,} nodes")
        await hands.press("escape")
        await hands.shows("Pipeline")


async def test_ten_thousand_nodes_are_filtered_and_walked_through() -> None:
    client = FakeClient(picture(10_000))
    async with watching(client, (120, 40)) as hands:
        await hands.press("enter")
        await hands.shows("10,000 of 10,000 nodes")
        await hands.press("ctrl+end")
        await hands.shows("prod-09790")
        await hands.press(*"cana", "space", *"new")
        await hands.shows("200 of 10,000 nodes")
        await hands.press("down", "down")
        await hands.shows("─ x cana-00003 failed")
        await hands.press(*"zzz")
        await hands.shows("no node is like that")
        await hands.press("escape")
        await hands.shows("10,000 of 10,000 nodes")


async def test_states_and_rows_of_the_list_can_be_clicked() -> None:
    client = FakeClient(picture(274, failed=3))
    async with watching(client) as hands:
        await hands.press("enter")
        await hands.shows("3 of 274 nodes")
        await hands.click("prod-00063")
        await hands.shows("─ x prod-00063 failed")
        await hands.click("done 271")
        await hands.shows("271 of 274 nodes")
        await hands.click("all 274")
        await hands.shows("274 of 274 nodes")


async def test_a_chosen_node_stays_chosen_when_others_move() -> None:
    client = FakeClient(picture(274))
    async with watching(client) as hands:
        await hands.press("enter", "down", "down", "down")
        await hands.shows("stag-00004 failed")
        client.show(picture(274, Phase.ROLLING, failed=5))
        await hands.shows("failed 5")
        assert "stag-00004 failed" in hands.screen


async def test_a_click_on_the_map_opens_that_node() -> None:
    client = FakeClient(picture(274))
    async with watching(client, (120, 40)) as hands:
        lines = hands.screen.splitlines()
        y = next(n for n, line in enumerate(lines) if " canary █" in line and "%" not in line)
        await hands.pilot.click(offset=(lines[y].index("canary █") + 9, y))
        await hands.shows("─ x cana-00003 failed")


async def test_a_node_that_cannot_be_looked_at_says_why() -> None:
    def gone(_: str) -> Any:
        raise Conflict("it was struck off")

    client = FakeClient(picture(), statuses=gone)
    async with watching(client) as hands:
        await hands.press("enter")
        await hands.shows("it was struck off")


async def test_hostile_names_and_output_stay_text() -> None:
    told = status(
        HOSTILE,
        why=HOSTILE,
        zone=HOSTILE,
        report=replace(status("n").report, error=HOSTILE, output=HOSTILE, activity=Activity.IDLE),
    )
    client = FakeClient(picture(3, subject=HOSTILE), statuses=lambda node: replace(told, node=node))
    async with watching(client) as hands:
        await hands.press("enter")
        shown = await hands.shows("[bold red]boo[/]")
        odd = {char for char in shown if unicodedata.category(char)[0] == "C"} - {"\n"}
        assert not odd
        await hands.press("escape")
        hands.monitor._tell(HOSTILE)
        await hands.shows("» [31m")
        await hands.press("r")
        hands.monitor.screen.query_one(Input).value = f"a\x1b[31m{HOSTILE}"
        await hands.press("enter")
        await hands.shows("revert: done")
    (_, reason, _) = done(client)[0]
    assert not {char for char in reason if unicodedata.category(char)[0] == "C"}


async def test_no_colour_is_shown_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monitor = Monitor(FakeClient(picture()), "shop", (), Role.VIEWER)  # type: ignore[arg-type]
    assert monitor.no_color
