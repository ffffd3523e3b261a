"""Builds from other nodes of the zone: large ones, and the origin whenever that fails.

What comes from a peer counts as what comes from the origin does: by its digest. Who is asked is
the control plane's to say. A peer that lies, trickles, or is not there costs a bounded time and is
told of; after a few of them, or where nobody has the build in time, the origin is asked.
"""

import http.client
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import IO, Protocol

from headway.agent.log import log
from headway.builds import layout, listing, manifest
from headway.builds.fetch import Fetcher, Known
from headway.builds.manifest import Manifest
from headway.builds.pack import verified
from headway.builds.ranges import Save
from headway.builds.storage import Storage
from headway.builds.storage.patience import Pace
from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import HeadwayError, NotFound, Refused, Unreachable, Untrusted
from headway.model.build import Build, Listing
from headway.model.names import BuildId, Digest
from headway.model.peers import PASS_HEADER, PeerAnswer, PeerAsk

TRIES = 3
"""How many peers are tried before the origin is."""

BATCH = 256
"""How many digests one request names at most."""

BATCH_BYTES = 64 * 1024 * 1024
TIMEOUT_SECONDS = 5.0
LENGTH = 8
MISSING = b"\xff" * LENGTH
"""What stands in place of a length where the peer does not have what was asked for."""

_BASES = 3
_FAULTS = (HeadwayError, OSError, http.client.HTTPException)


class Tracker(Protocol):
    """Who knows which peers have what; ``headway.signals.hub_client.HubClient`` is one."""

    def peers(self, ask: PeerAsk) -> PeerAnswer:
        """Where to get a build. Raises a HeadwayError."""


