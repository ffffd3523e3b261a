"""A pack: blobs one after another, each a zstd frame of its own, under the pack's digest."""

import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from types import TracebackType
from typing import IO, Self

from headway.builds.frames import compress, decompress
from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import StorageFailed, Untrusted
from headway.model.build import Location
from headway.model.names import Digest


class PackWriter:
    """Collects blobs in a temporary file; use as a context manager, which removes the file."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._digest = sha256()
        self._frames: dict[Digest, tuple[int, int, int]] = {}
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, digest: Digest, size: int, chunks: Iterable[bytes]) -> None:
        """Append the blob of this digest and raw size, which its chunks must have."""
        start = self.size
        for piece in compress(chunks, size):
            try:
                self._file.write(piece)
            except OSError as error:
                raise StorageFailed(
                    f"the pack does not fit into {tempfile.gettempdir()}: {error.strerror}; "
                    "set TMPDIR to a larger place"
                ) from None
            self._digest.update(piece)
            self.size += len(piece)
        self._frames[digest] = (start, self.size - start, size)

    @property
    def digest(self) -> Digest:
        """The sha256 of the pack so far."""
        return self._digest.hexdigest()

    def locations(self) -> dict[Digest, Location]:
        """Where each blob lies."""
        pack = self.digest
        return {digest: Location(pack, *frame) for digest, frame in self._frames.items()}

    def chunks(self) -> Iterator[bytes]:
        """The pack's bytes, in bounded pieces."""
        self._file.seek(0)
        while piece := self._file.read(CHUNK_BYTES):
            yield piece


def unpack(compressed: Iterable[bytes], digest: Digest, size: int) -> Iterator[bytes]:
    """A blob's content from its frame, in bounded pieces; errors as ``verified`` has them."""
    return verified(decompress(compressed, size), digest, size)


def verified(content: Iterable[bytes], digest: Digest, size: int) -> Iterator[bytes]:
    """The pieces of a blob's content as they are.

    Raises Untrusted in place of ending when size or digest does not hold, and as soon as there
    is more than ``size``: what has been read may be kept only after the iterator has ended.
    """
    actual = sha256()
    left = size
    try:
        for piece in content:
            actual.update(piece)
            left -= len(piece)
            yield piece
    except Untrusted as error:
        raise Untrusted(f"blob {digest[:12]}: {error.sentence}") from None
    if left or actual.hexdigest() != digest:
        raise Untrusted(f"blob {digest[:12]}: the content is not what the manifest says")
