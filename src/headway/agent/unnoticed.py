"""Reading a file without anybody noticing: in small pieces, and the page cache stays as it was.

Whoever reads a whole tree through the page cache throws out of it what the application lives on.
So nothing is read ahead, and those pages that were not there before are given back at once; what
the application has in memory stays.
"""

import ctypes
import mmap
import os
from collections.abc import Generator, Iterator
from hashlib import sha256
from itertools import groupby

_PIECE = 256 * 1024
"""As many bytes are read at a time: a fraction of a millisecond's work."""

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PAGES = _PIECE // mmap.PAGESIZE
_MAP_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def digest(name: str, directory: int) -> Generator[int, None, str]:
    """Read a file in an open directory; yields the length of each piece, returns the sha256.

    Raises OSError.
    """
    hashing = sha256()
    for piece in _pieces(name, directory):
        hashing.update(piece)
        yield len(piece)
    return hashing.hexdigest()


def _pieces(name: str, directory: int) -> Iterator[bytes]:
    handle = _opened(name, directory)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_RANDOM)
        offset = 0
        while True:
            absent = list(_absent(handle, offset))
            piece = os.pread(handle, _PIECE, offset)
            for first, length in absent:
                os.posix_fadvise(handle, first, length, os.POSIX_FADV_DONTNEED)
            if piece:
                yield piece
            if len(piece) < _PIECE:
                return
            offset += len(piece)
    finally:
        os.close(handle)


def _opened(name: str, directory: int) -> int:
    try:
        # Else every file would be written to, for the time of its last reading.
        return os.open(name, _FLAGS | os.O_NOATIME, dir_fd=directory)
    except PermissionError:
        return os.open(name, _FLAGS, dir_fd=directory)


def _absent(handle: int, offset: int) -> Iterator[tuple[int, int]]:
    """Where the pages of a piece lie, as offset and length in bytes, that are not in memory."""
    place = _libc.mmap(None, _PIECE, mmap.PROT_READ, mmap.MAP_SHARED, handle, offset)
    if place == _MAP_FAILED:
        return
    resident = ctypes.create_string_buffer(_PAGES)
    try:
        if _libc.mincore(place, _PIECE, resident) != 0:
            return
    finally:
        _libc.munmap(place, _PIECE)
    for present, run in groupby(range(_PAGES), lambda page: resident.raw[page] & 1):
        if not present:
            found = list(run)
            yield offset + found[0] * mmap.PAGESIZE, len(found) * mmap.PAGESIZE
