"""Making the bundles of a build that is being published."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from msgspec import Raw

from headway.builds import bundle as bundles
from headway.builds import index, layout, manifest, patch, pieces
from headway.builds.bundle import MAX_LISTINGS_BYTES, MAX_PARTS_BYTES, Bundle, Part
from headway.builds.frames import compress, compress_whole, decompress_whole
from headway.builds.index import Index
from headway.builds.manifest import Manifest
from headway.builds.ranges import read_blobs
from headway.builds.scan import read_file
from headway.builds.storage.port import CHUNK_BYTES, Storage, read_whole
from headway.errors import NotFound, Refused, Untrusted
from headway.model.build import Entry, Kind
from headway.model.names import BuildId, Digest

MAX_OLD_BYTES = 1024 * 1024 * 1024
"""As much older content is read again, from the store, to see what it saves."""

MIN_PATCHED_BYTES = 1024
"""A smaller file costs less than the asking."""


def put_bundle(
    storage: Storage,
    app: str,
    directory: Path,
    tree: Manifest,
    envelope: bytes,
    places: Index,
    base: BuildId,
) -> None:
    """Write what turns ``base`` into ``tree``, unless the change is large or the base is gone.

    ``envelope`` is the attestation of the tree. ``places`` says where its content, which lies
    beneath ``directory``, is stored.
    """
    old = _manifest(storage, app, base) if base != tree.build else None
    if old is None:
        return
    there = manifest.blobs(old)
    new = {
        entry.digest: (path, entry)
        for path, entry in manifest.files(tree)
        if entry.digest not in there
    }
    with tempfile.TemporaryDirectory(prefix="headway-") as room, tempfile.TemporaryFile() as body:
        listings = _listings(old, tree, body)
        if sum(part.size for part in listings) > MAX_LISTINGS_BYTES:
            return
        older = _Older(storage, app, base, _predecessors(old, new), Path(room))
        contents: list[Part] = []
        for path, entry in sorted(new.values(), key=lambda item: item[1].size):
            start = body.tell()
            plain = places[entry.digest].length
            if start + plain > MAX_PARTS_BYTES and not older.before(entry.digest):
                continue
            part = _part(path, entry, plain, directory, older, body)
            if body.tell() > MAX_PARTS_BYTES:
                _cut(body, start)
            else:
                contents.append(part)
        header = bundles.encode(Bundle(base, Raw(envelope), tuple(listings), tuple(contents)))
        if header is None:
            return
        # Another version of zstd may have made the same bundle already, out of other bytes.
        with suppress(Refused):
            storage.write(layout.bundle(app, tree.build, base), _chunks(header, body))


def _listings(old: Manifest, new: Manifest, body: IO[bytes]) -> list[Part]:
    """Append the listings that only ``new`` has, each as a patch of what was in its place."""
    parts: dict[Digest, Part] = {}

    def is_known(digest: Digest) -> bool:
        return digest in old.arrived or digest in parts

    def add(before: Digest | None, after: Digest) -> None:
        content = new.content(after)
        if before is None:
            frames = [compress_whole(content)]
        else:
            frames = list(patch.diff([content], BytesIO(old.content(before))))
        body.writelines(frames)
        lengths = tuple(len(frame) for frame in frames)
        parts[after] = Part(after, len(content), lengths, before)

    def within(before: Digest | None, after: Digest) -> None:
        if is_known(after):
            return
        add(before, after)
        was = old.listing(before) if before else ()
        spans = [
            span for span in new.spans(after) if span.digest == after or not is_known(span.digest)
        ]
        for span in spans:
            if span.digest != after:
                piece = pieces.around(was, span.first) if pieces.is_cut(was) else None
                add(piece.digest if piece else None, span.digest)
        for entry in new.held(spans):
            if entry.kind is Kind.DIRECTORY:
                earlier = old.within(before, entry.name) if before else None
                is_one = earlier is not None and earlier.kind is Kind.DIRECTORY
                within(earlier.digest if earlier and is_one else None, entry.digest)

    within(old.build, new.build)
    return list(parts.values())


class _Older:
    """The content that the changed files had in the base, fetched into a directory."""

    def __init__(
        self,
        storage: Storage,
        app: str,
        base: BuildId,
        predecessors: Mapping[Digest, Entry],
        room: Path,
    ) -> None:
        self._predecessors = predecessors
        self._room = room
        wanted: dict[Digest, int] = {}
        for entry in sorted(predecessors.values(), key=lambda entry: entry.size):
            if sum(wanted.values()) + entry.size > MAX_OLD_BYTES:
                break
            wanted[entry.digest] = entry.size
        with suppress(NotFound, Untrusted):
            places = index.locate(index.read(storage, app, base), wanted)
            read_blobs(storage, app, places, self._save)

    def before(self, digest: Digest) -> tuple[Digest, Path] | None:
        """What a new content was before: digest and file."""
        entry = self._predecessors.get(digest)
        path = self._room / entry.digest if entry else None
        return (entry.digest, path) if entry and path and path.exists() else None

    def _save(self, digest: Digest, size: int, content: Iterator[bytes]) -> None:
        part = self._room / "part"
        with part.open("wb") as file:
            file.writelines(content)
        part.rename(self._room / digest)


def _predecessors(old: Manifest, new: Mapping[Digest, tuple[str, Entry]]) -> dict[Digest, Entry]:
    found = {}
    for digest, (path, entry) in new.items():
        before = old.find(path)
        if before is not None and min(before.size, entry.size) >= MIN_PATCHED_BYTES:
            found[digest] = before
    return found


def _part(
    path: str, entry: Entry, plain: int, directory: Path, older: _Older, body: IO[bytes]
) -> Part:
    """Append a content's frames: a patch, when that is much smaller than the ``plain`` frame."""
    start = body.tell()
    if (before := older.before(entry.digest)) is not None:
        prefix, old_path = before
        with old_path.open("rb") as old:
            lengths = []
            for frame in patch.diff(read_file(directory, path, entry), old):
                lengths.append(len(frame))
                body.write(frame)
        if sum(lengths) < plain * 3 // 4:
            return Part(entry.digest, entry.size, tuple(lengths), prefix)
        _cut(body, start)
    body.writelines(compress(read_file(directory, path, entry), entry.size))
    return Part(entry.digest, entry.size, (body.tell() - start,))


def _cut(body: IO[bytes], at: int) -> None:
    body.seek(at)
    body.truncate()


def _manifest(storage: Storage, app: str, build: BuildId) -> Manifest | None:
    """The manifest of an earlier build, unless it is gone or damaged."""
    try:
        stored = read_whole(storage, layout.manifest(app, build), layout.MAX_MANIFEST_BYTES)
        content = decompress_whole(stored, layout.MAX_MANIFEST_BYTES)
        return manifest.decode(content, build)
    except (NotFound, Untrusted, Refused):
        return None


def _chunks(header: bytes, body: IO[bytes]) -> Iterator[bytes]:
    yield header
    body.seek(0)
    while piece := body.read(CHUNK_BYTES):
        yield piece
