"""Manifests out of paths, unchecked, for tests that need no files."""

from collections import defaultdict
from collections.abc import Iterable

from headway.builds import listing
from headway.builds.manifest import Manifest
from headway.model.build import Entry, Kind

Placed = tuple[str, Entry]
"""A path, and the entry there."""


def file(path: str, digest: str = "a" * 64, size: int = 1, kind: Kind = Kind.FILE) -> Placed:
    return path, Entry(_name(path), kind, size, digest)


def directory(path: str) -> Placed:
    return path, Entry(_name(path), Kind.DIRECTORY)


def link(path: str, target: str) -> Placed:
    return path, Entry(_name(path), Kind.LINK, target=target)


def plant(placed: Iterable[Placed]) -> Manifest:
    """The manifest of these; the directories above them need not be named."""
    below: dict[str, dict[str, Entry]] = defaultdict(dict)
    for path, entry in placed:
        below[path.rpartition("/")[0]][entry.name] = entry
        while path := path.rpartition("/")[0]:
            below[path.rpartition("/")[0]].setdefault(_name(path), directory(path)[1])
    listings: dict[str, bytes] = {}

    def within(path: str) -> str:
        entries = [
            Entry(name, Kind.DIRECTORY, digest=within(f"{path}/{name}" if path else name))
            if entry.kind is Kind.DIRECTORY
            else entry
            for name, entry in below[path].items()
        ]
        content = listing.encode(entries)
        listings[listing.digest(content)] = content
        return listing.digest(content)

    return Manifest(within(""), listings)


def _name(path: str) -> str:
    return path.rpartition("/")[2]
