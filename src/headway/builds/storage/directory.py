"""An artifact store in a directory, local or mounted."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.builds.storage.port import CHUNK_BYTES, Stored, check_range, plain
from headway.errors import Denied, NotFound, Refused, StorageFailed


class DirectoryStorage:
    """Objects are files. They are linked into place whole, so that a reader never sees a part."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``offset``, at most ``length`` of them."""
        plain(path)
        check_range(offset, length)
        return self._read(path, offset, length)

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None where there is none."""
        with _explained(path):
            try:
                found = (self._root / plain(path)).lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return found.st_size if stat.S_ISREG(found.st_mode) else None

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Create the object, whole and durable. Raises Refused when there is other content."""
        target = self._root / plain(path)
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        with _explained(path):
            _make_directory(target.parent)
        try:
            _write_durably(temporary, chunks, path)
            with _explained(path):
                if not _linked(temporary, target):
                    raise Refused(f"{path} is in the store already, with other content")
        finally:
            with suppress(OSError):
                temporary.unlink()
        with _explained(path):
            _sync_directory(target.parent)

    def list(self, directory: str) -> Iterator[Stored]:
        """Every object beneath ``directory``."""
        with _explained(directory):
            for place, _, names in os.walk(self._root / plain(directory)):
                for name in names:
                    path = (Path(place) / name).relative_to(self._root).as_posix()
                    try:
                        found = (self._root / path).lstat()
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(found.st_mode) and not name.startswith("."):
                        yield Stored(path, found.st_size, found.st_mtime)

    def replace(self, path: str, content: bytes) -> None:
        """Put other content in an object's place, durably."""
        target = self._root / plain(path)
        temporary = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            _write_durably(temporary, [content], path)
            with _explained(path):
                temporary.replace(target)
                _sync_directory(target.parent)
        finally:
            with suppress(OSError):
                temporary.unlink()

    def delete(self, path: str) -> None:
        """Remove an object, and its directory when that is empty."""
        target = self._root / plain(path)
        with _explained(path):
            target.unlink(missing_ok=True)
        with suppress(OSError):
            target.parent.rmdir()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _read(self, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        with _explained(path):
            descriptor = _open_regular(self._root / path)
        try:
            left = length
            while left is None or left > 0:
                wanted = CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)
                with _explained(path):
                    piece = os.pread(descriptor, wanted, offset)
                if not piece:
                    return
                offset += len(piece)
                if left is not None:
                    left -= len(piece)
                yield piece
        finally:
            with suppress(OSError):
                os.close(descriptor)


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    if directory != directory.parent:
        _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    _sync_directory(directory.parent)


def _write_durably(temporary: Path, chunks: Iterable[bytes], path: str) -> None:
    with _explained(path):
        file = temporary.open("xb")
    try:
        # The chunks' own errors are the caller's and pass as they are.
        for chunk in chunks:
            with _explained(path):
                file.write(chunk)
        with _explained(path):
            file.flush()
            os.fsync(file.fileno())
    finally:
        with _explained(path):
            file.close()


def _linked(temporary: Path, target: Path) -> bool:
    """Put the file in its place; False when there is other content already."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return _same(temporary, target)
    return True


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_regular(path: Path) -> int:
    """Open a file for reading; a link, or a pipe that would block, counts as absent."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise FileNotFoundError(errno.ENOENT, "not a regular file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return descriptor


def _same(left: Path, right: Path) -> bool:
    with (
        os.fdopen(_open_regular(left), "rb") as one,
        os.fdopen(_open_regular(right), "rb") as other,
    ):
        while True:
            piece = one.read(CHUNK_BYTES)
            if piece != other.read(CHUNK_BYTES):
                return False
            if not piece:
                return True


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Turn the system's errors about the store into ours; the source's own errors pass."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no {path} in the store; was it published?") from None
    except PermissionError as error:
        raise Denied(f"the store does not allow access to {path}: {error.strerror}") from None
    except OSError as error:
        raise StorageFailed(f"the store failed at {path}: {error.strerror or error}") from None
