"""A build that is healthy at first, and dies before it has been so for long enough."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.model.build import Failure
from tests.acceptance.agent_stage import EXAMPLE, ControlPlane, Node, until

LAST_WORDS = "the cache is corrupt, giving up"
DIES = f"""\
        if path == "/healthz":
            self.server.checks = getattr(self.server, "checks", 0) + 1
            if self.server.checks == 3:
                print({LAST_WORDS!r}, file=sys.stderr, flush=True)
                os._exit(70)
        if path == "/healthz":
"""
"""It answers two health checks well, and is gone at the third."""


class LoggedNode(Node):
    """Its web server writes a log."""

    def start_server(self) -> None:
        command = [
            *(sys.executable, str(EXAMPLE / "server.py"), "--root", str(self.app)),
            *("--port", str(self.port), "--pidfile", str(self.place / "web.pid")),
        ]
        with (self.place / "web.log").open("ab") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=log)
        until((self.place / "web.pid").exists)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlPlane]:
    (tmp_path / "plane").mkdir()
    control = ControlPlane(tmp_path / "plane")
    control.open()
    control.seat()
    yield control
    control.close()


@pytest.fixture
def node(tmp_path: Path, control: ControlPlane) -> Iterator[Node]:
    node = LoggedNode(tmp_path, control)
    node.start_server()
    yield node
    node.stop()


def deploy(node: Node, minimum_healthy: float) -> tuple[str, str]:
    """A node on build A, and build B, which dies, on its way."""
    path = node.configure(minimum_healthy=minimum_healthy)
    path.write_text(path.read_text().replace("interval = 0.05", 'interval = 0.05\nlog = "web.log"'))
    first = node.control.publish("A")
    node.control.signal(first)
    node.start_agent()
    until(lambda: node.control.reported(first))
    bad = node.control.publish("B", dies)
    node.control.signal(bad, base=first)
    return first, bad


def dies(tree: Path) -> None:
    text = (tree / "app.py").read_text()
    health = '        if path == "/healthz":\n'
    assert health in text
    (tree / "app.py").write_text(text.replace(health, DIES))


def failures(node: Node) -> int:
    return node.log().count("the build failed here")


def test_it_is_flipped_back_told_and_not_tried_again_until_told(
    node: Node, control: ControlPlane
) -> None:
    first, bad = deploy(node, minimum_healthy=1.0)
    until(lambda: (report := control.report()) and report.failed == Failure(bad, 1))
    until(lambda: control.reported(first))
    assert node.serves() == "A", "the one before was restarted"
    report = control.report()
    assert report is not None and "the app was not healthy within 4 s" in report.error
    assert report.output.splitlines()[-1] == LAST_WORDS
    assert failures(node) == 1

    control.signal(bad, base=first)
    until(lambda: control.reported(first))
    node.kill_agent()
    node.start_agent()
    control.signal(bad, base=first, fraction=0.9)
    until(lambda: control.reported(first))
    report = control.report()
    assert report is not None and "failed here; waiting to be told to retry" in report.why
    assert (failures(node), node.serves()) == (1, "A")

    control.signal(bad, base=first, attempt=2)
    until(lambda: (report := control.report()) and report.failed == Failure(bad, 2))
    until(lambda: control.reported(first))
    assert (failures(node), node.serves()) == (2, "A")


def test_without_a_minimum_the_same_build_passes_for_healthy(
    node: Node, control: ControlPlane
) -> None:
    _, bad = deploy(node, minimum_healthy=0.0)
    until(lambda: control.reported(bad))
    assert failures(node) == 0
