"""A Python application whose prepare hook makes its virtual environment beside the slots."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.agent.config import load
from headway.agent.state import Slot
from headway.model.build import Failure
from tests.acceptance.agent_stage import EXAMPLE, ControlPlane, Node, until

VENVAPP = EXAMPLE.with_name("venvapp")

RESTART = """\
import os, pathlib, signal, subprocess, sys
start, root, pidfile, port = sys.argv[1:]
if os.path.exists(pidfile):
    os.kill(int(pathlib.Path(pidfile).read_text()), signal.SIGKILL)
with open(pidfile + ".log", "ab") as log:
    process = subprocess.Popen([sys.executable, start, "--root", root, "--port", port],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
pathlib.Path(pidfile).write_text(str(process.pid))
"""


class VenvNode(Node):
    def build(self, release: str, version: str, spoil: bool = False) -> str:
        """Build the example with a dependency of this version, and publish it."""
        source = self.place / f"checkout-{release}"
        shutil.copytree(VENVAPP, source)
        init = source / "src" / "greeting" / "__init__.py"
        init.write_text(init.read_text().replace('"1.0"', f'"{version}"'))
        (source / "src" / "release.txt").write_text(release)
        subprocess.run([sys.executable, str(source / "make_build.py")], check=True)
        if spoil:
            [wheel] = (source / "dist" / "wheels").iterdir()
            wheel.write_bytes(wheel.read_bytes() + b"\0")

        def replace(tree: Path) -> None:
            shutil.rmtree(tree)
            shutil.copytree(source / "dist", tree)

        return self.control.publish(release, replace)

    def write(self) -> None:
        script = self.place / "restart.py"
        script.write_text(RESTART)
        pidfile = self.place / "venvapp.pid"
        restart = [sys.executable, str(script), str(VENVAPP / "start.py"), str(self.app)]
        text = self.configure().read_text()
        signalled = 'strategy = "signal"\npidfile = "web.pid"\n'
        assert signalled in text
        argv = json.dumps([*restart, str(pidfile), str(self.port)])
        text = text.replace(signalled, f'strategy = "command"\nargv = {argv}\n')
        text = text.replace("timeout = 4\n", "timeout = 20\n")
        prepare = json.dumps([sys.executable, "-B", "environment.py"])
        (self.place / "agent.toml").write_text(f"{text}\n[apps.prepare]\nargv = {prepare}\n")

    def environments(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (self.app / "environments").iterdir()}

    def slot(self, build: str) -> Slot:
        return next(slot for slot in self.state().slots.values() if slot.build == build)

    def greets(self) -> str:
        return self.get()[1].decode()

    def stop(self) -> None:
        super().stop()
        pidfile = self.place / "venvapp.pid"
        if pidfile.exists():
            os.kill(int(pidfile.read_text()), signal.SIGKILL)

    def bring(self, build: str, base: str | None) -> None:
        self.control.signal(build, base)
        until(lambda: self.control.reported(build), within=90)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[VenvNode]:
    (tmp_path / "plane").mkdir()
    control = ControlPlane(tmp_path / "plane")
    control.open()
    node = VenvNode(tmp_path, control)
    try:
        yield node
    finally:
        node.stop()
        control.close()


def test_environments_are_made_once_kept_for_a_revert_and_never_in_the_tree(node: VenvNode) -> None:
    first, second = node.build("A", "1.0"), node.build("B", "1.0")
    third, broken = node.build("C", "2.0"), node.build("D", "3.0", spoil=True)
    node.write()
    node.control.seat()
    node.start_agent()
    node.bring(first, None)
    assert node.greets() == "Hello, world! This is greeting 1.0.\n"
    one = node.environments()
    assert len(one) == 1

    node.bring(second, first)
    assert node.environments() == one, "the same lock file and interpreter: nothing to install"
    until(lambda: node.slot(first).exact)

    node.bring(third, second)
    assert node.greets() == "Hello, world! This is greeting 2.0.\n"
    assert node.environments().items() > one.items()

    node.control.signal(broken, third)
    until(lambda: node.state().failed == Failure(broken, 1), within=90)
    until(lambda: node.control.reported(third))
    report = node.control.report()
    assert report is not None
    assert "the prepare hook failed: it exited with 1" in report.error
    assert "HASHES" in report.output
    assert node.greets() == "Hello, world! This is greeting 2.0.\n"

    node.bring(second, third)
    assert node.greets() == "Hello, world! This is greeting 1.0.\n"
    assert node.environments().items() >= one.items()


def test_an_interrupted_environment_is_made_again(tmp_path: Path) -> None:
    tree = tmp_path / "slots" / "1"
    shutil.copytree(VENVAPP, tmp_path / "checkout")
    subprocess.run([sys.executable, str(tmp_path / "checkout" / "make_build.py")], check=True)
    shutil.copytree(tmp_path / "checkout" / "dist", tree)
    where = [sys.executable, "-B", "-c", "import environment; print(environment.path())"]
    made = Path(subprocess.check_output(where, cwd=tree, text=True).strip())
    (made / "half").mkdir(parents=True)
    (tmp_path / "environments" / "of-a-build-long-gone").mkdir()
    hook = [sys.executable, "-B", str(tree / "environment.py")]
    subprocess.run(hook, check=True, capture_output=True)
    assert list(made.glob("lib/python*/site-packages/greeting/__init__.py"))
    assert not (made / "half").exists()
    assert list((tmp_path / "environments").iterdir()) == [made]
    again = subprocess.run(hook, check=True, capture_output=True, text=True)
    assert again.stdout == f"{made} is there already\n"


def test_the_examples_configuration_is_valid() -> None:
    [app] = load(VENVAPP / "agent.toml").apps
    assert app.prepare is not None and app.prepare.argv[-1] == "environment.py"
