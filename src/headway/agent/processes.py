"""What ``/proc`` tells: which slots live processes use, and which processes a hook left behind."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = "HEADWAY_HOOK"
"""The environment variable by which the processes of a hook are found again."""

_PROC = Path("/proc")


def in_use(directories: Iterable[Path]) -> set[Path]:
    """Those of ``directories`` beneath which a process works, runs, or has a file open or mapped.

    Processes that the agent may not look into cannot be counted.
    """
    found: set[Path] = set()
    sought = {os.fsencode(directory.resolve()): directory for directory in directories}
    for process in _processes():
        if process.name == str(os.getpid()):
            continue
        for use in _uses(process):
            found.update(
                directory
                for path, directory in sought.items()
                if use == path or use.startswith(path + b"/")
            )
        maps = _content(process / "maps")
        found.update(directory for path, directory in sought.items() if path + b"/" in maps)
    return found


def kill_marked(token: str) -> int:
    """Kill every process that carries the mark ``token``; returns how many there were."""
    mark = os.fsencode(f"{MARK}={token}")
    killed: set[str] = set()
    # A process may fork while its parent is being killed: look until none is left.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        environments = ((process, _content(process / "environ")) for process in _processes())
        marked = [process for process, text in environments if mark in text.split(b"\0")]
        if not marked:
            break
        for process in marked:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.name), signal.SIGKILL)
            killed.add(process.name)
        time.sleep(0.01)
    return len(killed)


def _processes() -> Iterator[Path]:
    return (entry for entry in _PROC.iterdir() if entry.name.isdigit())


def _uses(process: Path) -> Iterator[bytes]:
    links = [process / name for name in ("cwd", "root", "exe")]
    with contextlib.suppress(OSError):
        links += (process / "fd").iterdir()
    for link in links:
        with contextlib.suppress(OSError):
            yield os.fsencode(link.readlink())
    yield from _content(process / "cmdline").split(b"\0")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
