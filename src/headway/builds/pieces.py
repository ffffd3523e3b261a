"""The listing of a large directory, cut into pieces, so that a change costs a piece and no more.

A directory of many entries is listed by listings of consecutive entries, and these by one that
holds, for each of them, the first name in it and its digest. Which names begin a piece follows
from the names alone: who adds one name to forty thousand changes one piece, or cuts one in two.
Nothing rests on where the cuts are, only on that each piece keeps to its span.

A. Auvolat, F. Taïani, "Merkle Search Trees: Efficient State-Based CRDTs in Open Networks",
SRDS 2019, has nodes of a tree bounded by the digests of keys, as here.
"""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256
from operator import attrgetter
from typing import NamedTuple

from headway.builds import listing
from headway.errors import Refused
from headway.model.build import Entry, Kind, Listing
from headway.model.names import Digest

MOST = 256
"""A directory with more entries than this is cut."""
EVERY = 64
"""One name in so many begins a piece."""

_FIRST = attrgetter("name")


class Span(NamedTuple):
    """A piece of a directory's listing: it begins with ``first``, and ends before ``end``.

    A small directory is its own only piece, with no bounds.
    """

    digest: Digest
    first: str = ""
    end: str | None = None


def encode(entries: Listing, most: int = MOST, every: int = EVERY) -> list[bytes]:
    """The listings of one directory, given in the order of names; the last is the directory's."""
    if len(entries) <= most:
        return [listing.encode(entries)]
    starts = [0, *(at for at in range(1, len(entries)) if _begins(entries[at].name, every))]
    ends = [*starts[1:], len(entries)]
    contents = [listing.encode(entries[a:b]) for a, b in zip(starts, ends, strict=True)]
    index = [
        Entry(entries[start].name, Kind.PIECE, digest=listing.digest(content))
        for start, content in zip(starts, contents, strict=True)
    ]
    return [*contents, listing.encode(index)]


def spans(directory: Digest, entries: Listing) -> Sequence[Span]:
    """The pieces of a directory, of which ``entries`` is the listing that has its digest."""
    if not is_cut(entries):
        return (Span(directory),)
    ends = [*(entry.name for entry in entries[1:]), None]
    return [Span(e.digest, e.name, end) for e, end in zip(entries, ends, strict=True)]


def is_cut(entries: Listing) -> bool:
    """Whether these, once they are checked, are the pieces of a directory."""
    return bool(entries) and entries[0].kind is Kind.PIECE


def around(entries: Listing, name: str) -> Entry | None:
    """The one of a directory's pieces in which this name is, if it is in any."""
    at = bisect_right(entries, name, key=_FIRST) - 1
    return entries[at] if at >= 0 else None


def check(span: Span, entries: Listing, path: str) -> None:
    """Raise Refused unless a piece of the directory at ``path`` holds what its span says."""
    if any(entry.kind is Kind.PIECE for entry in entries):
        problem = "is cut into pieces that are cut again"
    elif not entries or entries[0].name != span.first:
        problem = f"has a piece that does not begin with {span.first[:300]!a}"
    elif span.end is not None and entries[-1].name >= span.end:
        problem = f"has a piece that does not end before {span.end[:300]!a}"
    else:
        return
    raise Refused(f"the listing of {(path or '.')[:300]!a} {problem}")


def _begins(name: str, every: int) -> bool:
    return int.from_bytes(sha256(name.encode()).digest()[:4], "big") % every == 0
