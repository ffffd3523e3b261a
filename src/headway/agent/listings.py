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


class Listings:
    """The directory ``listings`` of an app."""

    def __init__(self, path: Path) -> None:
        self._path = path
        durable.make_directory(path)

    def get(self, digest: str) -> bytes | None:
        """A listing's canonical bytes, if they are here and right."""
        try:
            with open(self._place(digest), "rb", buffering=0) as file:  # noqa: PTH123
                content = file.readall()
        except OSError:
            # Whatever keeps it from being read, the store has it too.
            return None
        return content if listing.digest(content) == digest else None

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
        needed: set[str] = set()
        ahead = list(builds)
        while ahead:
            digest = ahead.pop()
            if digest in needed:
                continue
            proceed()
            needed.add(digest)
            content = self.get(digest)
            entries = listing.decode(content) if content is not None else ()
            ahead += [entry.digest for entry in entries if entry.kind is Kind.DIRECTORY]
        for shelf in self._path.iterdir():
            proceed()
            for name in os.listdir(shelf):  # noqa: PTH208
                if name not in needed:
                    (shelf / name).unlink()

    def _place(self, digest: str) -> str:
        return f"{self._path}/{digest[:2]}/{digest}"
