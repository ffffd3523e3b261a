"""Units of a real systemd: PID 1 of a namespace of the test's own, with a view of the machine."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.agent.lifecycle import Hooks
from headway.agent.restart import restart
from headway.agent.state import Memory
from headway.agent.strategies import SystemdRestart
from headway.errors import HookFailed
from tests.acceptance.agent_stage import EXAMPLE, ControlPlane, children, until
from tests.acceptance.balancer import Balancer, all_up
from tests.acceptance.graceful_stage import Clients, Instances, alternating, missing

UNIT = "DefaultDependencies=no\nStartLimitIntervalSec=0\n"
"""Nothing of the machine's is needed, and ten restarts in ten seconds are no accident here."""
SYSTEMD = "/usr/lib/systemd/systemd"


class Systemd:
    """A booted systemd; ``enter`` is put before a command to run it there."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.units = place / "units"
        self._group = f"headway-{os.getpid()}"
        self._log = place / "systemd.log"
        for directory in (self.units, place / "over"):
            directory.mkdir()
        self.unit("headway.target", "")

    def unit(self, name: str, rest: str) -> None:
        text = f"[Unit]\nDescription={name}\n{UNIT}{rest}"
        (self.units / name).write_text(text)

    def boot(self) -> None:
        script = str(Path(__file__).with_name("systemd_boot.sh"))
        repository = str(Path(__file__).parents[2])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--kill-child"),
                    *("sh", script, str(self.place), self._group, repository, sys.prefix),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: self._process.poll() is not None or self._is_running())

    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def enter(self) -> tuple[str, ...]:
        [first] = children(self._process.pid)
        return ("nsenter", "-t", str(first), "-m", "-p", "-r", "-w")

    def systemctl(self, *words: str) -> str:
        command = [*self.enter, "systemctl", *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60
        ).stdout.strip()

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-1000:]

    def end(self) -> None:
        """Kill it and all that it runs, and remove its cgroup as soon as that is empty."""
        booted = self.is_alive()
        self._process.kill()
        self._process.wait()
        tidy = 'mount -t cgroup2 cgroup2 "$1"; find "$1/$2" -depth -type d -exec rmdir {} +'
        argv = ["unshare", "--mount", "sh", "-euc", tidy, "sh", str(self.place / "over")]

        def tidied() -> bool:
            done = subprocess.run([*argv, self._group], check=False, capture_output=True)
            return done.returncode == 0

        until(lambda: tidied() or not booted)

    def _is_running(self) -> bool:
        # Before it is systemd it is a shell, with an unshare for a while.
        with contextlib.suppress(ValueError):
            return self.systemctl("is-system-running") == "running"
        return False


@pytest.fixture
def systemd(program: Callable[[str], str], tmp_path: Path) -> Iterator[Systemd]:
    if os.getuid() != 0:
        missing("only root may boot a systemd")
    for name in ("systemctl", "unshare", "nsenter", SYSTEMD):
        program(name)
    place = tmp_path / "systemd"
    place.mkdir()
    systemd = Systemd(place)
    systemd.boot()
    try:
        if not systemd.is_alive():
            missing(f"systemd cannot be booted here: {systemd.said()}")
        yield systemd
    finally:
        systemd.end()


@pytest.fixture
def node(systemd: Systemd) -> Iterator[Instances]:
    """Instances of a template unit that dies hard when it is stopped."""
    place = systemd.place
    (place / "plane").mkdir()
    control = ControlPlane(place / "plane")
    control.open()
    node = Instances(place, control, *systemd.enter)
    for name, port in node.ports.items():
        (place / f"web-{name}.env").write_text(f"PORT={port}\n")
    systemd.unit(
        "web@.service",
        f"""[Service]
Type=exec
EnvironmentFile={place}/web-%i.env
ExecStart={sys.executable} {EXAMPLE}/server.py --root {node.app} --port ${{PORT}} \\
  --pidfile {place}/web-%i.pid
