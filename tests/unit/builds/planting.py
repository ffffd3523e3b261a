"""Manifests out of paths, unchecked, for tests that need no files."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from unittest.mock import patch

from headway.builds import listing, pieces
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


def plant(placed: Iterable[Placed], most: int = pieces.MOST, every: int = pieces.EVERY) -> Manifest:
    """The manifest of these; the directories above them need not be named.

    Of more than ``most`` entries one in ``every`` begins a piece of its directory's listing.
    """
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
        entries.sort(key=lambda entry: entry.name)
        for content in pieces.encode(tuple(entries), most, every):
            digest = listing.digest(content)
            listings[digest] = content
        return digest

    return Manifest(within(""), listings)


def in_small_pieces() -> AbstractContextManager[object]:
    """Whoever publishes here lists directories of a few entries as others list large ones."""
    return patch.object(pieces, "encode", partial(pieces.encode, most=2, every=2))


def _name(path: str) -> str:
    return path.rpartition("/")[2]