class PeerFetcher:
    """Implements ``headway.agent.worker.Source`` over a ``Fetcher`` of the origin.

    ``address`` is where this node serves others. Builds that bring less than ``above`` bytes
    come from the origin at once. ``patience`` is how long, in seconds, it waits for its turn.
    """

    def __init__(
        self,
        origin: Fetcher,
        storage: Storage,
        tracker: Tracker,
        *,
        address: str,
        above: int,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self._storage = storage
        self._tracker = tracker
        self._address = address
        self._above = above
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._asking = threading.Lock()
        self._searches: dict[str, _Search] = {}

    def describe(
        self, app: str, build: BuildId, known: Known | None = None
    ) -> tuple[Build, Manifest]:
        """As ``Fetcher.describe``; what stays with the origin is the attestation."""
        self._searches.pop(app, None)
        attested = self._origin.attested(app, build)
        if self._brings(app, attested, known) > self._above:
            search = _Search(self, app, build)
            while (peer := search.next()) is not None:
                try:
                    described = _described(peer, build, known)
                except _FAULTS as error:
                    search.failed(error)
                else:
                    self._searches[app] = search
                    return attested, described
        return self._origin.describe(app, build, known)

    def fetch(self, app: str, build: BuildId, wanted: Mapping[Digest, int], save: Save) -> None:
        """As ``Fetcher.fetch``."""
        left = dict(wanted)
        search = self._searches.pop(app, None)
        if search is not None and search.build == build:

            def keep(digest: Digest, size: int, content: Iterator[bytes]) -> None:
                save(digest, size, content)
                del left[digest]

            while left and (peer := search.next()) is not None:
                try:
                    peer.blobs(left, keep)
                except _FAULTS as error:
                    search.failed(error)
                else:
                    if left:
                        search.failed(NotFound("it does not have everything"))
            search.end()
        if left:
            self._origin.fetch(app, build, left, save)

    def _brings(self, app: str, attested: Build, known: Known | None) -> int:
        """How many bytes have to come, roughly; more than they are rather than less."""
        bases = known.builds() if known is not None else ()
        for base in bases[:_BASES]:
            if (size := self._storage.size(layout.bundle(app, attested.id, base))) is not None:
                return size
        return attested.new_bytes if bases else attested.bytes


class _Search:
    """From peer to peer, for one build."""

    def __init__(self, node: PeerFetcher, app: str, build: BuildId) -> None:
        self.build = build
        self._node = node
        self._app = app
        self._peer: _Peer | None = None
        self._failed: list[str] = []

    def next(self) -> "_Peer | None":
        """The peer to ask, the same as long as it does not fail; None: ask the origin."""
        if self._peer is None and len(self._failed) < TRIES:
            self._peer = self._find()
        return self._peer

    def failed(self, error: Exception) -> None:
        """The peer is of no use."""
        assert self._peer is not None  # noqa: S101 - whoever failed was there
        why = error.sentence if isinstance(error, HeadwayError) else str(error)
        log.warning("a peer does not serve", extra={"peer": self._peer.name, "error": why})
        self._failed.append(self._peer.name)
        self.end()

    def end(self) -> None:
        """Hang up."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def _find(self) -> "_Peer | None":
        node = self._node
        ask = PeerAsk(self._app, self.build, node._address, tuple(self._failed))
        # Not all give up at once, where the control plane has nobody to send them to.
        until = node._clock() + node._patience * random.uniform(0.5, 1.0)  # noqa: S311
        while True:
            try:
                with node._asking:
                    answer = node._tracker.peers(ask)
            except HeadwayError as error:
                log.info("no peers", extra={"error": error.sentence})
                return None
            if answer.peer is not None and answer.address is not None:
                return _Peer(answer.peer, answer.address, answer.ticket, self._app, node._clock)
            pause = random.uniform(0.5, 1.5) * max(0.1, answer.again)  # noqa: S311
            if answer.origin or node._clock() + pause > until:
                return None
            node._sleep(pause)


class _Peer:
    """One connection with another node. What it says is not trusted."""

    def __init__(
        self, name: str, address: str, ticket: str, app: str, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._app = app
        self._clock = clock
        self._ticket = ticket
        host, _, port = address.rpartition(":")
        self._line = http.client.HTTPConnection(
            host.strip("[]"), int(port), timeout=TIMEOUT_SECONDS, blocksize=CHUNK_BYTES
        )

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def listings(self, digests: Sequence[Digest], most: int) -> Iterator[bytes]:
        """These listings, of ``most`` bytes together, each checked. Raises Untrusted."""
        with self._asked("listings", digests) as answer:
            for digest in digests:
                size = self._length(answer)
                if size is None or size > most:
                    raise Untrusted(f"it has no listing {digest[:12]} that could be taken")
                most -= size
                yield b"".join(verified(self._content(answer, size), digest, size))

    def blobs(self, wanted: Mapping[Digest, int], save: Save) -> None:
        """Save what it has of what is wanted. Raises Untrusted at the first that does not hold."""
        for batch in _batches(wanted):
            with self._asked("blobs", batch) as answer:
                for digest in batch:
                    size = self._length(answer)
                    if size is None:
                        continue
                    if size != wanted[digest]:
                        raise Untrusted(f"its blob {digest[:12]} has another size")
                    save(digest, size, verified(self._content(answer, size), digest, size))

    def _asked(self, what: str, digests: Sequence[Digest]) -> http.client.HTTPResponse:
        headers = {PASS_HEADER: self._ticket, "Content-Type": "text/plain"}
        self._line.request("POST", f"/v1/{self._app}/{what}", "\n".join(digests), headers)
        answer = self._line.getresponse()
        if answer.status != 200:
            said = answer.read(1024).decode("utf-8", "replace").strip()
            self._line.close()
            raise Unreachable(f"it answers {answer.status}: {said[:200]!a}")
        self._pace = Pace(self._clock)
        return answer

    def _length(self, answer: IO[bytes]) -> int | None:
        begun = b"".join(self._content(answer, LENGTH))
        return None if begun == MISSING else int.from_bytes(begun, "big")

    def _content(self, answer: IO[bytes], size: int) -> Iterator[bytes]:
        while size > 0:
            with self._pace.waiting():
                piece = answer.read1(min(size, CHUNK_BYTES))  # type: ignore[attr-defined]
            if not self._pace.keeps(len(piece)):
                raise Unreachable("it is too slow")
            if not piece:
                raise Unreachable("it broke off")
            size -= len(piece)
            yield piece


def _described(peer: _Peer, build: BuildId, known: Known | None) -> Manifest:
    """The build's listings, those from the peer that are not here. Raises Untrusted or Refused."""

    def here(digest: Digest) -> bytes | None:
        return known.listing(digest) if known is not None else None

    arrived: dict[Digest, bytes] = {}
    left = layout.MAX_MANIFEST_BYTES
    ahead = [build]
    while ahead:
        batch, ahead = ahead[:BATCH], ahead[BATCH:]
        for digest, content in zip(batch, peer.listings(batch, left), strict=True):
            left -= len(content)
            arrived[digest] = content
            # Its place and form are checked with the whole; here only what follows from it.
            for entry in _entries(content):
                if entry.kind in listing.WITH_LISTING and here(entry.digest) is None:
                    ahead.append(entry.digest)
        ahead = [digest for digest in dict.fromkeys(ahead) if digest not in arrived]
        if len(arrived) + len(ahead) > manifest.MAX_ENTRIES:
            raise Refused("the build has too many listings")
    base = next((b for b in known.builds() if here(b) is not None), "") if known is not None else ""
    return manifest.extend(Manifest(base, {}, here), arrived.values(), build)


def _entries(content: bytes) -> Listing:
    try:
        return listing.decode(content)
    except ValueError as error:
        raise Refused(f"a listing is none: {error}") from None


def _batches(wanted: Mapping[Digest, int]) -> Iterator[list[Digest]]:
    """Digests to be asked for together: not too many, and not too much."""
    batch: list[Digest] = []
    size = 0
    for digest, length in chain(wanted.items()):
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(digest)
        size += length
    if batch:
        yield batch
