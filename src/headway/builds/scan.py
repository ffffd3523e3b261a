"""Reading a directory tree into manifest entries."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from headway.builds.manifest import MAX_ENTRIES, check_path
from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import InvalidInput, Refused
from headway.model.build import Entry, Kind

_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def scan(root: Path, progress: Callable[[int], None] = lambda _: None) -> list[Entry]:
    """The entries beneath ``root``, in no particular order; a top-level ``.git`` is left out.

    ``progress`` is told how many entries there are so far. Raises Refused, naming the path, for
    what cannot be part of a build and for a file that changes while it is read.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InvalidInput(f"{root} cannot be read as a directory: {error.strerror}") from None
    entries: list[Entry] = []
    try:
        for entry in _walk(descriptor, ""):
            if entry.path == ".git":
                continue
            entries.append(entry)
            if len(entries) > MAX_ENTRIES:
                raise Refused(f"{root} has more than {MAX_ENTRIES} entries")
            progress(len(entries))
    finally:
        os.close(descriptor)
    return entries


def read_file(root: Path, entry: Entry) -> Iterator[bytes]:
    """The content of a file found by ``scan``; Refused, at the end, if it is another by now."""
    changed = Refused(f"{entry.path!a} changed while it was read; publish a tree at rest")
    try:
        descriptor = os.open(root / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise changed from None
    digest = sha256()
    left = entry.size
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise changed
        while piece := file.read(CHUNK_BYTES):
            left -= len(piece)
            if left < 0:
                raise changed
            digest.update(piece)
            yield piece
    if left or digest.hexdigest() != entry.digest:
        raise changed


def _walk(directory: int, prefix: str) -> Iterator[Entry]:
    with _explained(prefix), os.scandir(directory) as found:
        names = [item.name for item in found]
    for name in names:
        path = prefix + name
        if path == ".git":
            continue
        check_path(path)
        with _explained(path):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            yield Entry(path, Kind.DIRECTORY)
            with _explained(path):
                below = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory
                )
            try:
                yield from _walk(below, path + "/")
            finally:
                os.close(below)
        elif kind == stat.S_IFLNK:
            with _explained(path):
                yield Entry(path, Kind.LINK, target=os.readlink(name, dir_fd=directory))
        elif kind != stat.S_IFREG:
            raise Refused(f"{path!a} is {_KINDS.get(kind, 'no file')}, which no build can hold")
        elif status.st_mode & _SPECIAL_BITS:
            raise Refused(f"{path!a} is setuid, setgid or sticky; take that away with chmod")
        else:
            with _explained(path):
                yield _file(path, name, directory)


def _file(path: str, name: str, directory: int) -> Entry:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Refused(f"{path!a} changed while it was read; publish a tree at rest")
        digest = sha256()
        size = 0
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            size += len(piece)
        after = os.fstat(descriptor)
    if size != before.st_size or _stamp(before) != _stamp(after):
        raise Refused(f"{path!a} changed while it was read; publish a tree at rest")
    kind = Kind.EXECUTABLE if before.st_mode & stat.S_IXUSR else Kind.FILE
    return Entry(path, kind, size, digest.hexdigest())


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path or '.'!a} cannot be read: {error.strerror}") from None
