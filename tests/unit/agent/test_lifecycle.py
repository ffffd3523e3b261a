"""Hooks: bounded in time, output and descendants."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headway.agent.config import Hook
from headway.agent.lifecycle import Hooks
from headway.agent.processes import MARK
from headway.agent.restart import restart
from headway.agent.state import Memory
from headway.agent.strategies import CommandRestart, NoRestart, SignalRestart
from headway.errors import HookFailed
from tests.unit.agent.agent_shelf import until

PYTHON = sys.executable


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    return Hooks(Memory(tmp_path), tmp_path)


def python(code: str, timeout: float = 30.0, **rest: object) -> Hook:
    return Hook((PYTHON, "-c", code), timeout, **rest)  # type: ignore[arg-type]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_environment_is_clean(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s")
    hook = python("import os; print(*sorted(os.environ), os.environ['MINE'])", env={"MINE": "42"})
    words = hooks.run("prepare", hook, {"HEADWAY_APP": "web"}).split()
    assert set(words) - {"LC_CTYPE"} == {"HEADWAY_APP", MARK, "LANG", "MINE", "PATH", "42"}


def test_both_outputs_are_kept_but_only_their_end(hooks: Hooks) -> None:
    hook = python(
        "import sys; print('x' * 500_000, flush=True); print('last words', file=sys.stderr)"
    )
    output = hooks.run("prepare", hook, {})
    assert len(output) == 8000
    assert output.endswith("last words\n")


def test_a_failing_hook_says_how_and_what(hooks: Hooks) -> None:
    with pytest.raises(HookFailed, match="the drain hook failed: it exited with 3") as raised:
        hooks.run("drain", python("print('why'); raise SystemExit(3)"), {})
    assert raised.value.output == "why\n"
    with pytest.raises(HookFailed, match="it was ended by SIGTERM"):
        hooks.run("drain", python("import os; os.kill(os.getpid(), 15)"), {})
    with pytest.raises(HookFailed, match="the drain hook cannot start"):
        hooks.run("drain", Hook(("/no/such/program",)), {})


FAMILY = """
import os, subprocess, sys, time
own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
away = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                        start_new_session=True)
print(os.getpid(), own.pid, away.pid, flush=True)
open("family", "w").write(f"{os.getpid()} {own.pid} {away.pid}")
time.sleep(600)
"""


def test_a_timeout_ends_the_whole_family(hooks: Hooks) -> None:
    """Also a descendant that has left the process group."""
    with pytest.raises(HookFailed, match="took longer than 2 s") as raised:
        hooks.run("prepare", python(FAMILY, timeout=2.0), {})
    family = [int(word) for word in raised.value.output.split()]
    assert len(family) == 3
    assert not [process for process in family if is_alive(process)]


def test_proceed_may_end_a_hook(hooks: Hooks, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def proceed() -> None:
        if (tmp_path / "family").exists() and (tmp_path / "family").read_text():
            raise Enough

    with pytest.raises(Enough):
        hooks.run("prepare", python(FAMILY), {}, proceed=proceed)
    family = [int(word) for word in (tmp_path / "family").read_text().split()]
    assert not [process for process in family if is_alive(process)]


def test_orphans_of_a_dead_agent_are_killed(tmp_path: Path) -> None:
    """The mark is on the disk before the hook is started, so none can be missed."""
    hooks = Hooks(Memory(tmp_path), tmp_path)
    record = tmp_path / "family"

    def run() -> None:
        with pytest.raises(HookFailed, match="ended by SIGKILL"):
            hooks.run("prepare", python(FAMILY), {})

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: record.exists() and record.read_text())
    family = [int(word) for word in record.read_text().split()]
    assert all(is_alive(process) for process in family)
    assert Hooks(Memory(tmp_path), tmp_path).bury() == 3
    thread.join()
    until(lambda: not [process for process in family if is_alive(process)])
    assert Hooks(Memory(tmp_path), tmp_path).bury() == 0


def test_what_a_finished_hook_leaves_running_is_left_alone(hooks: Hooks, tmp_path: Path) -> None:
    """A restart command may start the app."""
    code = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(600)'], start_new_session=True).pid)"
    )
    process = int(hooks.run("restart", python(code), {}))
    try:
        assert Hooks(Memory(tmp_path), tmp_path).bury() == 0
        assert is_alive(process)
    finally:
        os.kill(process, signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may run a hook as somebody else")
def test_a_hook_runs_as_its_user(hooks: Hooks) -> None:
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    hook = Hook(("/usr/bin/env", "python3", "-c", code), user="nobody")
    uid, gid = hooks.run("prepare", hook, {}, cwd=Path("/")).split()[:2]
    assert (uid, gid) == ("65534", "65534")
    with pytest.raises(HookFailed, match="'no-such-user' does not exist"):
        hooks.run("prepare", Hook(("/bin/true",), user="no-such-user"), {})


def test_restart_by_signal(hooks: Hooks, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    how = SignalRestart(pidfile, "SIGTERM")
    with pytest.raises(HookFailed, match="there is no pidfile"):
        restart(how, hooks, {})
    sleeper = subprocess.Popen(["/bin/sleep", "600"])
    pidfile.write_text(f"{sleeper.pid}\n")
    restart(how, hooks, {})
    assert sleeper.wait(20) == -signal.SIGTERM
    with pytest.raises(HookFailed, match="does not exist; is the app running"):
        restart(how, hooks, {})
    for content in ["", "-1", "0", "1", "many"]:
        pidfile.write_text(content)
        with pytest.raises(HookFailed, match="holds no process number"):
            restart(how, hooks, {})
    restart(NoRestart(), hooks, {})


def test_restart_by_command(hooks: Hooks) -> None:
    with pytest.raises(HookFailed, match="the restart hook failed: it exited with 1"):
        restart(CommandRestart(("/bin/false",)), hooks, {})
