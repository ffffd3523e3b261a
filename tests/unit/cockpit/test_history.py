"""History: filters, pages, what was live how long, and the buttons of an entry."""

import pytest
from msgspec.structs import replace

from headway.model.access import Role
from headway.model.rollout import Phase
from headway.server import engine
from headway.server.cockpit.pages import history
from headway.server.database import rollouts
from tests.unit.cockpit.conftest import Visitor, deploy
from tests.unit.cockpit.samples import NOW
from tests.unit.cockpit.stocked import build
from tests.unit.cockpit.test_pages import MANY, filled, stocked
from tests.unit.server.conftest import Clock
from tests.unit.server.herd import NEW, OLD, Herd

__all__ = ["stocked"]

pytestmark = pytest.mark.anyio

Wanted = history.Wanted


async def rows(visitor: Visitor, wanted: Wanted, before: int | None = None) -> history.Page:
    return history.make_history(await history.gather(visitor.plane, "web", wanted, before))


async def test_each_rollout_is_there_once_newest_first(stocked: Visitor) -> None:
    page = await rows(stocked, Wanted())
    assert [row.rollout for row in page.rows] == [f"web-{n * 10}" for n in range(MANY + 1, 0, -1)]
    assert page.older == ""


async def test_a_build_that_is_live_again_has_two_lives(stocked: Visitor) -> None:
    page = {row.rollout: row for row in (await rows(stocked, Wanted())).rows}
    assert [life.end is None for life in page["web-150"].lives] == [False, False]
    assert len(page["web-160"].lives) == 1, "it was live until ann took it back"
    assert "by ann" in page["web-160"].because
    live = [row for row in page.values() if row.lives and row.lives[0].end is None]
    assert len(live) == 1
    assert live[0].build.role == "live"
    assert page["web-190"].lives == ()
    assert page["web-40"].outcome.word == "Reverted"
    assert "errors 4.80 %" in page["web-40"].because


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(outcome="reverted"), {"web-40", "web-90", "web-160", "web-170"}),
        (Wanted(outcome="aborted"), {"web-70"}),
        (Wanted(outcome="running"), {"web-190"}),
        (Wanted(text="WEB-R7"), {"web-70"}),
        (Wanted(text=build(5, NOW).commit[:10]), {"web-50"}),
        (Wanted(person="ANN", text="Shops"), {"web-90"}),
        (Wanted(outcome="nonsense"), set()),
    ],
)
async def test_filters(stocked: Visitor, wanted: Wanted, fits: set[str]) -> None:
    found = {row.rollout for row in (await rows(stocked, wanted)).rows}
    assert found == fits


async def test_days_are_bounds(stocked: Visitor) -> None:
    everything = (await rows(stocked, Wanted())).rows
    middle = everything[9].begun
    early = await rows(stocked, Wanted(end=middle))
    late = await rows(stocked, Wanted(begin=middle))
    assert [*late.rows, *early.rows] == [*everything]


