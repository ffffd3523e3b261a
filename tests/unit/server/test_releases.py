"""Releases on a real repository: cut, picked, taken back, and in which way they go out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from headway.core.journal import fold
from headway.errors import NotFound, Refused, Unreachable
from headway.model.build import Build
from headway.model.plan import Action, AppConfig, Metric
from headway.model.release import PickKind, Release
from headway.model.release_views import CutRequest, HotfixRequest, RevertRequest
from headway.model.releasing import ConfigLane, HotfixPolicy, Need, Releasing
from headway.model.report import Enrolment
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Outcome, Verdict
from headway.model.views import ActionRequest, DeployRequest
from headway.server.config import ForgeKind, ForgeSettings
from headway.server.database import apps, builds, journal, outbox, rollouts
from headway.server.database.outbox import Queue
from headway.server.plane import ControlPlane
from headway.server.release_book import note_build
from headway.server.workshop import Workshop
from headway.signals.memory import MemorySignals
from tests.repository import Origin, git
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import NEW, NEWER, OLD, PLAN, Herd

pytestmark = pytest.mark.anyio

TIERS = {"s1": "staging", "p1": "production", "p2": "production"}
PATHS = Metric(name="errors", counter="errors", per="requests", paths=("src/pay.py",))


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path)
    made.commit("The first", {"app.py": "one\n", "flags.toml": "a = 1\n"})
    return made


class Stage:
    """The app web, made from the repository, with what is live from its first commit."""

    def __init__(self, plane: ControlPlane, origin: Origin, herd: Herd) -> None:
        self.plane = plane
        self.origin = origin
        self.herd = herd
        self.desk = plane.releases

    async def configure(self, **more: object) -> AppConfig:
        releasing = {"repository": str(self.origin.bare)} | more.pop("releases", {})  # type: ignore[operator]
        config = AppConfig(
            name="web",
            plans={"default": PLAN},
            metrics=(PATHS,),
            releases=Releasing(**releasing),
            **more,
        )
        await self.plane.database.write(lambda c: apps.put(c, config, 1.0))
        return config

    async def build(self, id: str, commit: str, app: str = "web") -> Build:
        made = Build(id, app, commit, 1.0, "ci", 1, 1, 1)

        def write(connection) -> None:  # type: ignore[no-untyped-def]
            builds.add(connection, made, 1.0)
            note_build(connection, made, "ci", self.plane.clock())

        await self.plane.database.write(write)
        return made

    async def go_live(self, id: str, commit: str) -> None:
        made = await self.build(id, commit)
        await self.plane.engine.deploy("web", made, DeployRequest(id[:8]), "ann")
        await self.finish()

    async def finish(self) -> Rollout:
        for _ in range(4):
            await self.herd.settle()
            state = await self.latest()
            if state.phase is not Phase.WAITING:
                break
            await self.plane.engine.act(state.id, "advance", ActionRequest(), "ann")
        return await self.latest()

    async def latest(self) -> Rollout:
        (state,) = await self.plane.database.read(lambda c: rollouts.newest(c, "web", 1))
        return state

    async def cut(self, **more: str) -> Release:
        return await self.known(await self.desk.cut("web", CutRequest(**more), "ann"))

    async def known(self, release: str) -> Release:
        return await self.desk.known(release)

    async def told(self, release: str) -> list[str]:
        rows = await self.plane.database.read(
            lambda c: journal.entries(c, release=release, limit=99)
        )
        return [row.why for row in rows]


@pytest.fixture
async def stage(plane: ControlPlane, origin: Origin) -> AsyncIterator[Stage]:
    herd = Herd(plane, TIERS)
    made = Stage(plane, origin, herd)
    await made.configure()
    await plane.start()
    await herd.enrol()
    await herd.beat()
    await made.go_live(OLD, origin.at("main"))
    yield made
    await plane.close()


async def test_a_release_is_a_branch_and_a_tag_with_what_was_merged(stage: Stage) -> None:
    stage.origin.commit("Faster", {"app.py": "two\n"}, "Reviewed-by: Bob <bob@example.org>")
    merged = stage.origin.merge("DARK: a merge", {"dark.py": "x\n"})
    queue = await stage.desk.queue("web")
    assert [one.subject for one in queue.changes] == ["Faster", "DARK: a merge"]
    state = await stage.cut(reason="Monday")
    assert [(one.subject, one.review, one.dark, one.paths) for one in state.changes] == [
        ("Faster", "approved", False, ("app.py",)),
        ("DARK: a merge", "unknown", True, ("dark.py",)),
    ]
    assert state.head == merged
    assert stage.origin.at("release/web-1") == stage.origin.at("web-1.0") == merged
    assert state.pushed == merged
    view = await stage.desk.view("web-r1")
    assert (view.next, view.live, view.dark) == ("build", False, False)
    assert await stage.told("web-r1") == [
        "ann cuts web-r1 with 2 changes: Monday",
        f"the repository has web-r1 up to {merged[:12]}",
    ]


async def test_folding_the_journal_gives_the_release(stage: Stage) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    state = await stage.cut()
    stage.origin.commit("Two", {"other.py": "two\n"})
    await stage.desk.hotfix(state.id, HotfixRequest((stage.origin.at("main"),)), "bob")
    await stage.build(NEW, (await stage.known(state.id)).head)
    rows = await stage.plane.database.read(lambda c: journal.entries(c, release=state.id, limit=99))
    folded = fold((row.changes for row in rows if row.changes), Release)
    assert folded == await stage.known(state.id)
    assert folded.build == NEW


async def test_nothing_is_cut_of_nothing_and_only_from_main(stage: Stage) -> None:
    with pytest.raises(Refused, match="nothing was merged since what is live"):
        await stage.cut()
    git(stage.origin.clone, "push", "-q", "origin", "main:refs/heads/other")
    git(stage.origin.clone, "checkout", "-q", "-b", "wild")
    git(stage.origin.clone, "commit", "-q", "--allow-empty", "-m", "wild")
    git(stage.origin.clone, "push", "-q", "origin", "wild")
    with pytest.raises(Refused, match="wild is not in main"):
        await stage.cut(until="wild")
    with pytest.raises(NotFound, match="has no commit 'nowhere'"):
        await stage.cut(until="nowhere")
    assert await stage.desk.newest("web", 9) == []


async def test_a_release_may_end_before_what_is_not_fit(stage: Stage) -> None:
    await stage.configure(releases={"require": (Need.REVIEW,)})
    good = stage.origin.commit("Good", {"a": "1"}, "Reviewed-by: Bob <bob@example.org>")
    stage.origin.commit("Own", {"b": "1"}, "Reviewed-by: Ann <ann@example.org>")
    with pytest.raises(Refused, match=r'"Own": no review of it is known; cut it before that'):
        await stage.cut()
    assert (await stage.cut(until=good)).head == good
    overruled = await stage.cut(override="the site is down")
    assert len(overruled.overrides) == 1


async def test_a_hotfix_is_picked_and_the_rollout_goes_on_where_it_was(stage: Stage) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    state = await stage.cut()
    made = await stage.build(NEW, state.head)
    await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    await stage.herd.settle()
    before = await stage.latest()
    assert (before.phase, before.step, before.release) == (Phase.WAITING, 0, "web-r1")
    fix = stage.origin.merge("Fix", {"fix.py": "x\n"})
    await stage.desk.hotfix("web-r1", HotfixRequest((fix[:10],), "it burns"), "bob")
    state = await stage.known("web-r1")
    assert [tag.name for tag in state.tags] == ["web-1.0", "web-1.1"]
    assert stage.origin.at("release/web-1") == stage.origin.at("web-1.1") == state.head
    assert f"(cherry picked from commit {fix})" in git(
        stage.origin.bare, "log", "-1", "--format=%B", "web-1.1"
    )
    assert stage.origin.shows("web-1.1", "fix.py") == "x"
    fixed = await stage.build(NEWER, state.head)
    await stage.plane.engine.deploy("web", fixed, DeployRequest("web-r1", supersede=True), "bob")
    after = await stage.latest()
    assert after.hotfix
    assert after.plan[0].gate == "auto"
    assert after.plan[1].gate == PLAN[1].gate
    assert (await stage.finish()).phase is Phase.SUCCEEDED


async def test_a_hotfix_begins_anew_where_the_policy_says_so(stage: Stage) -> None:
    plan = (replace(PLAN[0], soak=5.0), *PLAN[1:])
    config = await stage.configure(releases={"hotfix": HotfixPolicy.BEGIN})
    config = replace(config, plans={"default": plan})
    await stage.plane.database.write(lambda c: apps.put(c, config, 1.0))
    stage.origin.commit("One", {"app.py": "two\n"})
    state = await stage.cut()
    made = await stage.build(NEW, state.head)
    await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    fix = stage.origin.commit("Fix", {"fix.py": "x\n"})
    await stage.desk.hotfix("web-r1", HotfixRequest((fix,)), "bob")
    fixed = await stage.build(NEWER, (await stage.known("web-r1")).head)
    request = DeployRequest(NEWER[:8], supersede=True)
    await stage.plane.engine.deploy("web", fixed, request, "bob")
    assert (await stage.latest()).plan == plan


async def test_a_conflict_names_the_files_and_changes_nothing(stage: Stage) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    state = await stage.cut()
    stage.origin.commit("Two", {"app.py": "three\n"})
    third = stage.origin.commit("Three", {"app.py": "four\n", "b.py": "x"})
    refs = stage.origin.refs()
    with pytest.raises(Refused, match=r"conflicts in app\.py; nothing was changed"):
        await stage.desk.hotfix(state.id, HotfixRequest((third,)), "bob")
    assert stage.origin.refs() == refs
    assert await stage.known(state.id) == state
    mirror = stage.plane.workshop._directory / "web.git"
    assert git(mirror, "worktree", "list").count("\n") == 0
    with pytest.raises(Refused, match="changes nothing on the branch"):
        await stage.desk.hotfix(state.id, HotfixRequest((state.head,)), "bob")


async def test_a_revert_names_the_suspect_takes_it_back_and_asks_on_main(stage: Stage) -> None:
    stage.origin.commit("Harmless", {"app.py": "two\n"})
    bad = stage.origin.merge("Pay faster", {"pay.txt": "x\n"})
    git(stage.origin.clone, "mv", "-k", "pay.txt", "pay2.txt")
    guilty = stage.origin.commit("Pay again", {"src/pay.py": "boom\n"})
    state = await stage.cut()
    made = await stage.build(NEW, state.head)
    await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    await stage.herd.settle()
    with pytest.raises(Refused, match="no metric fails, so nothing points at a change"):
        await stage.desk.revert("web-r1", RevertRequest(), "bob")
    await fail(stage, "errors")
    blame = await stage.desk.blame("web-r1")
    assert blame.sentence == (
        f'{guilty[:12]} "Pay again" is suspected: it touches src/pay.py, which errors points at'
    )
    await stage.desk.revert("web-r1", RevertRequest(), "bob")
    state = await stage.known("web-r1")
    assert [(pick.kind, pick.change.commit) for pick in state.picks] == [(PickKind.REVERT, guilty)]
    assert "src/pay.py" not in git(stage.origin.bare, "ls-tree", "-r", "--name-only", "web-1.1")
    (branch,) = [ref for ref in stage.origin.refs() if "headway/revert" in ref]
    assert stage.origin.at(f"{branch}~1") == stage.origin.at("main") == guilty
    assert f"This reverts commit {guilty}." in git(
        stage.origin.bare, "log", "-1", "--format=%B", branch
    )
    assert (await stage.told("web-r1"))[-1] == (
        f'Revert {guilty[:12]} "Pay again" on main: the branch '
        f"{branch.removeprefix('refs/heads/')} waits to be merged"
    )
    assert bad in {one.commit for one in state.changes}


async def test_what_was_taken_back_comes_back_only_when_main_has_it_no_more(stage: Stage) -> None:
    guilty = stage.origin.commit("Guilty", {"src/pay.py": "boom\n"})
    await stage.cut()
    await stage.desk.revert("web-r1", RevertRequest((guilty[:8],), "errors"), "bob")
    state = await stage.known("web-r1")
    await stage.go_live(NEW, state.head)
    stage.origin.commit("Next", {"next.py": "x"})
    with pytest.raises(Refused, match="was taken back on web-r1, and main still has it"):
        await stage.cut()
    (branch,) = [ref for ref in stage.origin.refs() if "headway/revert" in ref]
    git(stage.origin.clone, "fetch", "-q", "origin", branch)
    git(stage.origin.clone, "merge", "-q", "--no-ff", "-m", "Merge the revert", "FETCH_HEAD")
    git(stage.origin.clone, "push", "-q", "origin", "main")
    following = await stage.cut()
    assert [one.subject for one in following.changes] == ["Next", "Merge the revert"]


async def test_a_picked_change_does_not_come_again(stage: Stage) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    await stage.cut()
    fix = stage.origin.commit("Fix", {"fix.py": "x\n"})
    await stage.desk.hotfix("web-r1", HotfixRequest((fix,)), "bob")
    await stage.go_live(NEW, (await stage.known("web-r1")).head)
    stage.origin.commit("Next", {"next.py": "x"})
    assert [one.subject for one in (await stage.cut()).changes] == ["Next"]


async def test_a_branch_that_somebody_else_moved_is_left_alone(stage: Stage) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    state = await stage.cut()
    git(stage.origin.clone, "commit", "-q", "--allow-empty", "-m", "by hand")
    by_hand = git(stage.origin.clone, "rev-parse", "HEAD")
    git(stage.origin.clone, "push", "-q", "origin", "HEAD:release/web-1")
    with pytest.raises(Refused, match=f"commits that Headway did not make, up to {by_hand[:12]}"):
        await stage.desk.hotfix(state.id, HotfixRequest((state.head,)), "bob")
    assert stage.origin.at("release/web-1") == by_hand


async def test_what_the_repository_does_not_take_is_pushed_later_and_rollouts_do_not_wait(
    stage: Stage,
) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    hook = stage.origin.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    hook.chmod(0o755)
    state = await stage.cut()
    assert state.pushed is None
    assert "does not take release/web-1" in (await stage.desk.view(state.id)).trouble
    made = await stage.build(NEW, state.head)
    await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    assert (await stage.finish()).phase is Phase.SUCCEEDED
    hook.unlink()
    await stage.desk._rounds()
    assert (await stage.known(state.id)).pushed == state.head
    assert (await stage.desk.view(state.id)).trouble == ""
    assert not await stage.plane.database.read(lambda c: outbox.pending(c, None, Queue.RELEASE))
    await stage.desk._rounds()


async def test_an_effect_that_runs_twice_has_its_result_once(stage: Stage) -> None:
    guilty = stage.origin.commit("Guilty", {"src/pay.py": "boom\n"})
    state = await stage.cut()
    await stage.desk.revert(state.id, RevertRequest((guilty,), "x"), "bob")
    refs, state = stage.origin.refs(), await stage.known(state.id)

    def undo(connection) -> None:  # type: ignore[no-untyped-def]
        connection.exec_driver_sql("UPDATE outbox SET done_at = NULL WHERE queue = 'release'")

    await stage.plane.database.write(undo)
    await stage.desk._rounds()
    assert stage.origin.refs() == refs
    assert replace(await stage.known(state.id), why="") == replace(state, why="")


async def test_a_release_of_dark_changes_takes_the_short_path(stage: Stage) -> None:
    stage.origin.commit("DARK one", {"dark.py": "x"})
    state = await stage.cut()
    made = await stage.build(NEW, state.head)
    assert (await stage.desk.view(state.id)).dark
    await stage.plane.engine.deploy("web", made, DeployRequest(state.id), "ann")
    await stage.herd.settle()
    done = await stage.latest()
    assert (done.phase, done.plan_name, len(done.plan)) == (Phase.SUCCEEDED, "dark", 2)


async def test_where_only_releases_go_nothing_else_does(stage: Stage) -> None:
    await stage.configure(releases={"only": True})
    stray = await stage.build(NEW, "ab" * 20)
    with pytest.raises(Refused, match="deploys the builds of releases only"):
        await stage.plane.engine.deploy("web", stray, DeployRequest(NEW[:8]), "ann")


async def test_the_build_of_one_tree_from_two_commits_is_that_of_the_newest_release(
    stage: Stage,
) -> None:
    guilty = stage.origin.commit("Guilty", {"src/pay.py": "boom\n"})
    state = await stage.cut()
    await stage.build(NEW, state.head)
    await stage.desk.revert(state.id, RevertRequest((guilty,)), "bob")
    head = (await stage.known(state.id)).head
    await stage.build(OLD, head)
    assert (await stage.known(state.id)).build == OLD
    assert (await stage.desk.view(state.id)).live


# Lanes.


async def two_lanes(stage: Stage) -> None:
    lane = ConfigLane("web-flags", ("flags.toml",))
    await stage.configure(releases={"config": lane})
    flags = AppConfig(name="web-flags", plans={"default": PLAN}, metrics=())
    await stage.plane.database.write(lambda c: apps.put(c, flags, 1.0))


async def test_config_changes_go_out_by_their_own_lane(stage: Stage) -> None:
    await two_lanes(stage)
    first = stage.origin.at("main")
    await stage.build(OLD, first, "web-flags")
    stage.origin.commit("A flag", {"flags.toml": "a = 2\n"})
    with pytest.raises(Refused, match="`headway release cut web-flags` takes it out"):
        await stage.cut()
    release = await stage.desk.cut("web-flags", CutRequest(), "ann")
    state = await stage.known(release)
    assert (state.id, state.lane, state.branch) == (
        "web-flags-r1",
        "config",
        "release/web-flags-1",
    )


async def test_a_mixed_change_waits_for_the_code(stage: Stage) -> None:
    await two_lanes(stage)
    mixed = stage.origin.commit("Mixed", {"flags.toml": "a = 2\n", "app.py": "two\n"})
    release = await stage.known(await stage.desk.cut("web-flags", CutRequest(), "ann"))
    release = replace(release, changes=(await stage.desk.queue("web")).changes)
    assert "touches code too, and that is not live yet" in await stage.desk.held_back(release)
    await stage.go_live(NEW, mixed)
    assert await stage.desk.held_back(release) == ""


async def test_a_forge_that_the_server_does_not_know_is_refused(stage: Stage) -> None:
    workshop = Workshop(None, {"hub": ForgeSettings(ForgeKind.GITHUB)})
    config = AppConfig(name="web", releases=Releasing(repository="/r", forge="hbu"))
    with pytest.raises(Exception, match='knows no forge "hbu"; its configuration has hub'):
        workshop.check(config)


async def fail(stage: Stage, metric: str) -> None:
    """The guard finds that a metric fails."""
    verdict = Verdict(metric, Outcome.FAIL, f"{metric} are up", Action.PAUSE)

    def write(connection) -> None:  # type: ignore[no-untyped-def]
        (state,) = rollouts.newest(connection, "web", 1)
        rollouts.put(connection, replace(state, verdicts=(verdict,)))

    await stage.plane.database.write(write)


async def test_the_lanes_wait_for_each_other_in_the_engine(stage: Stage) -> None:
    """While code soaks in a tier, no step of the config lane begins there, and then it may."""
    await two_lanes(stage)
    soaking = (replace(PLAN[0], soak=1000.0), *PLAN[1:])
    config = await stage.plane.engine.situation("web")
    slow = replace(config.config, plans={"default": soaking})
    await stage.plane.database.write(lambda c: apps.put(c, slow, 1.0))
    for node, tier in TIERS.items():
        await stage.plane.roster.enrol(Enrolment(node, "z0", {"web": tier, "web-flags": tier}))
    made = await stage.build(NEW, "ab" * 20)
    await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    await stage.herd.settle()
    code = await stage.latest()
    assert code.phase is Phase.SOAKING
    flags = await stage.build(NEWER, "cd" * 20, "web-flags")
    sentence = f"{code.id} of the other lane is soaking in staging: one at a time there"
    with pytest.raises(Refused, match=sentence):
        await stage.plane.engine.deploy("web-flags", flags, DeployRequest(NEWER[:8]), "bob")
    urgent = DeployRequest(NEWER[:8], reason="the flag must go", hotfix=True)
    await stage.plane.engine.deploy("web-flags", flags, urgent, "bob")
    await stage.plane.engine.act(code.id, "revert", ActionRequest("it burns"), "ann")
    await stage.herd.settle()
    (rollout,) = await stage.plane.database.read(lambda c: rollouts.newest(c, "web-flags", 1))
    await stage.plane.engine.act(rollout.id, "abort", ActionRequest("x"), "bob")
    with pytest.raises(Refused, match="web-flags is held by ann: reverted"):
        await stage.plane.engine.deploy("web-flags", flags, DeployRequest(NEWER[:8]), "bob")


async def test_a_control_plane_that_died_before_the_push_pushes_after_it(
    stage: Stage, tmp_path: Path, clock: Clock
) -> None:
    stage.origin.commit("One", {"app.py": "two\n"})
    genuine = stage.plane.workshop.push

    def dies(*_: object) -> None:
        raise Unreachable("killed here")

    stage.plane.workshop.push = dies  # type: ignore[method-assign]
    state = await stage.cut()
    assert "refs/heads/release/web-1" not in stage.origin.refs()
    stage.plane.workshop.push = genuine  # type: ignore[method-assign]
    later = make_plane(tmp_path, MemorySignals(), clock)
    try:
        await later.releases._rounds()
        assert (await later.releases.known(state.id)).pushed == state.head
        assert stage.origin.at("web-1.0") == state.head
    finally:
        await later.database.close()
        later.storage.close()
