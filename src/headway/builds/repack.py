"""Repacking: what the newest builds need comes together in one pack, for fresh nodes to read."""

from collections.abc import Sequence

from msgspec import Struct

from headway.builds import index, layout
from headway.builds.index import Index
from headway.builds.pack import PackWriter
from headway.builds.ranges import read_blobs
from headway.builds.storage.port import Warehouse
from headway.model.names import BuildId


class Repacked(Struct, frozen=True):
    """How many packs a fresh node reads for the newest build, before and after."""

    before: int
    """How many packs a fresh node had to read."""
    after: int
    """How many it has to read now."""
    bytes: int = 0
    """The size of the new pack."""


def repack(storage: Warehouse, app: str, builds: Sequence[BuildId], most: int) -> Repacked:
    """Write one new pack with all that ``builds``, newest first, hold, and point them at it.

    Nothing is done while the first of them needs no more than ``most`` packs. Every blob is
    checked on its way. The pack is durable before an index names it, and no old pack is removed
    here, so that who reads meanwhile, by the old index or the new, finds what it says.
    Raises Untrusted, and changes nothing, when content is damaged.
    """
    indexes = {build: index.read(storage, app, build) for build in builds}
    before = _packs(indexes[builds[0]]) if builds else 0
    if before <= most:
        return Repacked(before, before)
    places: Index = {}
    for one in indexes.values():
        places |= index.locate(one, {digest: place.size for digest, place in one.items()})
    with PackWriter() as pack:
        read_blobs(storage, app, places, pack.add)
        storage.write(layout.pack(app, pack.digest), pack.chunks())
        moved = pack.locations()
        size = pack.size
    for build, old in indexes.items():
        changed = index.encode({digest: moved[digest] for digest in old})
        storage.replace(layout.index(app, build), changed)
    return Repacked(before, _packs(moved), size)


def _packs(places: Index) -> int:
    return len({place.pack for place in places.values()})
