"""A real agent, a real application, real kills."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_stage import ControlPlane, Load, Node, memory, until

from headway.model.build import Failure


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlPlane]:
    place = tmp_path / "plane"
    place.mkdir()
    control = ControlPlane(place)
    control.open()
    control.seat()
    yield control
    control.close()


@pytest.fixture
def node(tmp_path: Path, control: ControlPlane) -> Iterator[Node]:
    node = Node(tmp_path, control)
    node.start_server()
    yield node
    node.stop()


def deployed(node: Node, release: str) -> str:
    """The node on a first build."""
    build = node.control.publish(release)
    node.control.signal(build)
    node.start_agent()
    until(lambda: node.control.reported(build))
    until(lambda: node.serves() == release)
    return build


def test_deploy_and_revert_under_load_lose_nothing(node: Node, control: ControlPlane) -> None:
    first = deployed(node, "A")
    second = control.publish("B")
    with Load(node) as load:
        control.signal(second, base=first, fraction=0.0)
        until(lambda: (report := control.report()) and report.prepared == second)
        assert node.serves() == "A"
        control.signal(second, base=first)
        until(lambda: control.reported(second))
        assert node.serves() == "B"
        control.signal(second, base=first, fraction=0.0)
        until(lambda: control.reported(first))
        assert node.serves() == "A"
    assert load.failed == []
    assert load.torn == 0
    assert set(load.releases) == {"A", "B"}
    assert [(item.node, item.tiers) for item in control.enrolled] == [("n1", {"web": "production"})]
    until(lambda: (report := control.report()) and report.counters.get("requests", 0) > 0)


def test_a_build_that_does_not_come_up_is_flipped_back(node: Node, control: ControlPlane) -> None:
    first = deployed(node, "A")
    bad = control.publish("B", lambda tree: (tree / "settings.json").write_text("not json"))
    with Load(node) as load:
        epoch = control.signal(bad, base=first)
        until(lambda: (report := control.report()) and report.failed == Failure(bad, 1))
        until(lambda: control.reported(first, epoch))
    report = control.report()
    assert report is not None and "the app was not healthy within 4 s" in report.error
    assert load.failed == []
    assert set(load.releases) == {"A"}


def test_killed_while_fetching(node: Node, control: ControlPlane) -> None:
    first = deployed(node, "A")
    second = control.publish("B")
    control.gate.clear()
    control.signal(second, base=first)
    assert control.blocked.wait(30)
    node.kill_agent()
    assert node.serves() == "A"
    control.gate.set()
    node.start_agent()
    until(lambda: control.reported(second))
    assert node.serves() == "B"


BLOCKING = """
import os, pathlib, time
place = pathlib.Path({place!r})
with (place / "hooks").open("a") as file:
    file.write(f"{{os.getpid()}}\\n")
while (place / "block").exists():
    time.sleep(0.02)
