"""The index of a build: in which pack each of its blobs lies. Not signed; nothing rests on it."""

from collections.abc import Mapping

import msgspec

from headway.builds import layout
from headway.builds.frames import compress_whole, decompress_whole
from headway.builds.storage.port import Storage, read_whole
from headway.errors import NotFound, Untrusted
from headway.model.build import Location
from headway.model.names import BuildId, Digest

Index = dict[Digest, Location]


def encode(index: Index) -> bytes:
    """The index as it is stored."""
    return compress_whole(msgspec.json.encode(index, order="sorted"))


def decode(stored: bytes) -> Index:
    """An index from the store. Raises Untrusted when it is none."""
    try:
        return msgspec.json.decode(decompress_whole(stored, layout.MAX_INDEX_BYTES), type=Index)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Untrusted(f"not an index: {error}") from None


def read(storage: Storage, app: str, build: BuildId) -> Index:
    """The index of a build. Raises NotFound and Untrusted."""
    return decode(read_whole(storage, layout.index(app, build), layout.MAX_INDEX_BYTES))


def read_if_any(storage: Storage, app: str, build: BuildId) -> Index:
    """The index of a build that may be gone or damaged, in which case it is empty."""
    try:
        return read(storage, app, build)
    except (NotFound, Untrusted):
        return {}


def locate(index: Index, wanted: Mapping[Digest, int]) -> Index:
    """Where the wanted blobs lie, each known by digest and size. Raises Untrusted."""
    found = _sound(index, wanted)
    for digest in wanted:
        if digest not in found:
            raise Untrusted(f"the index does not say where blob {digest[:12]} lies")
    return found


def usable(storage: Storage, app: str, index: Index, wanted: Mapping[Digest, int]) -> Index:
    """As many of the wanted blobs as have a place in a pack that is in the store, whole."""
    ends: dict[Digest, int] = {}
    found: Index = {}
    for digest, place in _sound(index, wanted).items():
        if place.pack not in ends:
            ends[place.pack] = storage.size(layout.pack(app, place.pack)) or 0
        if place.offset + place.length <= ends[place.pack]:
            found[digest] = place
    return found


def _sound(index: Index, wanted: Mapping[Digest, int]) -> Index:
    return {
        digest: place
        for digest, size in wanted.items()
        if (place := index.get(digest)) is not None
        and place.size == size
        and place.offset >= 0
        and 0 < place.length <= _longest(size)
    }


def _longest(size: int) -> int:
    """No zstd frame of ``size`` bytes of content is longer."""
    return size + size // 128 + 512
