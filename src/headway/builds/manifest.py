"""The manifest: all listings of a build, how two builds differ, and what no tree may be.

The listings name each other by digest, as Merkle's trees do, so two builds are compared and a new
one is checked by reading only the directories on the way to what changed.

R. C. Merkle, "A Digital Signature Based on a Conventional Encryption Function", CRYPTO '87.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from headway.builds import listing, pieces
from headway.builds.layout import MAX_MANIFEST_BYTES
from headway.builds.pieces import Span
from headway.errors import Refused, Untrusted
from headway.model.build import Entry, Kind, Listing
from headway.model.names import BuildId, Digest

MAX_ENTRIES = 1_000_000
MAX_PATH_BYTES = 4096
MAX_DEPTH = 128
"""How many directories may lie within each other; whoever walks a tree holds a handle for each."""
MAX_TOTAL_BYTES = 512 * 1024**3
_AT_HAND = 256
"""So many decoded listings are kept; a small change touches fewer."""
MAX_LINK_HOPS = 40
"""As many links as the kernel follows in one path."""


class Manifest:
    """The tree of one build. Listings are read when they are needed, by their digests.

    ``arrived`` are those that are new here; any other comes from ``older``, which checks the
    digest of what it returns. ``base`` is the build that this one was held against to check it.
    """

    def __init__(
        self,
        build: BuildId,
        arrived: Mapping[Digest, bytes],
        older: Callable[[Digest], bytes | None] = lambda _: None,
        base: "Manifest | None" = None,
    ) -> None:
        self.build = build
        self.base = base
        self.arrived = arrived
        self._older = older
        self._decoded: dict[Digest, Listing] = {}

    def content(self, digest: Digest) -> bytes:
        """A listing's canonical bytes. Raises Untrusted where it is missing."""
        found = self.arrived.get(digest)
        if found is None and (found := self._older(digest)) is None:
            raise Untrusted(f"the listing {digest[:12]} of build {self.build[:12]} is missing")
        return found

    def listing(self, digest: Digest) -> Listing:
        """A listing as it is stored: the entries of a directory, or the pieces it is cut into."""
        found = self._decoded.get(digest)
        if found is None:
            found = self.remember(digest, listing.decode(self.content(digest)))
        return found

    def remember(self, digest: Digest, entries: Listing) -> Listing:
        """Keep a decoded listing at hand, as long as there are not many others."""
        if len(self._decoded) >= _AT_HAND:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[digest] = entries
        return entries

    def spans(self, directory: Digest) -> Sequence[Span]:
        """The pieces in which a directory is listed; none where there is no digest."""
        return pieces.spans(directory, self.listing(directory)) if directory else ()

    def entries(self, directory: Digest) -> Listing:
        """All that a directory holds, in the order of the names."""
        return tuple(self.held(self.spans(directory)))

    def held(self, spans: Iterable[Span]) -> Iterator[Entry]:
        """What these pieces of a directory hold."""
        return (entry for span in spans for entry in self.listing(span.digest))

    def find(self, path: str) -> Entry | None:
        """The entry at ``path``; no link is followed on the way."""
        entry, digest = None, self.build
        for name in path.split("/"):
            entry = self.within(digest, name) if digest else None
            digest = _directory(entry)
        return entry

    def within(self, directory: Digest, name: str) -> Entry | None:
        """The entry of this name in a directory."""
        entries = self.listing(directory)
        if pieces.is_cut(entries):
            piece = pieces.around(entries, name)
            entries = self.listing(piece.digest) if piece else ()
        return listing.find(entries, name)


class Difference(NamedTuple):
    """A path that two builds do not have alike; None where one of them does not have it."""

    path: str
    before: Entry | None
    after: Entry | None


def encode(tree: Manifest) -> bytes:
    """The whole manifest: its listings, each once, one on a line."""
    found: dict[Digest, bytes] = {}

    def add(digest: Digest) -> None:
        found[digest] = tree.content(digest)
        for entry in tree.listing(digest):
            if entry.kind in listing.WITH_LISTING and entry.digest not in found:
                add(entry.digest)

    add(tree.build)
    return b"\n".join(found.values())


def decode(content: bytes, build: BuildId) -> Manifest:
    """The manifest of ``build``, checked. Raises Untrusted when it is another, and Refused."""
    if len(content) > MAX_MANIFEST_BYTES:
        raise Refused(f"the manifest has {len(content)} bytes, {MAX_MANIFEST_BYTES} are allowed")
    tree = Manifest(build, {listing.digest(line): line for line in content.split(b"\n")})
    if build not in tree.arrived:
        raise Untrusted(f"the manifest of build {build[:12]} is not the one that was signed")
    if check(tree).keys() != tree.arrived.keys():
        raise Refused("the manifest holds listings that are no part of the build")
    return tree


def extend(base: Manifest, arrived: Iterable[bytes], build: BuildId) -> Manifest:
    """The manifest of ``build``, checked where it differs from ``base``.

    ``arrived`` are the listings that ``base`` does not have, and perhaps others, which are left
    out. Raises Untrusted when they do not make ``build``, and Refused.
    """
    new = {listing.digest(content): content for content in arrived}
    tree = Manifest(build, new, base.content, base)
    checked = check(tree, base)
    tree.arrived = {digest: content for digest, content in checked.items() if digest in new}
    return tree


