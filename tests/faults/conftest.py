"""Labs for the tests of faults, made where the machine allows it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.faults.disks import apart, obstacle
from tests.faults.labs import CallLab, PowerLab


@pytest.fixture(scope="session")
def _call_labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], CallLab]]:
    made: list[CallLab] = []

    def make(strace: str) -> CallLab:
        if not made:
            made.append(CallLab(tmp_path_factory.mktemp("faults"), strace))
        return made[0]

    yield make
    for lab in made:
        lab.close()


@pytest.fixture
def call_lab(program: Callable[[str], str], _call_labs: Callable[[str], CallLab]) -> CallLab:
    """Where system calls can be made to fail; needs ptrace."""
    strace = program("strace")
    tried = subprocess.run(
        [strace, "-o", os.devnull, sys.executable, "-c", ""],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        _cannot(f"strace may not trace here (it needs root or ptrace): {tried.stderr}")
    return _call_labs(strace)


@pytest.fixture
def power_lab(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Callable[[str], PowerLab]]:
    """Makes a place where the power can be cut, on a kind of file system; needs root."""
    with ExitStack() as made:

        def make(kind: str) -> PowerLab:
            program(f"mkfs.{kind}")
            if os.geteuid() != 0:
                _cannot("mounting needs root")
            made.enter_context(apart())
            if reason := obstacle(tmp_path):
                _cannot(reason)
            return made.enter_context(closing(PowerLab(tmp_path / "lab", kind)))

        yield make


def _cannot(reason: str) -> None:
    """Skip, plainly; where nothing may be left out, that is a failure."""
    if os.environ.get("HEADWAY_REQUIRE_SERVERS"):
        pytest.fail(reason)
    pytest.skip(reason)
