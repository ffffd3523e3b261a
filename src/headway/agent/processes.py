"""What ``/proc`` tells: which slots live processes use, and which processes a hook left behind."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "HEADWAY_HOOK"
"""The environment variable by which the processes of a hook are found again."""

_PROC = "/proc"
_ONE_THREAD = 3
"""How many links the directory of a process's threads has when there is only one."""


def in_use(directories: Iterable[Path]) -> set[Path]:
    """Those of ``directories`` beneath which a process works, runs, or has a file open or mapped.

    Processes that the agent may not look into cannot be counted.
    """
    sought = {os.fsdecode(directory.resolve()) + "/": directory for directory in directories}
    found: set[str] = set()
    # A server may have tens of thousands of open files.
    beneath = tuple(sought)
    mapped = {path: os.fsencode(path) for path in sought}
    own = str(os.getpid())
    for number in _processes():
        process = _alive(f"{_PROC}/{number}")
        if number == own or process is None:
            continue
        used = [use for use in _uses(process) if f"{use}/".startswith(beneath)]
        found.update(path for path in sought if any(f"{use}/".startswith(path) for use in used))
        maps = _content(f"{process}/maps")
        found.update(path for path, name in mapped.items() if name in maps)
    return {sought[path] for path in found}


def kill_marked(token: str) -> int:
    """Kill every process that carries the mark ``token``; returns how many there were."""
    mark = os.fsencode(f"{MARK}={token}")
    killed: set[str] = set()
    # A process may fork while its parent is being killed: look until none is left.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        environments = ((number, _content(f"{_PROC}/{number}/environ")) for number in _processes())
        marked = [number for number, text in environments if mark in text.split(b"\0")]
        if not marked:
            break
        for number in marked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(number), signal.SIGKILL)
            killed.add(number)
        time.sleep(0.01)
    return len(killed)


def _processes() -> list[str]:
    return [name for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208


def _alive(process: str) -> str | None:
    """Where ``/proc`` tells of a process: with a thread of it when its first one has ended.

    None for threads of the kernel and for zombies, which use nothing.
    """
    with contextlib.suppress(OSError):
        if _is_program(process):
            return process
        threads = f"{process}/task"
        if os.stat(threads).st_nlink > _ONE_THREAD:  # noqa: PTH116
            names = os.listdir(threads)  # noqa: PTH208
            return next(filter(_is_program, (f"{threads}/{name}" for name in names)), None)
    return None


def _is_program(process: str) -> bool:
    try:
        os.readlink(f"{process}/exe")  # noqa: PTH115
    except FileNotFoundError:
        return False
    except PermissionError:
        pass
    return True


def _uses(process: str) -> Iterator[str]:
    for name in ("cwd", "root", "exe"):
        with contextlib.suppress(OSError):
            yield os.readlink(f"{process}/{name}")  # noqa: PTH115
    try:
        descriptors = os.listdir(f"{process}/fd")  # noqa: PTH208
    except OSError:
        descriptors = []
    for name in descriptors:
        try:
            yield os.readlink(f"{process}/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
    yield from map(os.fsdecode, _content(f"{process}/cmdline").split(b"\0"))


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall()
    except OSError:
        return b""