def walk(tree: Manifest) -> Iterator[tuple[str, Entry]]:
    """Every path and its entry, a directory before what it holds."""
    return ((path, after) for path, _, after in differences(None, tree) if after is not None)


def files(tree: Manifest) -> Iterator[tuple[str, Entry]]:
    """The paths that have content."""
    return ((path, entry) for path, entry in walk(tree) if entry.kind in listing.WITH_CONTENT)


def blobs(tree: Manifest) -> dict[Digest, int]:
    """Every content that the build needs, by digest, with its size in bytes."""
    return {entry.digest: entry.size for _, entry in files(tree)}


def differences(old: Manifest | None, new: Manifest) -> Iterator[Difference]:
    """What is not alike in two builds, a directory before what it holds.

    A directory that both have is no difference itself. Directories that are equal are not read,
    nor are such pieces of one.
    """

    known = old or Manifest("", {})

    def within(directory: str, before: Digest, after: Digest) -> Iterator[Difference]:
        gone, come = _unshared(known.spans(before), new.spans(after))
        was = {entry.name: entry for entry in known.held(gone)}
        now = {entry.name: entry for entry in new.held(come)}
        differing = {name for name, entry in now.items() if was.get(name) != entry}
        for name in sorted(differing | (was.keys() - now.keys())):
            first, second = was.get(name), now.get(name)
            path = f"{directory}/{name}" if directory else name
            inner, outer = _directory(first), _directory(second)
            if not (inner and outer):
                yield Difference(path, first, second)
            if inner or outer:
                yield from within(path, inner, outer)

    if known.build != new.build:
        yield from within("", known.build, new.build)


def check(tree: Manifest, known: Manifest | None = None) -> dict[Digest, bytes]:
    """Raise Refused, naming the path, for what could not be on every node.

    What ``known`` has at the same place has been checked before and is not read. So two names alike
    but for case are not found where one is in a piece that is as it was, nor is a chain of too many
    links that begins in such a piece or directory; circles are. Returns the listings that were
    read. Raises Untrusted where one is missing.
    """
    known = known or Manifest("", {})
    checked: dict[Digest, bytes] = {}
    links: list[str] = []
    entries = total = 0

    def within(directory: str, depth: int, digest: Digest, before: Digest) -> None:
        nonlocal entries, total
        top = read(directory, digest)
        gone, come = _unshared(known.spans(before), pieces.spans(digest, top))
        old = tuple(known.held(gone))
        now = top
        if pieces.is_cut(top):
            listing.check(top, directory, depth, known.listing(before) if before else ())
            now = tuple(chain.from_iterable(piece(directory, span) for span in come))
        new = listing.check(now, directory, depth, old)
        entries += len(new)
        total += sum(entry.size for entry in new)
        if entries > MAX_ENTRIES or total > MAX_TOTAL_BYTES:
            raise Refused(f"the tree has more than {MAX_ENTRIES} entries or too many bytes")
        # Not only new ones: what stands beside a change may lead to it.
        links.extend(_join(directory, entry) for entry in now if entry.kind is Kind.LINK)
        for entry in new:
            path = _join(directory, entry)
            if len(path) > MAX_PATH_BYTES // 4 and len(path.encode()) > MAX_PATH_BYTES:
                raise Refused(f"{path[:300]!a}… is longer than {MAX_PATH_BYTES} bytes")
            if entry.kind is Kind.DIRECTORY:
                if depth + 1 >= MAX_DEPTH:
                    raise Refused(f"{path[:300]!a}… is nested more than {MAX_DEPTH} deep")
                within(path, depth + 1, entry.digest, _directory(listing.find(old, entry.name)))

    def piece(directory: str, span: Span) -> Listing:
        found = read(directory, span.digest)
        pieces.check(span, found, directory)
        return found

    def read(directory: str, digest: Digest) -> Listing:
        checked[digest] = content = tree.content(digest)
        return tree.remember(digest, listing.read(content, directory))

    if known.build != tree.build:
        within("", 0, tree.build, known.build)
    for path in links:
        _follow(path, tree)
    return checked


def _unshared(old: Sequence[Span], new: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """The pieces that only one of two listings of a directory has."""
    was, now = set(old), set(new)
    return [span for span in old if span not in now], [span for span in new if span not in was]


def _follow(path: str, tree: Manifest) -> None:
    """Follow a link as the kernel would, on paper. Raises Refused when it does not come to an end.

    That it stays in the tree has been checked for each link by itself.
    """
    place = path.split("/")[:-1]
    ahead = [path.rpartition("/")[2]]
    hops = 0
    while ahead:
        step = ahead.pop()
        if step in {"", "."}:
            continue
        if step == "..":
            place.pop()
            continue
        entry = tree.find("/".join([*place, step]))
        if entry is None:
            return
        if entry.kind is Kind.LINK:
            hops += 1
            if hops > MAX_LINK_HOPS:
                raise Refused(f"the link {path[:300]!a} goes round in circles")
            ahead += reversed(entry.target.split("/"))
        else:
            place.append(step)


def _join(directory: str, entry: Entry) -> str:
    return f"{directory}/{entry.name}" if directory else entry.name


def _directory(entry: Entry | None) -> Digest:
    """The digest of a directory's listing; empty for anything else."""
    return entry.digest if entry and entry.kind is Kind.DIRECTORY else ""
