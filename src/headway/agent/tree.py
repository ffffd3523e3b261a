"""Making a directory equal to a manifest, by what differs.

Every name is reached from an open handle of the slot, one directory at a time, and no link is
followed on the way, so that nothing a build or an application puts there leads outside.
"""

import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from headway.agent import durable
from headway.agent.content import MODES, Content, modified
from headway.model.build import Entry, Kind, Manifest

_HANDLES = 64
_DIRECTORY_MODE = 0o755


def apply(
    slot: Path, old: Manifest | None, new: Manifest, content: Content, proceed: Callable[[], None]
) -> None:
    """Make ``slot`` equal to ``new``.

    ``old`` is what the slot is known to hold; without it the slot is walked, and all that is
    not as ``new`` says is removed. ``proceed`` is called between files and may raise.
    """
    wanted = {entry.path: entry for entry in new.entries}
    right = _retire(slot, old, wanted, proceed) if old else _sweep(slot, wanted, proceed)
    with _Beneath(slot) as tree:
        for entry in new.entries:
            if entry.path in right:
                continue
            proceed()
            parent, _, name = entry.path.rpartition("/")
            _place(entry, name, tree.directory(parent), content)


def is_exact(slot: Path, manifest: Manifest) -> bool:
    """Whether ``slot`` holds what the manifest says and nothing else, by size, mode and time."""
    wanted = {entry.path: entry for entry in manifest.entries}
    seen = 0
    for _, _, _, right in _walk(slot, wanted):
        if not right:
            return False
        seen += 1
    return seen == len(wanted)


def _place(entry: Entry, name: str, directory: int, content: Content) -> None:
    if entry.kind is Kind.DIRECTORY:
        os.mkdir(name, dir_fd=directory)
        with durable.opened(name, directory) as made:
            os.fchmod(made, _DIRECTORY_MODE)
    elif entry.kind is Kind.LINK:
        os.symlink(entry.target, name, dir_fd=directory)
    else:
        content.link(entry, name, directory)


def _retire(
    slot: Path, old: Manifest, wanted: dict[str, Entry], proceed: Callable[[], None]
) -> set[str]:
    """Remove what ``old`` has and must not stay; returns the paths that are right already.

    A file that becomes another file stays until the new one is renamed over it.
    """
    right: set[str] = set()
    with _Beneath(slot) as tree:
        for entry in reversed(old.entries):
            new = wanted.get(entry.path)
            if new == entry:
                right.add(entry.path)
            elif new is None or entry.kind not in MODES or new.kind not in MODES:
                proceed()
                parent, _, name = entry.path.rpartition("/")
                _remove(name, tree.directory(parent), entry.kind is Kind.DIRECTORY)
    return right


def _sweep(slot: Path, wanted: dict[str, Entry], proceed: Callable[[], None]) -> set[str]:
    """Remove everything that is not as it should be; returns the paths that are right."""
    right: set[str] = set()
    for path, item, handle, is_right in _walk(slot, wanted):
        proceed()
        if is_right:
            right.add(path)
        else:
            _remove(item.name, handle, item.is_dir(follow_symlinks=False))
    return right


def _walk(
    slot: Path, wanted: dict[str, Entry]
) -> Iterator[tuple[str, os.DirEntry[str], int, bool]]:
    """Everything in ``slot``: path, item, its directory's handle, and whether it is as wanted.

    What lies beneath a directory that is not as wanted is left out.
    """
    ahead = [""]
    with _Beneath(slot) as tree:
        while ahead:
            directory = ahead.pop()
            handle = tree.directory(directory)
            with os.scandir(handle) as listing:
                items = list(listing)
            for item in items:
                path = f"{directory}/{item.name}" if directory else item.name
                entry = wanted.get(path)
                right = entry is not None and _matches(entry, item, handle)
                yield path, item, handle, right
                if entry is not None and right and entry.kind is Kind.DIRECTORY:
                    ahead.append(path)


def _matches(entry: Entry, item: os.DirEntry[str], directory: int) -> bool:
    found = item.stat(follow_symlinks=False)
    mode = stat.S_IMODE(found.st_mode)
    if entry.kind is Kind.DIRECTORY:
        return stat.S_ISDIR(found.st_mode) and mode == _DIRECTORY_MODE
    if entry.kind is Kind.LINK:
        if not stat.S_ISLNK(found.st_mode):
            return False
        return os.readlink(item.name, dir_fd=directory) == entry.target
    return (
        stat.S_ISREG(found.st_mode)
        and mode == MODES[entry.kind]
        and found.st_size == entry.size
        and found.st_mtime_ns == modified(entry.digest)
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
