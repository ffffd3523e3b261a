"""A disk of the test's own, whose power can be cut: a file system in a file, mounted by a loop.

The cut is the file system's shutdown ioctl: from then on nothing is written any more and every
call fails. With LOGFLUSH the journal is still written, as when a disk had just taken it; with
NOLOGFLUSH not even that. Unmounting and mounting again replays the journal, as a boot does.

It is mounted in a mount namespace of the test's own, ``apart``: whoever makes a namespace elsewhere
takes a copy of every mount into it, and a file system that somebody else has a copy of is not gone
when it is unmounted.
"""

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

LOGFLUSH, NOLOGFLUSH = 1, 2
_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, and XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)."""

_NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS."""

MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
}
SIZE = 320 * 1024 * 1024
"""In bytes; the file is sparse. XFS makes nothing smaller than 300 MB."""


class Disk:
    """One file system, mounted at ``mount``."""

    def __init__(self, place: Path, kind: str) -> None:
        place.mkdir()
        self.mount = place / "mount"
        self.mount.mkdir()
        self._image = place / "image"
        with self._image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run([*MAKE[kind], self._image], check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        subprocess.run(
            ["mount", "-o", "loop", self._image, self.mount], check=True, capture_output=True
        )

    def cut(self, flag: int) -> None:
        """The power goes."""
        handle = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(handle)

    def reboot(self) -> None:
        """What is in memory is gone; the journal is replayed."""
        self.stop()
        self.start()

    def stop(self) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", self.mount], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, f"{self.mount} stays busy"
            time.sleep(0.01)


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Be, with this thread and all that it starts, where nobody else sees or copies a mount."""
    libc, here = ctypes.CDLL(None, use_errno=True), Path.cwd()
    with Path("/proc/thread-self/ns/mnt").open() as home:
        if libc.unshare(_NEW_MOUNTS):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            yield
        finally:
            if libc.setns(home.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
            os.chdir(here)


def obstacle(place: Path) -> str:
    """Why no disk can be had here; empty where it can."""
    image, mount = place / "trial.image", place / "trial"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, capture_output=True)
    tried = subprocess.run(
        ["mount", "-o", "loop", image, mount], check=False, capture_output=True, text=True
    )
    if tried.returncode:
        return f"this machine mounts no loop devices: {tried.stderr.strip()}"
    subprocess.run(["umount", mount], check=True)
    return ""
