"""The port of an artifact store: immutable objects under plain paths.

Every adapter passes ``tests/contract/test_storage.py``. What an adapter returns is not trusted:
readers check signatures and digests.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from headway.errors import InvalidInput, StorageFailed, Untrusted

CHUNK_BYTES = 256 * 1024
"""The largest piece that is held at a time."""

MAX_PATH = 512

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,127})*")


class Storage(Protocol):
    """Where artifacts lie. All methods block and may be called from several threads at once.

    Every method raises InvalidInput for a path that is not plain, Unreachable when the store
    does not answer, Denied when it does not allow it and StorageFailed when it is broken.
    """

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``offset``, at most ``length`` of them, in bounded pieces.

        What lies beyond the end is left out without an error. Raises NotFound, at the first
        piece. An iterator that is dropped half-way holds nothing open.
        """

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None where there is none."""

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Create the object, whole and durable, or not at all.

        The same content again is fine; raises Refused when there is other content already.
        """

    def close(self) -> None:
        """Release what is held."""


class Stored(NamedTuple):
    """An object that is in a store: its size in bytes, and when it was written."""

    path: str
    size: int
    written: float


class Warehouse(Storage, Protocol):
    """A store as its keeper sees it, who may also tidy it."""

    def list(self, directory: str) -> Iterator[Stored]:
        """Every object beneath ``directory``, in no particular order."""

    def replace(self, path: str, content: bytes) -> None:
        """Put other content in an object's place; a reader sees the old or the new one whole."""

    def delete(self, path: str) -> None:
        """Remove an object, if it is there; a reader that has begun may finish or fail."""


def plain(path: str) -> str:
    """The path itself, if it is relative, of plain names and not hidden; else InvalidInput."""
    if len(path) > MAX_PATH or not _PLAIN.fullmatch(path):
        raise InvalidInput(
            f"{path[:200]!a} cannot name an artifact; use letters, digits, '.', '_', '-' and '/'"
        )
    return path


def check_range(offset: int, length: int | None) -> None:
    """Raise InvalidInput for a range that no object can have."""
    if offset < 0 or (length is not None and length < 0):
        raise InvalidInput(f"there is no range of {length} bytes from byte {offset}")


def read_whole(storage: Storage, path: str, limit: int) -> bytes:
    """All of a small object. Raises Untrusted when it has more than ``limit`` bytes."""
    content = b"".join(storage.read(path, 0, limit + 1))
    if len(content) > limit:
        raise Untrusted(f"{path} has more than the {limit} bytes that are allowed")
    return content


@contextmanager
def room_for_a_copy() -> Iterator[None]:
    """Say what to do when the temporary copy of an upload does not fit."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"there is no room for a copy of the upload in {tempfile.gettempdir()}: "
            f"{error.strerror}; set TMPDIR to a larger place"
        ) from None
