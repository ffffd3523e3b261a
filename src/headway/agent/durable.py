"""What survives a power cut: files replaced whole, and directories written without following links.

A name is durable when its directory has been synced, content when its file or its whole file
system has been; a rename alone is neither.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from headway.errors import StorageFailed

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; raise it or free some space",
    errno.EROFS: "the file system is read-only; remount it writable",
    errno.EIO: "the disk reports an input/output error; check it",
}
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def storing(what: str) -> Iterator[None]:
    """Turn an OSError into StorageFailed: one sentence of what could not be done, and why."""
    try:
        yield
    except OSError as error:
        reason = _ADVICE.get(error.errno or 0) or error.strerror or str(error)
        where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str) else ""
        raise StorageFailed(f"{what} failed: {reason}{where}; what served still serves") from error


@contextlib.contextmanager
def opened(path: Path | str, dir_fd: int | None = None) -> Iterator[int]:
    """An open handle of a directory that is not a link."""
    handle = os.open(path, DIRECTORY, dir_fd=dir_fd)
    try:
        yield handle
    finally:
        os.close(handle)


def write(handle: int, content: bytes) -> None:
    """Write all of ``content``. A disk that fills up may take a part of it without an error."""
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def make_directory(path: Path) -> None:
    """Make ``path`` and its parents, and make their names durable."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o755)
    with opened(path.parent) as parent:
        os.fsync(parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable, whoever has written them."""
    with opened(path) as handle:
        os.fsync(handle)


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Put ``content`` at ``directory/name`` durably: it holds the old or the new one, whole."""
    fresh = f".{name}.new"
    with opened(directory) as handle:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=handle)
        try:
            with os.fdopen(os.open(fresh, NEW_FILE, 0o600, dir_fd=handle), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(fresh, name, src_dir_fd=handle, dst_dir_fd=handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=handle)
            raise
        os.fsync(handle)


def sync_file_system(handle: int) -> None:
    """Write out everything that the file system of ``handle`` still holds in memory."""
    if _libc.syncfs(handle) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
