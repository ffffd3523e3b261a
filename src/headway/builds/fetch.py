"""Fetching: a verified description of a build, and verified content out of bundles and packs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from headway.builds import attestation, index, layout, manifest
from headway.builds import bundle as bundles
from headway.builds.bundle import StoredBundle
from headway.builds.frames import decompress_whole
from headway.builds.manifest import Manifest
from headway.builds.ranges import Progress, Save, counted, read_blobs
from headway.builds.storage.port import Storage, read_whole
from headway.errors import NotFound, Refused, Untrusted
from headway.model.build import Build
from headway.model.names import BuildId, Digest
from headway.signing import MAX_ENVELOPE_BYTES, Trust

MAX_BASES = 3
"""How many of the builds that a node has are tried as the base of a bundle."""


class Known(Protocol):
    """What a node has already, from which it need not fetch everything again."""

    def builds(self) -> Sequence[BuildId]:
        """The builds that are there, the likeliest base first."""

    def listing(self, digest: Digest) -> bytes | None:
        """A listing of one of them, which has this digest and has been checked."""

    def blob(self, digest: Digest) -> Path | None:
        """A file with this content."""


class _Coming(NamedTuple):
    """A bundle that described a build, whose content is yet to be asked for."""

    build: BuildId
    stored: StoredBundle
    blob: Callable[[Digest], Path | None]


class Fetcher:
    """Reads builds from a store that nobody needs to trust. May be used by several threads."""

    def __init__(self, storage: Storage, trust: Trust) -> None:
        self._storage = storage
        self._trust = trust
        self._coming: dict[str, _Coming] = {}

    def describe(
        self, app: str, build: BuildId, known: Known | None = None
    ) -> tuple[Build, Manifest]:
        """What a build is and what it consists of; signature, digest and every path checked.

        What is ``known`` saves most of the way, here and in the ``fetch`` that follows.
        Raises NotFound, Untrusted, or Refused for a tree that cannot be on a node.
        """
        self._coming.pop(app, None)
        if known is not None and (bundled := self._bundled(app, build, known)) is not None:
            return bundled
        return self.attested(app, build), self._full(app, build)

    def attested(self, app: str, build: BuildId) -> Build:
        """What is signed about a build. Raises NotFound or Untrusted."""
        envelope = read_whole(self._storage, layout.attestation(app, build), MAX_ENVELOPE_BYTES)
        return attestation.open(envelope, self._trust, app, build)

    def fetch(
        self,
        app: str,
        build: BuildId,
        wanted: Mapping[Digest, int],
        save: Save,
        progress: Progress = lambda _: None,
    ) -> None:
        """Call ``save`` once for each wanted blob, given by digest and size.

        Blobs that lie close together come in one request, streamed: no more than a few ranges
        are in memory. A blob whose part of a bundle does not hold is asked for again from its
        pack. ``progress`` is told the raw bytes of each piece. Raises Untrusted at the first
        blob that does not hold; those saved before it do.
        """
        left = dict(wanted)

        def keep(digest: Digest, size: int, content: Iterator[bytes]) -> None:
            save(digest, size, content)
            del left[digest]

        coming = self._coming.pop(app, None)
        if left and coming is not None and coming.build == build:
            _unbundle(coming, left, keep, progress)
        if not left:
            return
        try:
            self._from_packs(app, build, left, keep, progress)
        except NotFound:
            # Packs are merged and removed; the index that was read may have been the one before.
            self._from_packs(app, build, left, keep, progress)
        # Much has come over many connections; what they remember keeps memory from going back.
        self._storage.close()

    def _full(self, app: str, build: BuildId) -> Manifest:
        path = layout.manifest(app, build)
        stored = read_whole(self._storage, path, layout.MAX_MANIFEST_BYTES)
        return manifest.decode(decompress_whole(stored, layout.MAX_MANIFEST_BYTES), build)

    def _bundled(self, app: str, build: BuildId, known: Known) -> tuple[Build, Manifest] | None:
        """The same by way of a bundle, if there is one that fits."""

        def older(digest: Digest) -> IO[bytes]:
            if (content := known.listing(digest)) is None:
                raise Untrusted(f"the listing {digest[:12]} is not here")
            return BytesIO(content)

        spare: dict[Digest, bytes] = {}

        def here(digest: Digest) -> bytes | None:
            content = known.listing(digest)
            if content is None and not spare:
                # It is damaged on this node; the store has it, with all the others.
                spare.update(self._full(app, build).arrived)
            return content or spare.get(digest)

        for base in known.builds()[:MAX_BASES]:
            if base == build or known.listing(base) is None:
                continue
            try:
                stored = StoredBundle(self._storage, app, build, base)
                envelope = bytes(stored.bundle.attestation)
                attested = attestation.open(envelope, self._trust, app, build)
                listings = list(stored.listings(older))
                made = manifest.extend(Manifest(base, {}, here), listings, build)
            except (NotFound, Untrusted, Refused):
                continue
            self._coming[app] = _Coming(build, stored, known.blob)
            return attested, made
        return None

    def _from_packs(
        self, app: str, build: BuildId, wanted: dict[Digest, int], save: Save, progress: Progress
    ) -> None:
        places = index.locate(index.read(self._storage, app, build), wanted)
        read_blobs(self._storage, app, places, save, progress)


def _unbundle(coming: _Coming, wanted: dict[Digest, int], save: Save, progress: Progress) -> None:
    """Save what the bundle holds of what is wanted, as far as it holds good."""

    def older(digest: Digest) -> IO[bytes]:
        if (path := coming.blob(digest)) is not None:
            with suppress(OSError):
                return path.open("rb")
        raise Untrusted(f"the content {digest[:12]} is not here")

    places = coming.stored.contents(wanted)
    if not places:
        return
    stream = coming.stored.stream(places)
    for place in places:
        content = bundles.content(stream, place, older)
        try:
            with closing(counted(content, progress)) as pieces:
                save(place.part.digest, place.part.size, pieces)
        except (Untrusted, NotFound):
            continue
