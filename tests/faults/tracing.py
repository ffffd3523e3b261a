"""System calls of one process: which it makes, and making the n-th of one kind fail or kill."""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

NOT_FILES = {"mmap", "munmap", "mprotect", "mremap", "brk"}
"""Calls that strace counts among those on descriptors, though here they are about memory."""

_CALL = re.compile(r"(?:\d+ +)?([a-z0-9_]+)\(")


class Tracer:
    """strace, attached to a process that stands still and is then continued."""

    def __init__(self, strace: str, process: int, *arguments: str) -> None:
        self._strace = subprocess.Popen(
            [strace, "-f", "-q", "-p", str(process), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 20
        while "TracerPid:\t0\n" in Path(f"/proc/{process}/status").read_text():
            assert self._strace.poll() is None, self._complaint()
            assert time.monotonic() < deadline, "strace does not attach"
            time.sleep(0.0005)
        os.kill(process, signal.SIGCONT)

    def wait(self) -> None:
        """Until strace has ended, with the process."""
        self._complaint()
        self._strace.wait()

    def _complaint(self) -> str:
        return self._strace.communicate(timeout=60)[1]


def calls(trace: Path) -> Counter[str]:
    """How often each system call occurs in a trace."""
    found = (_CALL.match(line) for line in trace.read_text("utf-8", "replace").splitlines())
    names = (match[1] for match in found if match)
    return Counter(name for name in names if name not in NOT_FILES)
