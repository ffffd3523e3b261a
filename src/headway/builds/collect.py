"""Garbage collection: removing what no kept build needs from the store."""

from collections import defaultdict
from collections.abc import Collection

from msgspec import Struct

from headway.builds import index, layout
from headway.builds.storage.port import Stored, Warehouse
from headway.errors import NotFound, Refused, Untrusted
from headway.model.names import BuildId


class Collected(Struct, frozen=True):
    """What was removed, or would be."""

    builds: tuple[BuildId, ...]
    """The builds that went."""
    packs: int
    """How many packs went."""
    bytes: int
    """What they took, in bytes."""


def collect(
    storage: Warehouse, app: str, needed: Collection[BuildId], before: float, dry: bool = False
) -> Collected:
    """Remove the builds that are not ``needed``, and the packs that no remaining build names.

    What was written since ``before``, in seconds since the epoch, stays: it may belong to a build
    that is being published. A build loses its attestation first, so that nobody begins to read
    what is going away. Raises Refused, having removed nothing, when it is not certain what a
    remaining build needs.
    """
    found: dict[BuildId, list[Stored]] = defaultdict(list)
    for stored in storage.list(layout.builds(app)):
        found[stored.path.split("/")[2]].append(stored)
    doomed = sorted(
        build
        for build, parts in found.items()
        if build not in needed and all(part.written < before for part in parts)
    )
    named: set[str] = set()
    for build in sorted(found.keys() - set(doomed)):
        named |= _packs(storage, app, build, build in needed)
    going = [part for build in doomed for part in sorted(found[build])]
    gone = {layout.bundle(app, build, base) for build in found for base in doomed}
    going += [p for b in found.keys() - set(doomed) for p in found[b] if p.path in gone]
    packs = [
        stored
        for stored in storage.list(layout.packs(app))
        if stored.written < before and stored.path.split("/")[2] not in named
    ]
    if not dry:
        for stored in [*going, *packs]:
            storage.delete(stored.path)
    removed = sum(stored.size for stored in [*going, *packs])
    return Collected(tuple(doomed), len(packs), removed)


def _packs(storage: Warehouse, app: str, build: BuildId, is_needed: bool) -> set[str]:
    """The packs that a build's index names."""
    try:
        return {place.pack for place in index.read(storage, app, build).values()}
    except NotFound:
        if is_needed:
            raise Refused(f"the index of {build[:12]} is gone; nothing was removed") from None
        return set()
    except Untrusted as error:
        raise Refused(
            f"the index of {build[:12]} cannot be read ({error.sentence}); nothing was removed"
        ) from None
