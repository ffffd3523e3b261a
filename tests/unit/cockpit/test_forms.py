"""What the forms of the pages do: sealed, by role, with a reason, and nothing typed is lost."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection

from headway.builds.publish import publish
from headway.model.access import Role
from headway.model.hold import Scope
from headway.model.releasing import ConfigLane, Releasing
from headway.model.schedule import Rota, Schedule
from headway.server import holding, timetable
from headway.server.database import apps, builds
from tests.repository import Origin
from tests.unit.cockpit.conftest import Visitor, deploy
from tests.unit.cockpit.samples import NOW
from tests.unit.cockpit.test_pages import filled
from tests.unit.server.conftest import BUILD_KEY, Clock
from tests.unit.server.herd import OLD, Herd

pytestmark = pytest.mark.anyio

SHOUT = "<script>alert('why')</script>"


async def configure(visitor: Visitor, **more: object) -> None:
    known = (await visitor.plane.engine.situation("web")).config

    def write(connection: Connection) -> None:
        apps.put(connection, replace(known, **more), 2.0)

    await visitor.plane.database.write(write)


async def test_a_person_holds_and_lifts(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get("/apps/web/holds")
    assert "Nothing is held" in visitor.page.shown
    silent = await visitor.submit("/apps/web/holds", on="app:web", reason="", until="")
    assert silent.status_code == 400
    assert "say why you hold it" in visitor.page.shown
    odd = await visitor.submit("/apps/web/holds", on="tier:web/moon", reason=SHOUT, until="")
    assert odd.status_code == 404
    assert "has no tier moon" in visitor.page.shown
    assert visitor.page.field("reason") == SHOUT
    other = await visitor.submit("/apps/web/holds", on="app:shop", reason="x", until="")
    assert other.status_code == 404
    for on in ("app:web", "tier:web/production", "train:web"):
        await visitor.get("/apps/web/holds")
        done = await visitor.submit("/apps/web/holds", on=on, reason=SHOUT, until="")
        assert (done.status_code, done.headers["location"]) == (303, "/apps/web/holds")
    await visitor.get("/apps/web/holds")
    assert visitor.page.shown.count(SHOUT) == 3
    placed = await holding.in_force(visitor.plane)
    assert {(one.scope, one.by) for one in placed} == {
        (scope, "bela") for scope in (Scope.APP, Scope.TIER, Scope.TRAIN)
    }
    for one in placed:
        await visitor.get("/apps/web/holds")
        lifted = await visitor.submit("/apps/web/holds/lift", hold=one.id)
        assert lifted.status_code == 303
    assert await holding.in_force(visitor.plane) == []
    await visitor.get("/apps/web/holds")
    again = await visitor.submit("/apps/web/holds/lift", hold=placed[0].id)
    assert again.status_code == 404


async def test_a_hold_until_a_time_that_is_none(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get("/apps/web/holds")
    answer = await visitor.submit("/apps/web/holds", on="app:web", reason="lunch", until="tomorrow")
    assert answer.status_code == 400
    assert visitor.page.field("until") == "tomorrow"


async def test_a_node_is_held_pinned_verified_and_let_go(visitor: Visitor, herd: Herd) -> None:
    await deploy(herd, OLD)
    await visitor.sign_in(Role.DEPLOYER, "bela")
    page = "/apps/web/nodes/p1"

    async def do(deed: str, **fields: str) -> int:
        await visitor.get(page)
        return (await visitor.submit(f"{page}/{deed}", **fields)).status_code

    assert await do("hold", reason="") == 400
    assert await do("hold", reason="disk", until="1970-01-02T00:00") == 400
    assert "would end before it begins" in visitor.page.shown
    assert visitor.page.field("reason") == "disk"
    assert await do("hold", reason=SHOUT, until="") == 303
    assert await do("pin", build="zz") == 400
    assert visitor.page.field("csrf")
    assert await do("unhold") == 303
    assert await do("unhold") == 404
    assert await do("pin", build=OLD[:12]) == 303
    record = visitor.plane.fleet.record("p1")
    assert record is not None
    assert (record.seats["web"].pin, record.hold) == (OLD, None)
    await visitor.get("/apps/web/nodes?mark=pinned")
    assert "1 node" in visitor.page.shown
    assert await do("unpin") == 303
    assert await do("verify") == 303
    record = visitor.plane.fleet.record("p1")
    assert record is not None
    assert record.seats["web"].verify > 0
    assert await do("explode") == 404


async def test_only_an_admin_strikes_a_node_off_and_types_its_name(
    visitor: Visitor, herd: Herd
) -> None:
    page = "/apps/web/nodes/p1"
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get(page)
    assert "Strike off" not in visitor.page.shown
    assert (await visitor.submit(f"{page}/forget", name="p1")).status_code == 403
    await visitor.sign_in(Role.ADMIN, "root")
    await visitor.get(page)
    wrong = await visitor.submit(f"{page}/forget", name="p2")
    assert wrong.status_code == 400
    assert visitor.page.field("name") == "p2"
    gone = await visitor.submit(f"{page}/forget", name="p1")
    assert (gone.status_code, gone.headers["location"]) == (303, "/apps/web/nodes")
    assert visitor.plane.fleet.record("p1") is None
    assert (await visitor.get(page)).status_code == 404


async def test_a_freeze_is_declared_in_the_schedules_zone_and_ended(
    visitor: Visitor, herd: Herd, clock: Clock
) -> None:
    clock.now = NOW
    await configure(visitor, schedule=Schedule(zone="Europe/Berlin"))
    await visitor.sign_in(Role.DEPLOYER, "bela")
    freeze = "/apps/web/schedule/freeze"
    await visitor.get("/apps/web/schedule")
    assert (await visitor.submit(freeze, end="soon", reason="x")).status_code == 400
    assert visitor.page.field("end") == "soon"
    past = await visitor.submit(freeze, begin="", end="2020-01-01T10:00", reason=SHOUT)
    assert past.status_code == 400
    assert visitor.page.field("reason") == SHOUT
    done = await visitor.submit(
        freeze, begin="2027-07-01T09:00", end="2027-07-02T18:00", reason=SHOUT, strict="yes"
    )
    assert done.status_code == 303
    view = await timetable.show(visitor.plane, "web")
    (frozen,) = view.freezes
    assert (frozen.begin, frozen.end) == (1814425200.0, 1814544000.0), "summer time, UTC+2"
    assert not frozen.hotfixes
    await visitor.get("/apps/web/schedule")
    assert "not even hotfixes" in visitor.page.shown
    ended = await visitor.submit("/apps/web/schedule/thaw", freeze=frozen.id)
    assert ended.status_code == 303
    await visitor.get("/apps/web/schedule")
    assert (await visitor.submit("/apps/web/schedule/thaw", freeze=frozen.id)).status_code == 404


async def test_the_shift_is_taken_and_handed_over(
    visitor: Visitor, herd: Herd, clock: Clock
) -> None:
    clock.now = NOW
    rota = Rota(("ann", "bela"), "2026-01-01 09:00")
    await configure(visitor, schedule=Schedule(rota=rota))
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get("/apps/web/schedule")
    nobody = await visitor.submit("/apps/web/schedule/shift", person="zoe", reason="ill")
    assert nobody.status_code == 404
    assert visitor.page.field("person") == "zoe"
    taken = await visitor.submit("/apps/web/schedule/shift", person="", reason="ann is ill")
    assert taken.status_code in (303, 409)
    shift = (await timetable.show(visitor.plane, "web")).shift
    assert shift.person == "bela"
    await visitor.get("/apps/web/schedule")
    assert "On shift" in visitor.page.shown
    assert "bela" in visitor.page.shown


async def test_a_release_is_cut_as_far_as_the_page_showed_and_a_fix_picked(
    visitor: Visitor, herd: Herd, tmp_path: Path
) -> None:
    origin = Origin(tmp_path)
    origin.commit("The first", {"app.py": "one\n"})
    await configure(visitor, releases=Releasing(repository=str(origin.bare)))
    await visitor.sign_in(Role.DEPLOYER, "bela")
    assert (await visitor.get("/apps/web/releases/queue")).status_code == 200
    seen = visitor.page.field("until")
    fix = origin.commit(SHOUT, {"app.py": "two\n"})
    made = await visitor.submit("/apps/web/releases", until=seen, reason="Monday")
    assert (made.status_code, made.headers["location"]) == (303, "/apps/web/releases/web-r1")
    assert origin.at("web-1.0") == seen, "not what came after the page was made"
    page = "/apps/web/releases/web-r1"
    await visitor.get(page)
    tag = visitor.page.field("tag")
    nothing = await visitor.submit(f"{page}/hotfix", tag=tag, changes=" ", reason="x")
    assert nothing.status_code == 400
    silent = await visitor.submit(f"{page}/hotfix", tag=tag, changes=fix, reason="")
    assert silent.status_code == 400
    assert fix in visitor.page.shown, "what was typed is still there"
    odd = await visitor.submit(f"{page}/hotfix", tag=tag, changes="--exec=x", reason="x")
    assert odd.status_code in (400, 404, 409)
    done = await visitor.submit(f"{page}/hotfix", tag=tag, changes=fix, reason="it burns")
    assert done.status_code == 303, visitor.page.shown
    await visitor.get(page)
    assert SHOUT in visitor.page.shown
    assert "it burns" in visitor.page.shown
    stale = await visitor.submit(f"{page}/revert", tag=tag, changes=fix, reason="x")
    assert stale.status_code == 412, "the page showed another head"
    back = await visitor.submit(
        f"{page}/revert", tag=visitor.page.field("tag"), changes=fix, reason="worse", revert="yes"
    )
    assert back.status_code == 303, visitor.page.shown
    await visitor.get(page)
    assert "taken back" in visitor.page.shown
    assert (await visitor.get("/apps/web/releases")).status_code == 200


async def test_an_app_without_a_repository_says_so(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    assert (await visitor.get("/apps/web/releases/queue")).status_code == 409
    assert "has no repository" in visitor.page.shown
    await visitor.get("/apps/web/releases")
    assert "it deploys builds as they are published" in visitor.page.shown


async def test_two_builds_are_compared_file_by_file(
    visitor: Visitor, herd: Herd, tmp_path: Path
) -> None:
    tree, ids = tmp_path / "tree", []
    (tree / "lib").mkdir(parents=True)
    (tree / "lib" / "same").write_text("same")
    for files in ({"a": "one", "gone": "x"}, {"a": "three", "<b>new": "yy"}):
        for old in tree.glob("*"):
            if old.is_file():
                old.unlink()
        for name, text in files.items():
            (tree / name).write_text(text)
        made, _ = publish(
            tree,
            storage=visitor.plane.storage,
            app="web",
            commit="c" * 40,
            signer=BUILD_KEY,
            by="ann",
            subject="",
            earlier=(),
            now=1.0,
        )
        await visitor.plane.database.write(lambda c, b=made: builds.add(c, b, 1.0))
        ids.append(made.id)
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get(f"/apps/web/builds/{ids[1][:12]}?since={ids[0][:12]}")
    shown = visitor.page.shown
    assert "1 file changed, 1 added, 1 removed" in shown
    assert "<b>new" in shown
    assert "same" not in shown
    assert "signed by a build key that is trusted here" in shown
    assert "is of no release" in shown
    started = await visitor.submit(
        f"/apps/web/builds/{ids[1]}/deploy", reason="go", plan="default", seen=""
    )
    assert (started.status_code, started.headers["location"]) == (303, "/apps/web")
    await visitor.get(f"/apps/web/builds/{ids[1]}")
    assert "is under way" in visitor.page.shown


async def test_a_build_that_somebody_overtook_is_not_deployed(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER)
    await visitor.get(f"/apps/web/builds/{OLD}")
    seen = visitor.page.field("seen")
    await deploy(herd, OLD)
    answer = await visitor.submit(f"/apps/web/builds/{OLD}/deploy", reason="<i>go", seen=seen)
    assert answer.status_code == 412


async def test_the_journal_is_searched_and_taken_along(visitor: Visitor, clock: Clock) -> None:
    await filled(visitor.plane, clock, SHOUT)
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/apps/web/audit?kind=start")
    rows = visitor.page.shown.count(SHOUT)
    assert rows >= 19
    export = next(link["href"] for link in visitor.page.all("a") if "export" in link["href"])
    answer = await visitor.client.get(export)
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert "attachment" in answer.headers["content-disposition"]
    lines = answer.text.strip().split("\n")
    assert len(lines) == 19
    assert all('"kind":"start"' in line for line in lines)
    await visitor.get("/apps/web/audit?text=no+such+word")
    assert "Nothing fits" in visitor.page.shown


async def test_the_lane_for_flags_leads_to_its_app(visitor: Visitor, herd: Herd) -> None:
    lane = ConfigLane("web-flags", ("flags/", "<b>.toml"))
    await configure(visitor, releases=Releasing(repository="/srv/web.git", config=lane))
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/apps/web/settings")
    assert "flags/, <b>.toml go out as web-flags" in visitor.page.shown
    assert "/apps/web-flags" in {link["href"] for link in visitor.page.all("a")}


async def test_who_may_come_in_is_for_admins(visitor: Visitor, herd: Herd) -> None:
    await visitor.sign_in(Role.DEPLOYER, "bela")
    await visitor.get("/apps/web/settings")
    assert "Who may come in" not in visitor.page.shown
    await visitor.sign_in(Role.ADMIN, "root")
    await visitor.get("/apps/web/settings")
    assert "Who may come in" in visitor.page.shown
    assert "root" in visitor.page.shown


FORMS = (
    "holds",
    "holds/lift",
    "nodes/p1/hold",
    "nodes/p1/forget",
    "schedule/freeze",
    "schedule/thaw",
    "schedule/shift",
    "releases",
    "releases/web-r1/revert",
    "builds/" + OLD + "/deploy",
)


@pytest.mark.parametrize("form", FORMS)
async def test_who_only_looks_changes_nothing(visitor: Visitor, herd: Herd, form: str) -> None:
    await visitor.sign_in(Role.VIEWER)
    await visitor.get("/apps/web/holds")
    answer = await visitor.submit(f"/apps/web/{form}", reason="x", on="app:web", name="p1")
    assert answer.status_code == 403