async def test_pages_follow_each_other_without_a_gap(
    stocked: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [row.rollout for row in (await rows(stocked, Wanted())).rows]
    lives = {row.rollout: row.lives for row in (await rows(stocked, Wanted())).rows}
    monkeypatch.setattr(history, "ROWS", 4)
    monkeypatch.setattr(history, "CHUNK", 3)
    seen, before = [], None
    while True:
        page = await rows(stocked, Wanted(), before)
        seen += [row.rollout for row in page.rows]
        for row in page.rows:
            assert row.lives == lives[row.rollout], "a page knows what ended its builds"
        if not page.older:
            break
        before = int(page.older.rpartition("=")[2])
    assert seen == whole


async def test_a_search_stops_in_time_and_says_how_far_it_came(
    stocked: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHUNK", 3)
    monkeypatch.setattr(history, "MOST_SEARCHED", 6)
    page = await rows(stocked, Wanted(text="web-r1 no such"))
    assert page.rows == ()
    assert page.searched_to is not None
    assert "before=" in page.older


async def test_somebody_deploys_again_and_everybody_reads_why(visitor: Visitor, herd: Herd) -> None:
    first = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get("/apps/web")
    await visitor.press("revert" if "revert" in visitor.page.buttons() else "advance")
    await herd.settle()
    second = await deploy(herd, NEW)
    await visitor.get("/apps/web")
    await visitor.press("abort", reason="lunch")
    await herd.settle()
    await visitor.get(f"/apps/web/history/{second}")
    assert "Deploy again" in visitor.page.shown
    seen = visitor.page.field("seen")
    again = f"/apps/web/history/{second}/deploy"
    silent = await visitor.submit(again, seen=seen, reason=" ", plan="default")
    assert silent.status_code == 400
    assert "say why you deploy it" in visitor.page.shown
    done = await visitor.submit(again, seen=seen, reason="lunch is over", plan="default")
    assert (done.status_code, done.headers["location"]) == (303, "/apps/web")
    await visitor.get("/apps/web/history")
    assert visitor.page.shown.count("Under way") >= 1
    latest = (await visitor.plane.engine.situation("web")).latest
    assert latest is not None
    assert (latest.target, latest.by) == (NEW, "bela")
    await visitor.get(f"/apps/web/history/{latest.id}")
    assert "lunch is over" in visitor.page.shown
    assert first in {row.rollout for row in (await rows(visitor, Wanted())).rows}


async def test_a_stale_page_deploys_nothing_and_keeps_what_was_typed(
    visitor: Visitor, herd: Herd
) -> None:
    first = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web")
    await visitor.press("abort", reason="not yet")
    await herd.settle()
    await visitor.get(f"/apps/web/history/{first}")
    seen = visitor.page.field("seen")
    second = await deploy(herd, NEW)
    stale = await visitor.submit(
        f"/apps/web/history/{first}/deploy", seen=seen, reason="<b>now</b>", supersede="yes"
    )
    assert stale.status_code == 412
    assert visitor.page.field("reason") == "<b>now</b>"
    state = await visitor.plane.database.read(lambda c: rollouts.get(c, second))
    assert state is not None
    assert state.phase is not Phase.SUPERSEDED


async def test_the_build_before_the_live_one_is_reverted_to_at_once(
    visitor: Visitor, herd: Herd
) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    ids = []
    for number in (OLD, NEW):
        ids.append(await deploy(herd, number))
        await visitor.get("/apps/web")
        await visitor.press("advance")
        await herd.settle()
    await visitor.get(f"/apps/web/history/{ids[0]}")
    assert f"Takes {ids[1]} back on every node at once" in visitor.page.shown
    actions = [form["action"] for form in visitor.page.all("form")]
    revert = f"/apps/web/rollouts/{ids[1]}/revert"
    assert revert in actions
    gone = await visitor.submit(revert, seen=visitor.page.field("seen"), reason="too slow")
    assert gone.status_code == 303
    await herd.settle()
    page = {row.rollout: row for row in (await rows(visitor, Wanted())).rows}
    assert page[ids[1]].outcome.word == "Reverted"
    assert "too slow" in page[ids[1]].because
    assert [life.end is None for life in page[ids[0]].lives] == [True, False]
    await visitor.get(f"/apps/web/history/{ids[0]}")
    assert "is what is live" in visitor.page.shown


async def test_what_is_on_its_way_is_not_deployed_again(visitor: Visitor, herd: Herd) -> None:
    first = await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get(f"/apps/web/history/{first}")
    assert "the buttons are on the page of web" in visitor.page.shown
    assert [form["action"] for form in visitor.page.all("form")] == ["/sign-out"]


async def test_a_viewer_deploys_nothing(visitor: Visitor, herd: Herd) -> None:
    first = await deploy(herd, OLD)
    await visitor.sign_in(Role.VIEWER)
    await visitor.get(f"/apps/web/history/{first}")
    answer = await visitor.submit(f"/apps/web/history/{first}/deploy", reason="x", seen=first)
    assert answer.status_code == 403


async def test_ten_thousand_rollouts_are_searched_a_page_at_a_time(
    visitor: Visitor, clock: Clock
) -> None:
    await filled(visitor.plane, clock)
    known = (await rows(visitor, Wanted())).rows[0].rollout

    def write(connection) -> None:  # type: ignore[no-untyped-def]
        state = rollouts.get(connection, known)
        for number in range(10_000, 14_000):
            rollouts.put(
                connection, replace(state, id=f"web-{number}", phase=Phase.ABORTED, ended_at=NOW)
            )

    await visitor.plane.database.write(write)
    page = await rows(visitor, Wanted(text="Upgrade"))
    assert page.searched_to is not None
    assert page.older


async def test_the_tests_see_a_deploy_that_does_not_look_what_was_seen(
    visitor: Visitor, herd: Herd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_check_seen", lambda seen, latest: None)
    with pytest.raises(AssertionError):
        await test_a_stale_page_deploys_nothing_and_keeps_what_was_typed(visitor, herd)
