"""What two builds do not have alike, file by file, from their manifests."""

from msgspec import Struct

from headway.builds import layout, listing, manifest
from headway.builds.frames import decompress_whole
from headway.builds.manifest import Manifest
from headway.builds.storage.port import Storage, read_whole
from headway.errors import NotFound
from headway.model.build import Entry, Kind
from headway.model.names import BuildId

MOST_FILES = 200
"""So many files are named; all are counted."""


class FileLine(Struct, frozen=True):
    """A path that was ``added``, ``removed`` or ``changed``; sizes in bytes."""

    path: str
    how: str
    before: int
    after: int


class Difference(Struct, frozen=True):
    """How many files differ, how many bytes those have, and the first of them by name."""

    added: int = 0
    removed: int = 0
    changed: int = 0
    bytes: int = 0
    files: tuple[FileLine, ...] = ()

    @property
    def more(self) -> int:
        """How many files are not named."""
        return self.added + self.removed + self.changed - len(self.files)


def difference(storage: Storage, app: str, base: BuildId, build: BuildId) -> Difference:
    """What differs in ``build`` from ``base``. Raises NotFound when one was collected.

    It reads both manifests: run it in a thread.
    """
    counts = {"added": 0, "removed": 0, "changed": 0}
    content = 0
    files: list[FileLine] = []
    old, new = _tree(storage, app, base), _tree(storage, app, build)
    for path, before, after in manifest.differences(old, new):
        was, now = _leaf(before), _leaf(after)
        if was is None and now is None:
            continue
        how = "added" if was is None else "removed" if now is None else "changed"
        counts[how] += 1
        content += now.size if now is not None else 0
        if len(files) < MOST_FILES:
            files.append(FileLine(path, how, was.size if was else 0, now.size if now else 0))
    return Difference(**counts, bytes=content, files=tuple(files))


def _leaf(entry: Entry | None) -> Entry | None:
    return None if entry is None or entry.kind is Kind.DIRECTORY else entry


def _tree(storage: Storage, app: str, build: BuildId) -> Manifest:
    """A manifest that was checked when its build was handed in; its digests still are."""
    path = layout.manifest(app, build)
    if storage.size(path) is None:
        raise NotFound(f"the manifest of {build[:12]} is not in the store any more")
    stored = read_whole(storage, path, layout.MAX_MANIFEST_BYTES)
    lines = decompress_whole(stored, layout.MAX_MANIFEST_BYTES).split(b"\n")
    return Manifest(build, {listing.digest(line): line for line in lines})
