"""Releases as people meet them: a real repository and control plane, running agents, the CLI."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.model.plan import AppConfig, Checks, Gate, SmokeCheck, Step
from headway.model.release_views import CutRequest
from headway.model.releasing import ConfigLane, Releasing
from headway.model.rollout import Phase
from tests.acceptance.fleet import APP, RealFleet, real_fleet
from tests.repository import Origin, git

NODES = {"s1": "staging", "c1": "canary", "p1": "production"}
FLAGS = "web-flags"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RealFleet]:
    with real_fleet(tmp_path, server='smoke_programs = ["/bin/sh"]\n') as running:
        yield running


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path)
    made.commit("The first", {"app.txt": "one\n", "flags/a.txt": "off\n"})
    return made


def plan(**staging: Any) -> tuple[Step, ...]:
    quick = {"soak": 0.0, "checks": Checks.NONE, "concurrency": "100%"}
    return (
        Step("staging", **quick, **staging),
        Step("canary", **quick),
        Step("production", **quick, gate=Gate.MANUAL),
    )


def apply(fleet: RealFleet, origin: Origin, steps: tuple[Step, ...], **facts: Any) -> None:
    lane = ConfigLane(FLAGS, ("flags/",))
    releasing = Releasing(repository=str(origin.bare), config=lane)
    fleet.apply(*steps, releases=releasing, **facts)


def start(fleet: RealFleet, flags: bool = False) -> None:
    for name, tier in NODES.items():
        extra = f'[[apps]]\nname = "{FLAGS}"\ntier = "{tier}"\n' if flags else ""
        fleet.start_agent(name, tier, extra)
    fleet.enrolled(len(NODES))


def told(fleet: RealFleet, *arguments: str) -> Any:
    return json.loads(fleet.headway(*arguments, "--json").stdout)


def release(fleet: RealFleet, origin: Origin, app: str = APP) -> str:
    """Cut a release, make its build, deploy it, and walk it to its end; its id."""
    view = told(fleet, "release", "cut", app, "--repo", str(origin.clone))
    rollout = told(fleet, "deploy", app, view["release"]["id"])["rollout"]["id"]
    walk(fleet, rollout)
    return str(view["release"]["id"])


def walk(fleet: RealFleet, rollout: str) -> None:
    fleet.wait("the gate", lambda: phase(fleet, rollout) in (Phase.WAITING, Phase.SUCCEEDED))
    if phase(fleet, rollout) is Phase.WAITING:
        fleet.headway("rollout", "advance", rollout)
    assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED


def phase(fleet: RealFleet, rollout: str) -> Phase:
    return fleet.view(rollout).rollout.phase


def test_a_bad_change_is_found_in_staging_taken_back_and_the_rest_goes_out(
    fleet: RealFleet, origin: Origin
) -> None:
    script = 'cat "$1"/app.txt; ! grep bad "$1"/app.txt'
    tree = fleet.home / "s1" / "root" / APP / "current"
    smoke = (SmokeCheck(command=("/bin/sh", "-c", script, "smoke", str(tree)), timeout=10.0),)
    apply(fleet, origin, plan(smoke=True, sign_off=1), smoke=smoke)
    start(fleet)
    first = told(fleet, "release", "cut", APP, "--repo", str(origin.clone))["release"]
    assert first["build"] is not None
    rollout = told(fleet, "deploy", APP, "web-r1")["rollout"]["id"]
    fleet.wait("staging", lambda: fleet.view(rollout).next == "sign-off")
    fleet.headway("rollout", "sign-off", APP, "--reason", "looked at it")
    walk(fleet, rollout)

    good = origin.commit("Good", {"other.txt": "good\n"})
    bad = origin.merge("Bad", {"app.txt": "bad\n"})
    before = (git(origin.clone, "rev-parse", "HEAD"), git(origin.clone, "branch", "--list"))
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    rollout = told(fleet, "deploy", APP, "web-r2")["rollout"]["id"]
    fleet.wait("the smoke test", lambda: phase(fleet, rollout) is Phase.PAUSED)
    status = fleet.headway("rollout", "status", APP).stdout
    assert "fail" in status
    assert "bad" in status, "what the check said is shown"
    assert fleet.tree("p1")["app.txt"] == "one\n"

    view = told(
        fleet, "release", "revert", "web-r2", bad, "--reason", "smoke", "--repo", str(origin.clone)
    )
    assert view["next"] == "deploy"
    again = told(fleet, "deploy", APP, "web-r2", "--supersede")["rollout"]
    assert again["hotfix"]
    rollout = again["id"]
    fleet.wait("staging again", lambda: fleet.view(rollout).next in ("sign-off", "advance"))
    if fleet.view(rollout).next == "sign-off":
        fleet.headway("rollout", "sign-off", APP)
    walk(fleet, rollout)
    for name in NODES:
        assert fleet.tree(name)["app.txt"] == "one\n"
        assert fleet.tree(name)["other.txt"] == "good\n"
    assert origin.at("web-2.1") == origin.at("release/web-2")
    (asked,) = [ref for ref in origin.refs() if "headway/revert" in ref]
    assert origin.shows(asked, "app.txt") == "one"
    after = (git(origin.clone, "rev-parse", "HEAD"), git(origin.clone, "branch", "--list"))
    assert after == before, "the clone's branches are its owner's"
    assert git(origin.clone, "status", "--porcelain") == ""
    story = fleet.headway("journal", "--release", "web-r2").stdout
    assert "admin cuts web-r2 with 2 changes" in story
    assert f'takes back {bad[:12]} "Bad" on web-r2, now web-2.1: smoke' in story
    assert "waits to be merged" in story
    notes = fleet.headway("release", "notes", "web-r2").stdout
    assert f"- Good ({good[:12]}, Ann)" in notes
    assert "## Taken back" in notes


def test_a_conflict_is_told_and_nothing_has_happened(fleet: RealFleet, origin: Origin) -> None:
    apply(fleet, origin, plan())
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    origin.commit("Two", {"app.txt": "two\n"})
    third = origin.commit("Three", {"app.txt": "three\n"})
    refs = origin.refs()
    ended = fleet.headway("release", "hotfix", "web-r1", third, ok=False)
    assert ended.returncode == 3
    assert "it conflicts in app.txt; nothing was changed" in ended.stderr
    assert origin.refs() == refs
    assert git(origin.clone, "status", "--porcelain") == ""


def test_a_freeze_binds_everybody_but_hotfixes(fleet: RealFleet, origin: Origin) -> None:
    apply(fleet, origin, plan())
    start(fleet)
    release(fleet, origin)
    origin.commit("Two", {"app.txt": "two\n"})
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
    frozen = told(fleet, "schedule", "freeze", APP, "--until", tomorrow, "--reason", "an audit")
    ended = fleet.headway("deploy", APP, "web-r2", ok=False)
    assert ended.returncode == 3
    assert "web does not begin: frozen until" in ended.stderr
    assert "an audit (by admin); hotfixes may go" in ended.stderr
    why = fleet.headway("why", APP).stdout
    assert "an audit (by admin); hotfixes may go" in why
    assert "web-r2 is built and not deployed" in why
    assert fleet.headway("deploy", APP, "web-r2", "--hotfix", ok=False).returncode == 3
    fix = origin.commit("Fix", {"fix.txt": "x\n"})
    fleet.headway(
        "release", "hotfix", "web-r2", fix, "--reason", "fire", "--repo", str(origin.clone)
    )
    rollout = told(fleet, "deploy", APP, "web-r2")["rollout"]["id"]
    walk(fleet, rollout)
    assert fleet.tree("p1")["fix.txt"] == "x\n"
    fleet.headway("schedule", "thaw", frozen["id"])
    assert "an audit" not in fleet.headway("why", APP).stdout


def test_the_config_lane_goes_beside_the_code(fleet: RealFleet, origin: Origin) -> None:
    apply(fleet, origin, plan())
    with fleet.client() as client:
        flags = AppConfig(FLAGS, plans={"default": plan()}, metrics=(), output="flags")
        client.apply_app(flags)
    start(fleet, flags=True)
    release(fleet, origin)
    assert release(fleet, origin, FLAGS) == "web-flags-r1"

    origin.commit("Code", {"app.txt": "two\n"})
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    code = told(fleet, "deploy", APP, "web-r2")["rollout"]["id"]
    fleet.wait("the code to wait", lambda: phase(fleet, code) is Phase.WAITING)
    origin.commit("A flag", {"flags/a.txt": "on\n"})
    assert release(fleet, origin, FLAGS) == "web-flags-r2"
    assert phase(fleet, code) is Phase.WAITING, "the code lane was left where it stands"
    for name in NODES:
        current = (fleet.home / name / "root" / FLAGS / "current").resolve()
        assert (current / "a.txt").read_text() == "on\n"
    walk(fleet, code)
    assert fleet.tree("p1")["app.txt"] == "two\n"

    fleet.headway("hold", "add", "app", APP, "--reason", "lunch")
    origin.commit("Another flag", {"flags/a.txt": "half\n"})
    fleet.headway("release", "cut", FLAGS, "--repo", str(origin.clone))
    ended = fleet.headway("deploy", FLAGS, "web-flags-r3", ok=False)
    assert ended.returncode == 3
    assert "web-flags is held by admin: lunch (on web)" in ended.stderr


def test_a_build_machine_builds_whatever_is_cut(fleet: RealFleet, origin: Origin) -> None:
    apply(fleet, origin, plan())
    fleet._start("builder", *_builder(fleet, origin))
    with fleet.client() as client:
        client.cut_release(APP, CutRequest(reason="by somebody else"))
        fleet.wait("the build", lambda: client.release("web-r1").release.build is not None)


def _builder(fleet: RealFleet, origin: Origin) -> list[str]:
    key = fleet.data / "keys" / "build.key"
    token = fleet.data / "admin.token"
    return [
        "release", "build", APP, "--watch", "--repo", str(origin.clone), "--key", str(key),
        "--server", fleet.url, "--token-file", str(token),
    ]  # fmt: skip


def test_bisect_finds_the_change_and_leaves_nothing_behind(
    fleet: RealFleet, origin: Origin
) -> None:
    tree = fleet.home / "s1" / "root" / APP / "current"
    smoke = (SmokeCheck(command=("/bin/sh", "-c", f"test ! -e {tree}/2.txt"), timeout=10.0),)
    apply(fleet, origin, plan(smoke=True), smoke=smoke)
    start(fleet)
    release(fleet, origin)
    for number in range(1, 5):
        origin.commit(f"Change {number}", {f"{number}.txt": "x\n"})
    fleet.headway("release", "cut", APP, "--repo", str(origin.clone))
    ended = fleet.headway("release", "bisect", "web-r2", "--repo", str(origin.clone))
    assert '"Change 2" is to blame: all before it is good' in ended.stdout
    assert ended.stderr.count("trying") == 2
    with fleet.client() as client:
        assert client.holds() == []
        assert client.app(APP).live == told(fleet, "release", "show", "web-r1")["release"]["build"]
    assert fleet.tree("p1") == fleet.tree("s1")
    assert "2.txt" not in fleet.tree("s1")
