"""Reading a directory tree into a manifest."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from headway.builds import listing, manifest, pieces
from headway.builds.manifest import Manifest
from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import InvalidInput, Refused
from headway.model.build import Entry, Kind
from headway.model.names import Digest

_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def scan(root: Path, progress: Callable[[int], None] = lambda _: None) -> Manifest:
    """The manifest of the tree beneath ``root``, checked; a ``.git`` at its top is left out.

    ``progress`` is told how many entries there are so far. Raises Refused, naming the path, for
    what cannot be part of a build and for a file that changes while it is read.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InvalidInput(f"{root} cannot be read as a directory: {error.strerror}") from None
    try:
        listings: dict[Digest, bytes] = {}
        found = Manifest(_Walk(listings, progress).directory(descriptor, ""), listings)
    finally:
        os.close(descriptor)
    manifest.check(found)
    return found


def read_file(root: Path, path: str, entry: Entry) -> Iterator[bytes]:
    """The content of a file found by ``scan``; Refused, at the end, if it is another by now."""
    changed = Refused(f"{path!a} changed while it was read; publish a tree at rest")
    try:
        descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
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


class _Walk:
    """Makes the listings of a tree, the innermost first."""

    def __init__(self, listings: dict[Digest, bytes], progress: Callable[[int], None]) -> None:
        self._listings = listings
        self._progress = progress
        self._entries = 0

    def directory(self, descriptor: int, path: str, depth: int = 0) -> Digest:
        """The digest of the listing of the open directory at ``path``."""
        if depth >= manifest.MAX_DEPTH:
            raise Refused(f"{path[:300]!a}… is nested more than {manifest.MAX_DEPTH} deep")
        with _explained(path), os.scandir(descriptor) as found:
            names = sorted(item.name for item in found if path or item.name != ".git")
        entries = tuple(self._entry(descriptor, path, name, depth) for name in names)
        listing.check(entries, path, depth)
        listings = {listing.digest(content): content for content in pieces.encode(entries)}
        self._listings |= listings
        # That of the directory comes last.
        return list(listings)[-1]

    def _entry(self, directory: int, parent: str, name: str, depth: int) -> Entry:
        path = f"{parent}/{name}" if parent else name
        self._entries += 1
        if self._entries > manifest.MAX_ENTRIES:
            raise Refused(f"the tree has more than {manifest.MAX_ENTRIES} entries")
        self._progress(self._entries)
        with _explained(path):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                below = os.open(
                    name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory
                )
                try:
                    digest = self.directory(below, path, depth + 1)
                finally:
                    os.close(below)
                return Entry(name, Kind.DIRECTORY, digest=digest)
            if kind == stat.S_IFLNK:
                return Entry(name, Kind.LINK, target=os.readlink(name, dir_fd=directory))
            if kind != stat.S_IFREG:
                raise Refused(f"{path!a} is {_KINDS.get(kind, 'no file')}, which no build can hold")
            if status.st_mode & _SPECIAL_BITS:
                raise Refused(f"{path!a} is setuid, setgid or sticky; take that away with chmod")
            return _file(path, name, directory)


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
    return Entry(name, kind, size, digest.hexdigest())


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path or '.'!a} cannot be read: {error.strerror}") from None
