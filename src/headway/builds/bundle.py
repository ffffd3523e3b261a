"""The bundle: all that turns one build into the next, small enough to be had in one request.

8 bytes      the length of the header, big-endian
header       a zstd frame of JSON: the attestation, which listings and contents there are
parts        their frames, one after another; a part may build upon older content

A bundle is not signed itself. What comes out of it counts only as far as its digest is the right
one, and whatever does not fit is fetched as if there were no bundle.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import IO, Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from headway.builds import layout, patch
from headway.builds.frames import compress_whole, decompress, decompress_whole
from headway.builds.pack import verified
from headway.builds.ranges import Stream
from headway.builds.storage.port import Storage
from headway.errors import Untrusted
from headway.model.names import BuildId, Digest

MAX_HEADER_BYTES = 4 * 1024 * 1024
"""Raw. A change that takes more is no small one, and gets no bundle."""

MAX_PARTS_BYTES = 64 * 1024 * 1024
FIRST_BYTES = 1024 * 1024
"""What the first request asks for, which is mostly all."""

MAX_LISTINGS_BYTES = 64 * 1024 * 1024
"""Raw, all together; they are in memory."""

Older = Callable[[Digest], IO[bytes]]
"""Opens an older content or listing. Raises Untrusted where it is not at hand."""

_LENGTH = 8
_Length = Annotated[int, Meta(gt=0, le=MAX_PARTS_BYTES)]


class Part(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """New content: digest, raw size, and the length of each of its frames.

    With ``prefix``, the digest of older content, the frames are a patch of that.
    """

    digest: Digest
    size: int
    lengths: Annotated[tuple[_Length, ...], Meta(min_length=1, max_length=65_536)]
    prefix: Digest | None = None


class Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    """A build's signed attestation, and the listings and contents that ``base`` does not have, in
    the order of their frames.
    """

    base: BuildId
    attestation: msgspec.Raw
    listings: tuple[Part, ...]
    contents: tuple[Part, ...]


class Place(NamedTuple):
    """Where a part begins, and what it is."""

    offset: int
    part: Part


def encode(bundle: Bundle) -> bytes | None:
    """What stands before the parts; None when there is more of it than a bundle may hold."""
    raw = msgspec.json.encode(bundle)
    if len(raw) > MAX_HEADER_BYTES:
        return None
    header = compress_whole(raw)
    return len(header).to_bytes(_LENGTH, "big") + header


class StoredBundle:
    """A bundle in the store, of which the first request's worth is at hand.

    The frames of its parts begin at byte ``start``.
    """

    def __init__(self, storage: Storage, app: str, build: BuildId, base: BuildId) -> None:
        """Read its beginning. Raises NotFound, and Untrusted for what is no bundle."""
        self._storage = storage
        self._path = layout.bundle(app, build, base)
        first = b"".join(storage.read(self._path, 0, FIRST_BYTES))
        self.start = _LENGTH + int.from_bytes(first[:_LENGTH], "big")
        if len(first) <= _LENGTH or self.start > len(first):
            if self.start > 2 * MAX_HEADER_BYTES or len(first) < FIRST_BYTES:
                raise Untrusted("not a bundle: its beginning is damaged")
            first += b"".join(storage.read(self._path, len(first), self.start - len(first)))
        self._first = first
        self.bundle = _decode(first[_LENGTH : self.start])
        if self.bundle.base != base:
            raise Untrusted(f"the bundle is for another build than {base[:12]}")

    def listings(self, older: Older) -> Iterator[bytes]:
        """The listings, each checked against its digest. Raises Untrusted."""
        parts = self.bundle.listings
        if sum(part.size for part in parts) > MAX_LISTINGS_BYTES:
            raise Untrusted("the bundle's listings are too large")
        places = self._places(parts, self.start)
        if places:
            stream = self.stream(places)
            for place in places:
                yield b"".join(content(stream, place, older))

    def contents(self, wanted: Mapping[Digest, int]) -> list[Place]:
        """Where the wanted contents lie, in order, as far as the bundle holds them."""
        start = self.start + sum(sum(part.lengths) for part in self.bundle.listings)
        places = self._places(self.bundle.contents, start)
        return [place for place in places if wanted.get(place.part.digest) == place.part.size]

    def stream(self, places: list[Place]) -> Stream:
        """The bytes from the first place to the last; a second request only if they need it."""
        start = places[0].offset
        end = places[-1].offset + sum(places[-1].part.lengths)
        return Stream(self._pieces(start, end), start)

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        at_hand = self._first[start:end]
        rest = start + len(at_hand)
        further = self._storage.read(self._path, rest, end - rest) if rest < end else iter(())
        return chain([at_hand] if at_hand else [], further)

    def _places(self, parts: tuple[Part, ...], offset: int) -> list[Place]:
        places = []
        for part in parts:
            places.append(Place(offset, part))
            offset += sum(part.lengths)
        return places


def content(stream: Stream, place: Place, older: Older) -> Iterator[bytes]:
    """A part's content, in pieces; errors as ``verified`` has them."""
    part = place.part
    return verified(_raw(stream, place, older), part.digest, part.size)


def _raw(stream: Stream, place: Place, older: Older) -> Iterator[bytes]:
    part = place.part
    frames = _frames(stream, place)
    if part.prefix is None:
        yield from decompress(next(frames), part.size)
        return
    with older(part.prefix) as old:
        yield from patch.apply(frames, old, part.size)


def _frames(stream: Stream, place: Place) -> Iterator[Iterator[bytes]]:
    offset = place.offset
    for length in place.part.lengths:
        yield stream.take(offset, length)
        offset += length


def _decode(header: bytes) -> Bundle:
    try:
        return msgspec.json.decode(decompress_whole(header, MAX_HEADER_BYTES), type=Bundle)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Untrusted(f"not a bundle: {error}") from None
