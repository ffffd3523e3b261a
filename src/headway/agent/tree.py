"""Making a directory equal to a manifest, by what differs.

Every name is reached from an open handle of the slot, one directory at a time, and no link is
followed on the way, so that nothing a build or an application puts there leads outside.
"""

import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from headway.agent import durable
from headway.agent.content import MODES, Content, modified
from headway.builds.manifest import Difference, Manifest
from headway.model.build import Entry, Kind

_HANDLES = 64
DIRECTORY_MODE = 0o755


def apply(
    slot: Path, changes: Sequence[Difference], content: Content, proceed: Callable[[], None]
) -> None:
    """Make ``slot``, known to hold the one build exactly, equal to the other.

    ``changes`` are the differences between the two; ``proceed`` is called between files and may
    raise. A file that becomes another file stays until the new one is renamed over it.
    """
    with _Beneath(slot) as tree:
        for path, before, after in reversed(changes):
            if before is None or (after and before.kind in MODES and after.kind in MODES):
                continue
            proceed()
            parent, _, name = path.rpartition("/")
            _remove(name, tree.directory(parent), before.kind is Kind.DIRECTORY)
        for path, before, after in changes:
            if after is None:
                continue
            proceed()
            directory = tree.directory(path.rpartition("/")[0])
            if before is not None and before.kind in MODES and after.kind in MODES:
                content.relink(after, after.name, directory)
            else:
                _place(after, directory, content)


def align(slot: Path, new: Manifest, content: Content, proceed: Callable[[], None]) -> None:
    """Make ``slot``, of which nothing is known, equal to ``new``: what is not right is replaced.

    ``proceed`` is called between files and may raise.
    """

    def within(directory: int, digest: str) -> None:
        entries = new.entries(digest)
        wanted = {entry.name: entry for entry in entries}
        right = set()
        for item in _items(directory):
            proceed()
            entry = wanted.get(item.name)
            if entry is not None and _matches(entry, item, directory, content):
                right.add(item.name)
            else:
                _remove(item.name, directory, item.is_dir(follow_symlinks=False))
        for entry in entries:
            if entry.name not in right:
                proceed()
                _place(entry, directory, content)
            if entry.kind is Kind.DIRECTORY:
                with durable.opened(entry.name, directory) as below:
                    within(below, entry.digest)

    with durable.opened(slot) as root:
        within(root, new.build)


def is_exact(slot: Path, tree: Manifest, content: Content) -> bool:
    """Whether ``slot`` holds what the manifest says, linked from the store, and nothing else."""

    def within(directory: int, digest: str) -> bool:
        wanted = {entry.name: entry for entry in tree.entries(digest)}
        items = _items(directory)
        if {item.name for item in items} != wanted.keys():
            return False
        if not all(_matches(wanted[item.name], item, directory, content) for item in items):
            return False
        for entry in wanted.values():
            if entry.kind is Kind.DIRECTORY:
                with durable.opened(entry.name, directory) as below:
                    if not within(below, entry.digest):
                        return False
        return True

    with durable.opened(slot) as root:
        return within(root, tree.build)


def _items(directory: int) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as found:
        return list(found)


def _place(entry: Entry, directory: int, content: Content) -> None:
    name = entry.name
    if entry.kind is Kind.DIRECTORY:
        os.mkdir(name, dir_fd=directory)
        with durable.opened(name, directory) as made:
            os.fchmod(made, DIRECTORY_MODE)
    elif entry.kind is Kind.LINK:
        os.symlink(entry.target, name, dir_fd=directory)
    else:
        content.link(entry, name, directory)


def _matches(entry: Entry, item: os.DirEntry[str], directory: int, content: Content) -> bool:
    found = item.stat(follow_symlinks=False)
    mode = stat.S_IMODE(found.st_mode)
    if entry.kind is Kind.DIRECTORY:
        return stat.S_ISDIR(found.st_mode) and mode == DIRECTORY_MODE
    if entry.kind is Kind.LINK:
        if not stat.S_ISLNK(found.st_mode):
            return False
        return os.readlink(item.name, dir_fd=directory) == entry.target
    return (
        stat.S_ISREG(found.st_mode)
        and mode == MODES[entry.kind]
        and found.st_size == entry.size
        and found.st_mtime_ns == modified(entry.digest)
        # What was found damaged looks like this too, but is not in the store any more.
        and content.is_own(entry, found)
    )


def _remove(name: str, directory: int, is_directory: bool) -> None:
    if is_directory:
        shutil.rmtree(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)


class _Beneath:
    """Open handles of the directories beneath one, a few at a time."""

    def __init__(self, path: Path) -> None:
        self._root = os.open(path, durable.DIRECTORY)
        self._handles: OrderedDict[str, int] = OrderedDict()

    def directory(self, path: str) -> int:
        """The handle of the directory at ``path``, good until the next call."""
        if not path:
            return self._root
        if path in self._handles:
            self._handles.move_to_end(path)
            return self._handles[path]
        parent, _, name = path.rpartition("/")
        handle = os.open(name, durable.DIRECTORY, dir_fd=self.directory(parent))
        self._handles[path] = handle
        if len(self._handles) > _HANDLES:
            os.close(self._handles.popitem(last=False)[1])
        return handle

    def __enter__(self) -> "_Beneath":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)
        os.close(self._root)