"""


@pytest.mark.parametrize("name", ["prepare", "drain"])
def test_killed_in_a_hook(node: Node, control: ControlPlane, name: str) -> None:
    """Before the switch, with a hook running: the hook is killed, and then it is done again."""
    script = node.place / "hook.py"
    script.write_text(BLOCKING.format(place=str(node.place)))
    node.configure(f'[apps.{name}]\nargv = ["{sys.executable}", "{script}"]\n')
    first = deployed(node, "A")
    second = control.publish("B")
    (node.place / "block").touch()
    control.signal(second, base=first)
    hooks = node.place / "hooks"
    until(lambda: len(hooks.read_text().splitlines()) == 2)
    orphan = int(hooks.read_text().splitlines()[-1])
    node.kill_agent()
    assert Path(f"/proc/{orphan}").exists()
    assert node.serves() == "A"
    node.start_agent()
    until(lambda: not Path(f"/proc/{orphan}").exists())
    (node.place / "block").unlink()
    until(lambda: control.reported(second))
    assert node.serves() == "B"
    assert len(hooks.read_text().splitlines()) == 3


def test_killed_after_the_flip(node: Node, control: ControlPlane) -> None:
    node.configure(minimum_healthy=1.5)
    first = deployed(node, "A")
    second = control.publish("B")
    control.signal(second, base=first)
    until(lambda: node.state().activation is not None and node.serves() == "B")
    node.kill_agent()
    assert node.state().running is not None, "still the slot before"
    assert node.serves() == "B"
    node.start_agent()
    until(lambda: control.reported(second))
    assert node.serves() == "B"


def test_killed_at_any_moment(node: Node, control: ControlPlane) -> None:
    """Whatever is interrupted: what serves is whole, and what counts as ready is whole."""
    node.configure(minimum_healthy=0.05)
    builds = {"A": deployed(node, "A")}
    texts = {builds["A"]: node.trees()[builds["A"]]}
    chance = random.Random(7)
    with Load(node) as load:
        for release in "BCDEFG":
            builds[release] = control.publish(release)
            control.signal(builds[release], base=builds["A"])
            moment = load.requests + chance.randrange(0, 120)
            until(lambda moment=moment: load.requests >= moment)
            node.kill_agent()
            for build, tree in node.trees().items():
                assert texts.setdefault(build, tree) == tree
                assert tree["static/release.txt"] == tree["templates/release.txt"]
            node.start_agent()
            until(lambda release=release: control.reported(builds[release]))
    assert node.serves() == "G"
    assert load.failed == []
    assert load.torn == 0


def test_stopping_the_agent_leaves_the_app(node: Node, control: ControlPlane) -> None:
    deployed(node, "A")
    assert node.agent is not None
    node.agent.terminate()
    assert node.agent.wait(40) == 0
    assert node.serves() == "A"
    assert node.log().rstrip().endswith("stopped node=n1")


def test_the_control_plane_may_go_away(node: Node, control: ControlPlane) -> None:
    first = deployed(node, "A")
    control.close()
    until(lambda: "disconnected" in node.log())
    assert node.serves() == "A"
    node.kill_agent()
    node.start_agent()
    until(lambda: "cannot enrol yet" in node.log())
    assert node.serves() == "A"
    second = control.publish("B")
    control.signal(second, base=first)
    control.reports.clear()
    control.open()
    until(lambda: control.reported(second), within=60)
    assert node.serves() == "B"


def test_one_agent_for_a_root(node: Node, control: ControlPlane) -> None:
    deployed(node, "A")
    assert node.agent is not None
    code = "import sys, pathlib, headway.agent.main as m; m.run(pathlib.Path(sys.argv[1]))"
    second = subprocess.run(
        [sys.executable, "-c", code, str(node.place / "agent.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode != 0
    assert f"another agent (process {node.agent.pid}) serves" in second.stderr


def test_an_idle_agent_is_small(node: Node, control: ControlPlane) -> None:
    deployed(node, "A")
    assert node.agent is not None
    assert memory(node.agent.pid) < 40 * 1024


def test_no_secret_is_logged_or_shown(node: Node, control: ControlPlane) -> None:
    deployed(node, "A")
    assert node.agent is not None
    shown = Path(f"/proc/{node.agent.pid}/cmdline").read_text()
    assert "a-token-for-tests" not in node.log() + shown


@pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk(tmp_path: Path, control: ControlPlane) -> None:
    disk = tmp_path / "root"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "headway-test", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    node = Node(tmp_path, control)
    try:
        node.start_server()
        first = deployed(node, "A")
        noise = random.Random(1).randbytes(3_000_000)
        large = control.publish("B", lambda tree: (tree / "large.bin").write_bytes(noise))
        epoch = control.signal(large, base=first)
        until(lambda: (report := control.report()) and report.failed == Failure(large, 1))
        report = control.report()
        assert report is not None and "the disk is full; free some space" in report.error
        until(lambda: control.reported(first, epoch))
        assert node.serves() == "A"
        second = control.publish("C")
        control.signal(second, base=first)
        until(lambda: control.reported(second))
    finally:
        node.stop()
        subprocess.run(["umount", str(disk)], check=True)


def test_it_is_told_to_stop_while_it_enrols(tmp_path: Path, control: ControlPlane) -> None:
    control.close()
    node = Node(tmp_path, control)
    node.start_agent()
    until(lambda: "cannot enrol yet" in node.log())
    assert node.agent is not None
    node.agent.send_signal(signal.SIGINT)
    assert node.agent.wait(40) == 0
