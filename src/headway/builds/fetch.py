"""Fetching: a verified description of a build, and verified content out of its packs."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing

from headway.builds import attestation, index, layout, manifest
from headway.builds.frames import decompress_whole
from headway.builds.index import Index
from headway.builds.pack import unpack
from headway.builds.storage.port import Storage, read_whole
from headway.errors import Untrusted
from headway.model.build import Build, Location, Manifest
from headway.model.names import BuildId, Digest
from headway.signing import MAX_ENVELOPE_BYTES, Trust

MAX_GAP_BYTES = 256 * 1024
"""What lies between two blobs is read and dropped when it is shorter than this; a new request
costs about as much."""

Save = Callable[[Digest, int, Iterator[bytes]], None]
"""Keeps one blob: digest, size in bytes, raw content. It must keep nothing unless the iterator
has ended by itself; Untrusted comes out of it otherwise."""


class Fetcher:
    """Reads builds from a store that nobody needs to trust. May be used by several threads."""

    def __init__(self, storage: Storage, trust: Trust) -> None:
        self._storage = storage
        self._trust = trust

    def describe(self, app: str, build: BuildId) -> tuple[Build, Manifest]:
        """What a build is and what it consists of; signature, digest and every path checked.

        Raises NotFound, Untrusted, or Refused for a tree that cannot be on a node.
        """
        envelope = read_whole(self._storage, layout.attestation(app, build), MAX_ENVELOPE_BYTES)
        attested = attestation.open(envelope, self._trust, app, build)
        path = layout.manifest(app, build)
        stored = read_whole(self._storage, path, layout.MAX_MANIFEST_BYTES)
        content = decompress_whole(stored, layout.MAX_MANIFEST_BYTES)
        if manifest.build_id(content) != build:
            raise Untrusted(f"the manifest of build {build[:12]} is not the one that was signed")
        return attested, manifest.decode(content)

    def fetch(
        self,
        app: str,
        build: BuildId,
        wanted: Mapping[Digest, int],
        save: Save,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Call ``save`` once for each wanted blob, given by digest and size.

        Blobs that lie close together come in one request, streamed: no more than a few pieces
        are in memory. ``progress`` is told the raw bytes of each piece. Raises Untrusted at the
        first blob that does not hold; those saved before it do.
        """
        if not wanted:
            return
        places = index.locate(index.read(self._storage, app, build), wanted)
        for run in _runs(places):
            pack = run[0][1].pack
            start, end = run[0][1].offset, _end(run[-1][1])
            pieces = self._storage.read(layout.pack(app, pack), start, end - start)
            stream = _Stream(pieces, start)
            for digest, place in run:
                content = unpack(stream.take(place), digest, place.size)
                with closing(_counted(content, progress)) as counted:
                    save(digest, place.size, counted)


class _Stream:
    """Cuts a stream of pieces, which begins at a byte of the pack, into the blobs' frames."""

    def __init__(self, pieces: Iterable[bytes], start: int) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self._at = start

    def take(self, place: Location) -> Iterator[bytes]:
        """The bytes of a frame; fewer when the pack is too short."""
        for _ in self._until(place.offset):
            pass
        for piece in self._until(_end(place)):
            yield bytes(piece)

    def _until(self, end: int) -> Iterator[memoryview]:
        while self._at < end:
            if not self._rest:
                self._rest = memoryview(next(self._pieces, b""))
                if not self._rest:
                    return
            piece = self._rest[: end - self._at]
            self._rest = self._rest[len(piece) :]
            self._at += len(piece)
            yield piece


def _runs(places: Index) -> Iterator[list[tuple[Digest, Location]]]:
    """The blobs in the order of their packs, cut where one request does not serve the next."""
    run: list[tuple[Digest, Location]] = []
    for item in sorted(places.items(), key=lambda item: (item[1].pack, item[1].offset)):
        if run:
            last = run[-1][1]
            gap = item[1].offset - _end(last)
            if item[1].pack != last.pack or gap > MAX_GAP_BYTES:
                yield run
                run = []
        run.append(item)
    if run:
        yield run


def _end(place: Location) -> int:
    return place.offset + place.length


def _counted(
    content: Iterator[bytes], progress: Callable[[int], None]
) -> Generator[bytes, None, None]:
    for piece in content:
        progress(len(piece))
        yield piece
