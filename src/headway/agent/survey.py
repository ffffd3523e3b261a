"""One slot held against the listings of its build: every name, mode, time, target and content.

Most files of a slot are links of what the store holds, whose content was read there, once. Only a
file of the slot's own is read here.
"""

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from headway.agent import durable, unnoticed
from headway.agent.content import MODES, Content, modified, object_name
from headway.agent.tree import DIRECTORY_MODE
from headway.builds.manifest import Manifest
from headway.errors import Untrusted
from headway.model.build import Entry, Kind
from headway.model.report import MOST_STRAYS, Deviation, Stray

LOOK = 4096
"""What looking at one name costs, in bytes read: about a block of the disk."""
_SHOWN = 300
_REMEMBERED = 10_000
_TROUBLES = {
    errno.ENOENT: Deviation.MISSING,
    errno.ENOTDIR: Deviation.KIND,
    errno.ELOOP: Deviation.KIND,
    errno.EINVAL: Deviation.KIND,
    errno.EIO: Deviation.UNREADABLE,
    errno.EUCLEAN: Deviation.UNREADABLE,
    errno.EBADMSG: Deviation.UNREADABLE,
    errno.EACCES: Deviation.UNREADABLE,
}

Inode = tuple[int, int]


class Survey:
    """What is not as it was published in one slot: the first ``strays`` of ``count``.

    ``damaged`` are the inodes whose content is known to be wrong. Where a hook has worked
    (``hooked``), what it has added, removed or replaced is its own business, and only what it
    left as it was is checked. ``distrust`` is called with the name of what looks wrong in the
    store itself.
    """

    def __init__(
        self,
        slot: Path,
        tree: Manifest,
        content: Content,
        *,
        damaged: dict[Inode, Deviation],
        hooked: bool,
        distrust: Callable[[str], None],
    ) -> None:
        self._slot = slot
        self._tree = tree
        self._content = content
        self._damaged = damaged
        self._hooked = hooked
        self._distrust = distrust
        self._read: dict[Inode, str] = {}
        self.files = 0
        self.count = 0
        self.strays: list[Stray] = []

    def work(self) -> Iterator[int]:
        """Look at everything; yields after each small piece what it cost, in bytes read."""
        try:
            with durable.opened(self._slot) as root:
                yield from self._within(root, self._tree.build, "")
        except OSError as error:
            self._found("", trouble(error))

    def _within(self, directory: int, digest: str, where: str) -> Iterator[int]:
        yield LOOK
        try:
            entries = self._tree.entries(digest)
        except (Untrusted, OSError):
            self._found(where.rstrip("/"), Deviation.LISTING)
            return
        if not self._hooked:
            names = {entry.name for entry in entries}
            for name in sorted(set(os.listdir(directory)) - names):
                self._found(where + name, Deviation.UNEXPECTED)
        for entry in entries:
            try:
                if entry.kind is Kind.DIRECTORY:
                    yield from self._directory(entry, directory, where)
                elif entry.kind is Kind.LINK:
                    yield LOOK
                    if os.readlink(entry.name, dir_fd=directory) != entry.target:
                        self._differs(where + entry.name, Deviation.TARGET)
                else:
                    self.files += 1
                    yield from self._file(entry, directory, where)
            except OSError as error:
                self._differs(where + entry.name, trouble(error))

    def _directory(self, entry: Entry, directory: int, where: str) -> Iterator[int]:
        with durable.opened(entry.name, directory) as below:
            if stat.S_IMODE(os.fstat(below).st_mode) != DIRECTORY_MODE:
                self._differs(where + entry.name, Deviation.MODE)
            yield from self._within(below, entry.digest, f"{where}{entry.name}/")

    def _file(self, entry: Entry, directory: int, where: str) -> Iterator[int]:
        yield LOOK
        path = where + entry.name
        found = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            self._differs(path, Deviation.KIND)
        elif (known := self._damaged.get(inode(found))) is not None:
            self._found(path, known)
        elif self._content.is_own(entry, found):
            if (problem := look(entry.digest, entry.kind, found)) is not None:
                self._damaged[inode(found)] = problem
                self._distrust(object_name(entry.digest, entry.kind))
                self._found(path, problem)
        elif not self._hooked or found.st_mtime_ns == modified(entry.digest):
            if found.st_size != entry.size or entry.digest != (
                yield from self._digest(entry.name, directory, found)
            ):
                self._found(path, Deviation.CONTENT)
            elif (problem := look(entry.digest, entry.kind, found)) is not None:
                self._found(path, problem)

    def _digest(
        self, name: str, directory: int, found: os.stat_result
    ) -> Generator[int, None, str]:
        """The digest of a file of the slot's own, which may have many names."""
        if (known := self._read.get(inode(found))) is not None:
            return known
        digest = yield from unnoticed.digest(name, directory)
        if found.st_nlink > 1 and len(self._read) < _REMEMBERED:
            self._read[inode(found)] = digest
        return digest

    def _differs(self, path: str, problem: Deviation) -> None:
        """A difference that a hook may make."""
        if not self._hooked:
            self._found(path, problem)

    def _found(self, path: str, problem: Deviation) -> None:
        self.count += 1
        if len(self.strays) < MOST_STRAYS:
            self.strays.append(Stray(shown(path or "."), problem))


def inode(found: os.stat_result) -> Inode:
    """What all links of one file have in common."""
    return found.st_dev, found.st_ino


def look(digest: str, kind: Kind, found: os.stat_result) -> Deviation | None:
    """What is wrong with a file, as far as that can be seen without reading it."""
    if stat.S_IMODE(found.st_mode) != MODES[kind]:
        return Deviation.MODE
    return None if found.st_mtime_ns == modified(digest) else Deviation.TIME


def trouble(error: OSError) -> Deviation:
    """What it means that a path could not be opened or read.

    Raises the error when it says nothing of the path, such as that too many files are open.
    """
    if error.errno not in _TROUBLES:
        raise error
    return _TROUBLES[error.errno]


def shown(path: str) -> str:
    """A path as it can be sent and shown anywhere, whatever bytes its name has."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return safe if len(safe) <= _SHOWN else safe[: _SHOWN - 1] + "…"
