"""The listings of the builds on a node: a file for each, named by its digest.

They are written without syncing each; whoever relies on them syncs the file system first. One that
was torn by a power cut, or has rotted, is told by its digest and counts as missing.
"""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from headway.agent import durable
from headway.builds import listing
from headway.builds.manifest import Manifest
from headway.model.build import Kind

_RECENT = 500
"""How many listings are remembered from a deploy's beginning until it is tidied up after."""


class Listings:
    """The directory ``listings`` of an app."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent: dict[str, bytes] = {}
        durable.make_directory(path)

    def get(self, digest: str) -> bytes | None:
        """A listing's canonical bytes, if they are here, can be read and are right."""
        content = self._recent.get(digest) or self._read(digest)
        if content is not None and len(self._recent) < _RECENT:
            self._recent[digest] = content
        return content

    def add(self, tree: Manifest) -> None:
        """Keep what has arrived with a manifest."""
        for digest, content in tree.arrived.items():
            # Whatever has this name already is the same, or damaged.
            try:
                file = open(self._place(digest), "wb", buffering=0)  # noqa: PTH123, SIM115
            except FileNotFoundError:
                os.mkdir(f"{self._path}/{digest[:2]}", 0o755)  # noqa: PTH102
                file = open(self._place(digest), "wb", buffering=0)  # noqa: PTH123, SIM115
            with file:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def collect(self, builds: Iterable[str], proceed: Callable[[], None]) -> None:
        """Remove the listings that none of these builds has; ``proceed`` may raise in between."""
        self._recent.clear()
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
            ahead += [entry.digest for entry in entries if entry.kind is Kind.DIRECTORY]
        for shelf in self._path.iterdir():
            proceed()
            for name in os.listdir(shelf):  # noqa: PTH208
                if name not in needed:
                    (shelf / name).unlink()

    def _read(self, digest: str) -> bytes | None:
        try:
            with open(self._place(digest), "rb", buffering=0) as file:  # noqa: PTH123
                content = file.readall()
        except OSError:
            return None
        return content if listing.digest(content) == digest else None

    def _place(self, digest: str) -> str:
        return f"{self._path}/{digest[:2]}/{digest}"
