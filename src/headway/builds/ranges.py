"""Reading many blobs out of packs: coalesced ranges, several at a time, handed on in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from threading import Event
from typing import NamedTuple

from headway.builds import layout
from headway.builds.index import Index
from headway.builds.pack import unpack
from headway.builds.storage.port import Storage
from headway.model.build import Location
from headway.model.names import Digest

MAX_GAP_BYTES = 256 * 1024
"""What lies between two blobs is read and dropped when it is shorter than this; a new request
costs about as much."""

RANGE_BYTES = 4 * 1024 * 1024
"""The most that one request asks for."""

CONNECTIONS = 4
"""How many requests are under way at a time; each holds at most a range in memory."""

Save = Callable[[Digest, int, Iterator[bytes]], None]
"""Keeps one blob: digest, size in bytes, raw content. It must keep nothing unless the iterator
has ended by itself; Untrusted comes out of it otherwise."""

Progress = Callable[[int], None]


class Stream:
    """Cuts a stream of pieces, which begins at byte ``at`` of an object, into frames."""

    def __init__(self, pieces: Iterable[bytes], at: int) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")
        self._at = at

    def take(self, offset: int, length: int) -> Iterator[bytes]:
        """The bytes of a frame further on; fewer when the object is too short."""
        for _ in self._until(offset):
            pass
        for piece in self._until(offset + length):
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


def read_blobs(
    storage: Storage, app: str, places: Index, save: Save, progress: Progress = lambda _: None
) -> None:
    """Call ``save``, on this thread, once for each blob that has a place.

    ``progress`` is told the raw bytes of each piece. Raises Untrusted at the first blob that
    does not hold, and NotFound when a pack is gone; those saved before hold.
    """
    runs = [_Run(items) for items in _runs(places)]
    ranges = [(run.pack, *span) for run in runs for span in run.ranges()]
    with closing(_fetched(storage, app, ranges)) as fetched:
        for run in runs:
            pieces = chain.from_iterable(next(fetched) for _ in run.ranges())
            stream = Stream(pieces, run.start)
            for digest, place in run.items:
                frame = stream.take(place.offset, place.length)
                with closing(counted(unpack(frame, digest, place.size), progress)) as content:
                    save(digest, place.size, content)
            for _ in pieces:
                pass  # what a saver did not want to read


def counted(content: Iterator[bytes], progress: Progress) -> Generator[bytes, None, None]:
    """The content as it is; ``progress`` is told of each piece."""
    for piece in content:
        progress(len(piece))
        yield piece


class _Run(NamedTuple):
    """Blobs that lie close together in one pack."""

    items: list[tuple[Digest, Location]]

    @property
    def pack(self) -> Digest:
        return self.items[0][1].pack

    @property
    def start(self) -> int:
        return self.items[0][1].offset

    def ranges(self) -> list[tuple[int, int]]:
        """What to ask for: offset and length."""
        end = _end(self.items[-1][1])
        return [(at, min(RANGE_BYTES, end - at)) for at in range(self.start, end, RANGE_BYTES)]


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


def _fetched(
    storage: Storage, app: str, ranges: list[tuple[Digest, int, int]]
) -> Generator[list[bytes], None, None]:
    """The pieces of each range, in order; the next ones are fetched meanwhile."""
    dropped = Event()

    def read(pack: Digest, offset: int, length: int) -> list[bytes]:
        pieces = []
        with closing(_reading(storage.read(layout.pack(app, pack), offset, length))) as reading:
            for piece in reading:
                if dropped.is_set():
                    break
                pieces.append(piece)
        return pieces

    if len(ranges) == 1:
        yield read(*ranges[0])
        return
    ahead = iter(ranges)
    coming: deque[Future[list[bytes]]] = deque()
    with ThreadPoolExecutor(CONNECTIONS, "headway-fetch") as threads:
        try:
            while True:
                while len(coming) < CONNECTIONS and (span := next(ahead, None)) is not None:
                    coming.append(threads.submit(read, *span))
                if not coming:
                    return
                yield coming.popleft().result()
        finally:
            dropped.set()
            for future in coming:
                future.cancel()


def _reading(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """A reading that can be closed, whatever kind of iterator the store returns."""
    yield from pieces
