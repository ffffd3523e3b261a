"""The demo, as a newcomer runs it: the story holds, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HEADWAY = [sys.executable, "-m", "headway", "demo"]


def processes_of(home: Path) -> list[int]:
    """Processes whose command line speaks of ``home``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(home).encode() in command:
                found.append(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(tmp_path: Path) -> Iterator[None]:
    yield
    for pid in processes_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


def check(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, (told, done.stderr[-3000:])
    assert told["failed_requests"] == 0
    assert told["torn_responses"] == 0
    assert told["requests"] > 200 * told["deploy_seconds"]
    assert told["reverted"] is True
    assert 0 < told["share_at_detection"] <= 0.10
    assert 0 < told["revert_seconds"] < told["deploy_seconds"]
    return told


def test_the_story_holds_and_nothing_is_left(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    done = subprocess.run(
        [*HEADWAY, "--once", "--json", "--dir", str(home)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    check(done)
    assert "errors on canary" in done.stderr
    assert "is live on every node" in done.stderr
    assert processes_of(home) == []
    for log in (home / "logs").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cleans_up_after_itself(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        HEADWAY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + 60
    while len(processes_of(tmp_path)) < 30:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert "Traceback" not in output
    assert "Stopping" in output
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_killed_it_takes_its_processes_along(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*HEADWAY, "--dir", str(tmp_path / "demo")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while len(processes_of(tmp_path)) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    while processes_of(tmp_path):
        assert time.monotonic() < deadline, "processes outlive the demo"
        time.sleep(0.1)


def test_half_a_repository_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*HEADWAY, "--repo", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--repo, --from and --to go together" in done.stderr
