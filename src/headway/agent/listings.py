"""The listings of the builds on a node: a file for each, named by its digest.

Those of a small change arrive in one file, ``arrived/<build>``, and get files of their own while
the agent is idle. Nothing is synced here; whoever relies on it syncs the file system first. A
listing that was torn by a power cut, or has rotted, is told by its digest and counts as missing.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from headway.agent import durable
from headway.builds import listing
from headway.builds.manifest import Manifest

_ARRIVED = "arrived"
_FEW = 500
"""So many listings may wait in memory for files of their own."""

_RECENT = 500
"""How many listings are remembered from a deploy's beginning until it is tidied up after."""


class Listings:
    """The directory ``listings`` of an app."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent: dict[str, bytes] = {}
        durable.make_directory(path / _ARRIVED)
        self._waiting = self._left()

    def get(self, digest: str) -> bytes | None:
        """A listing's canonical bytes, if they are here, can be read and are right."""
        content = self._waiting.get(digest) or self._recent.get(digest) or self._read(digest)
        if content is not None and len(self._recent) < _RECENT:
            self._recent[digest] = content
        return content

    def add(self, tree: Manifest) -> None:
        """Keep what has arrived with a manifest."""
        if len(self._waiting) + len(tree.arrived) > _FEW:
            for digest, content in tree.arrived.items():
                self._write(digest, content)
        else:
            _put(f"{self._path}/{_ARRIVED}/{tree.build}", b"\n".join(tree.arrived.values()))
            self._waiting |= tree.arrived

    def settle(self) -> None:
        """Give what has arrived files of its own, as well; they have to be synced."""
        for digest, content in self._waiting.items():
            self._write(digest, content)

    def collect(self, builds: Iterable[str], proceed: Callable[[], None]) -> None:
        """Remove what is not needed once all has been settled and synced: listings that none of
        these builds has, and what they arrived in. ``proceed`` may raise in between.
        """
        self._recent.clear()
        for path in (self._path / _ARRIVED).iterdir():
            path.unlink()
        self._waiting.clear()
        needed: set[str] = set()
        ahead = list(builds)
        while ahead:
            digest = ahead.pop()
            if digest in needed:
                continue
            proceed()
            needed.add(digest)
            if (content := self._read(digest)) is None:
                # What it named is not known any more, and may be needed.
                return
            entries = listing.decode(content)
            ahead += [entry.digest for entry in entries if entry.kind in listing.WITH_LISTING]
        for shelf in self._path.glob("[0-9a-f][0-9a-f]"):
            proceed()
            for name in os.listdir(shelf):  # noqa: PTH208
                if name not in needed:
                    (shelf / name).unlink()

    def _left(self) -> dict[str, bytes]:
        """What arrived and has not been settled by an agent before this one."""
        found: dict[str, bytes] = {}
        for path in (self._path / _ARRIVED).iterdir():
            found |= {listing.digest(line): line for line in path.read_bytes().split(b"\n")}
        return found

    def _write(self, digest: str, content: bytes) -> None:
        # Whatever has this name already is the same, or damaged.
        try:
            _put(self._place(digest), content)
        except FileNotFoundError:
            (self._path / digest[:2]).mkdir(mode=0o755)
            _put(self._place(digest), content)

    def _read(self, digest: str) -> bytes | None:
        try:
            with open(self._place(digest), "rb", buffering=0) as file:  # noqa: PTH123
                content = file.readall()
        except OSError:
            return None
        return content if listing.digest(content) == digest else None

    def _place(self, digest: str) -> str:
        return f"{self._path}/{digest[:2]}/{digest}"


def _put(path: str, content: bytes) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        durable.write(file.fileno(), content)