ExecReload=/bin/kill -HUP $MAINPID
KillSignal=SIGKILL
""",
    )
    systemd.systemctl("daemon-reload")
    yield node
    node.stop_agent()
    control.close()


def main_process(systemd: Systemd, unit: str) -> str:
    return systemd.systemctl("show", "--property=MainPID", "--value", unit)


UNITS = 'strategy = "systemd"\nunit = "web@{instance}.service"\n'


def test_ten_deploys_of_template_instances_lose_nothing(
    systemd: Systemd, node: Instances, program: Callable[[str], str]
) -> None:
    balancer = Balancer(program("haproxy"), systemd.place, node)
    try:
        node.write(balancer.traffic(), UNITS)
        steps = alternating(node, 10)
        before, after = next(steps)
        until(lambda: all_up(balancer))
        with Clients(("127.0.0.1", balancer.port)) as clients:
            node.bring(after, before)
            for before, after in steps:
                old = [main_process(systemd, f"web@{name}") for name in node.ports]
                node.bring(after, before)
                new = [main_process(systemd, f"web@{name}") for name in node.ports]
                assert not set(old) & set(new), "each was restarted"
        assert clients.failed == []
        assert clients.releases == {"A", "B"}
        assert clients.slow > 20
    finally:
        balancer.end()


def test_units_that_reload_need_no_draining(systemd: Systemd, node: Instances) -> None:
    node.write("", UNITS + 'action = "reload-or-restart"\n')
    steps = alternating(node, 2)
    before, after = next(steps)
    old = [main_process(systemd, f"web@{name}") for name in node.ports]
    with Clients(("127.0.0.1", node.ports["1"])) as clients:
        node.bring(after, before)
        node.bring(before, after)
    assert clients.failed == []
    assert clients.releases == {"A", "B"}
    assert [main_process(systemd, f"web@{name}") for name in node.ports] == old


def test_a_unit_that_fails_is_told_with_its_last_lines(systemd: Systemd, node: Instances) -> None:
    node.write("", UNITS)
    bad = node.published("bad")
    good, _ = next(alternating(node, 1))
    systemd.unit("web@.service", "[Service]\nType=exec\nExecStart=/no/such/program --flag\n")
    systemd.systemctl("daemon-reload")
    node.control.signal(bad, good)
    until(lambda: (report := node.control.report()) is not None and report.failed is not None)
    report = node.control.report()
    assert report is not None and "the restart hook failed" in report.error
    assert "/no/such/program" in report.output
    assert "web@1.service" in report.output


@pytest.fixture
def restarting(
    systemd: Systemd, tmp_path: Path, program: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[SystemdRestart], str]:
    """Restart from here, by a ``systemctl`` that is the real one in there."""
    own = tmp_path / "bin"
    own.mkdir()
    # By its whole path: where TMPDIR is seen in there too, the search would find ours again.
    command = " ".join((*systemd.enter, program("systemctl")))
    (own / "systemctl").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (own / "systemctl").chmod(0o755)
    monkeypatch.setattr("headway.agent.lifecycle.PATH", f"{own}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{own}:{os.environ['PATH']}")
    hooks = Hooks(Memory(tmp_path), tmp_path)
    return lambda how: restart(how, hooks, {})


def test_what_never_becomes_active_is_told(
    systemd: Systemd, restarting: Callable[[SystemdRestart], str]
) -> None:
    systemd.unit("short.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    systemd.unit("stuck.service", "[Service]\nType=notify\nExecStart=/bin/sleep 600\n")
    systemd.systemctl("daemon-reload")
    with pytest.raises(HookFailed, match=r"the unit short\.service is inactive, not active"):
        restarting(SystemdRestart("short.service"))
    with pytest.raises(HookFailed, match=r"took longer than [\d.]+ s"):
        restarting(SystemdRestart("stuck.service", timeout=0.5))
    with pytest.raises(HookFailed, match="it exited with 5") as raised:
        restarting(SystemdRestart("none.service"))
    assert "none.service not found" in raised.value.output
