"""The demo's processes: started in order, stopped in reverse, and never left behind."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from headway.errors import HookFailed

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Children:
    """Processes with a log file each. They end with the demo, even when that is killed."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start(
        self, name: str, argv: Sequence[str], env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a process in a session of its own, so that Ctrl-C reaches only the demo."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if name == "load" else subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == "load" else log,
                stderr=log,
                env={**os.environ, **(env or {})},
                text=True,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, os.getpid()),  # noqa: PLW1509 - no thread is running yet
            )
        self._processes[name] = process
        return process

    def dead(self) -> str:
        """One sentence about a process that has ended by itself, or an empty string."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                return f"{name} ended with {process.returncode}: {self.last_line(name)}"
        return ""

    def last_line(self, name: str) -> str:
        """The last line that a process has logged."""
        lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self, patience: float = 8.0) -> None:
        """End all, the last started first; kill what does not go."""
        processes = list(reversed(self._processes.values()))
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()


def run(argv: Sequence[str], env: dict[str, str], go_on: Callable[[], None]) -> str:
    """Run a command to its end; its output. Raises HookFailed with its last line.

    ``go_on`` is called all the while, and may raise; then the command is killed.
    """
    with subprocess.Popen(
        argv,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=0.2)
            except subprocess.TimeoutExpired:
                try:
                    go_on()
                except BaseException:
                    process.kill()
                    raise
            else:
                break
    if process.returncode:
        lines = (errors or output).strip().splitlines()
        raise HookFailed(f"`{' '.join(argv[:4])} …` failed: {lines[-1] if lines else ''}")
    return output


def headway(*arguments: str) -> list[str]:
    """The argv of Headway's own command line, in this very interpreter."""
    return [sys.executable, "-m", "headway", *arguments]


def _die_with_parent(parent: int) -> None:
    """In the new process: ask to be killed when the demo is, unless it has gone already."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
