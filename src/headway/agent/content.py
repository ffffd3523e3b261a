"""The content store of one app on a node: read-only files by digest, from which slots are linked.

What lies under its digest is whole: it arrives in ``incoming/``, and gets its name only after
the file system has been synced. It may be linked into a slot before, which is not relied upon
before that either. Executables are files of their own (``<digest>x``), because
hard links share their mode. The modification time is derived from the digest, so that caches
keyed by it notice every change, and so that a slot can be checked without reading it.

What is found damaged moves to ``damaged/``, where nothing is linked from, so that it is fetched
again; there it is still known by its inode wherever a slot holds it, and goes with the last one.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from headway.agent import durable
from headway.builds.manifest import Difference
from headway.model.build import Entry, Kind

MODES = {Kind.FILE: 0o444, Kind.EXECUTABLE: 0o555}
_DAMAGED = "damaged"
_PACE = 200
"""How many unneeded objects are removed before others may use the disk."""


def modified(digest: str) -> int:
    """The modification time, in nanoseconds, of every file with this content (2001 to 2009)."""
    return (1_000_000_000 + int(digest[:7], 16)) * 10**9 + int(digest[7:15], 16) % 10**9


class Content:
    """The directory ``store`` of an app."""

    def __init__(self, path: Path) -> None:
        self.path = path
        durable.make_directory(path / "incoming")
        durable.make_directory(path / _DAMAGED)
        self._store = os.open(path, durable.DIRECTORY)
        self._arrived: set[tuple[str, Kind]] = set()
        self.discard()

    def close(self) -> None:
        """Release the handle of the directory."""
        with contextlib.suppress(OSError):
            os.close(self._store)

    def missing(self, changes: Iterable[Difference]) -> dict[str, int]:
        """Digest and size in bytes of what the changes bring and the store does not hold."""
        return {
            after.digest: after.size
            for _, _, after in changes
            if after is not None and after.kind in MODES and not self._holds(after)
        }

    def file(self, digest: str) -> Path | None:
        """Where this content lies, if it is here."""
        paths = (self.path / self._whereabouts(digest, kind) for kind in MODES)
        return next((path for path in paths if path.is_file()), None)

    def add(self, digest: str, chunks: Iterator[bytes]) -> None:
        """Take in one content; ``chunks`` raises at its end unless it has this digest."""
        with self._incoming(digest, Kind.FILE) as handle:
            for chunk in chunks:
                durable.write(handle, chunk)
        self._arrived.add((digest, Kind.FILE))

    @property
    def waiting(self) -> int:
        """How many contents have arrived and have no name yet."""
        return len(self._arrived)

    def sync(self) -> None:
        """Write out everything on this file system: the content, and the links to it."""
        durable.sync_file_system(self._store)

    def commit(self) -> None:
        """Give everything that has arrived its name, once it is on the disk."""
        self.sync()
        for digest, kind in sorted(self._arrived):
            place = _place(digest, kind)
            with contextlib.suppress(FileExistsError):
                os.mkdir(place[:2], 0o755, dir_fd=self._store)
            arrival = _arrival(digest, kind)
            os.rename(arrival, place, src_dir_fd=self._store, dst_dir_fd=self._store)
            self._arrived.remove((digest, kind))

    def discard(self) -> None:
        """Forget what has arrived, and whatever an interrupted agent left in ``incoming/``."""
        self._arrived.clear()
        with durable.opened("incoming", self._store) as incoming:
            for name in os.listdir(incoming):  # noqa: PTH208
                os.unlink(name, dir_fd=incoming)

    def link(self, entry: Entry, name: str, directory: int) -> None:
        """Make ``name``, which must not exist, in the open ``directory`` a link to the content.

        A file system that allows no more links to one file gets a second copy of it.
        """
        digest, kind = entry.digest, entry.kind
        try:
            self._link(self._whereabouts(digest, kind), name, directory)
        except FileNotFoundError:
            if kind is not Kind.EXECUTABLE:
                raise
            self._copy(digest, Kind.FILE, kind)
            self._link(_arrival(digest, kind), name, directory)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._copy(digest, kind, kind)
            self._link(_arrival(digest, kind), name, directory)

    def relink(self, entry: Entry, name: str, directory: int) -> None:
        """Put a link to the content in the place of the file ``name``, at once."""
        spare = f"incoming/{entry.digest}.link"
        try:
            self.link(entry, spare, self._store)
        except FileExistsError:
            self._unlink(spare)
            self.link(entry, spare, self._store)
        os.rename(spare, name, src_dir_fd=self._store, dst_dir_fd=directory)
        # A rename between two links of one file does nothing, and leaves both names.
        self._unlink(spare)

    def shelves(self) -> list[Path]:
        """The directories with content, that of damaged content first."""
        return [self.path / _DAMAGED, *sorted(self.path.glob("[0-9a-f][0-9a-f]"))]

    def is_own(self, entry: Entry, found: os.stat_result) -> bool:
        """Whether this file is the very one that the entry's content is linked from."""
        try:
            place = self._whereabouts(entry.digest, entry.kind)
            mine = os.stat(place, dir_fd=self._store, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(mine, found)

    def set_aside(self, name: str) -> bool:
        """Take the damaged object ``name`` out of the store for good; False when it is out."""
        place = f"{name[:2]}/{name}"
        try:
            number = os.stat(place, dir_fd=self._store, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return False
        aside = f"{_DAMAGED}/{name}.{number}"
        os.rename(place, aside, src_dir_fd=self._store, dst_dir_fd=self._store)
        for directory in (_DAMAGED, name[:2]):
            with durable.opened(directory, self._store) as handle:
                os.fsync(handle)
        return True

    def collect(self, proceed: Callable[[], None]) -> int:
        """Name what has arrived; remove, at an easy pace, what no slot links to; returns how many.

        ``proceed`` is called again and again and may raise.
        """
        self.commit()
        removed = 0
        for shelf in self.shelves():
            proceed()
            for item in os.scandir(shelf):
                if item.stat(follow_symlinks=False).st_nlink == 1:
                    (shelf / item.name).unlink()
                    removed += 1
                    if removed % _PACE == 0:
                        time.sleep(0.05)
        return removed

    def _link(self, source: str, name: str, directory: int) -> None:
        os.link(source, name, src_dir_fd=self._store, dst_dir_fd=directory, follow_symlinks=False)

    def _whereabouts(self, digest: str, kind: Kind) -> str:
        has_arrived = (digest, kind) in self._arrived
        return _arrival(digest, kind) if has_arrived else _place(digest, kind)

    def _copy(self, digest: str, kind: Kind, into: Kind) -> None:
        """A second file with the same content arrives, as one of kind ``into``."""
        original = os.open(
            self._whereabouts(digest, kind),
            os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC,
            dir_fd=self._store,
        )
        with (
            os.fdopen(original, "rb") as source,
            self._incoming(digest, into) as handle,
        ):
            while chunk := source.read(1 << 20):
                durable.write(handle, chunk)
        self._arrived.add((digest, into))

    @contextlib.contextmanager
    def _incoming(self, digest: str, kind: Kind) -> Iterator[int]:
        """A new file in ``incoming/``; it vanishes again when its writing fails."""
        name = _arrival(digest, kind)
        try:
            handle = os.open(name, durable.NEW_FILE, 0o600, dir_fd=self._store)
        except FileExistsError:
            self._unlink(name)
            handle = os.open(name, durable.NEW_FILE, 0o600, dir_fd=self._store)
        try:
            try:
                yield handle
                os.fchmod(handle, MODES[kind])
                stamp = modified(digest)
                os.utime(handle, ns=(stamp, stamp))
            finally:
                os.close(handle)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._store)
            raise

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._store)

    def _holds(self, entry: Entry) -> bool:
        # An executable can be copied from a plain file, which is collected once it has been.
        for kind in dict.fromkeys((entry.kind, Kind.FILE)):
            place = self._whereabouts(entry.digest, kind)
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(place, dir_fd=self._store, follow_symlinks=False)
                return found.st_size == entry.size
        return False


def object_name(digest: str, kind: Kind) -> str:
    """The name of what a file of this kind is linked from."""
    return digest + ("x" if kind is Kind.EXECUTABLE else "")


def _place(digest: str, kind: Kind) -> str:
    return f"{digest[:2]}/{object_name(digest, kind)}"


def _arrival(digest: str, kind: Kind) -> str:
    return f"incoming/{object_name(digest, kind)}"
