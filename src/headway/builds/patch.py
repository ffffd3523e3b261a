"""Large files that changed a little: a content as frames that build upon an older content.

The content is cut into segments, each a zstd frame whose prefix is the older content round the
same place. Whoever makes or reads a patch holds one segment and one prefix, however large the
file is; what moved further than the reach is simply stored again.
"""

from collections.abc import Iterable, Iterator
from typing import IO

from headway.builds.frames import compress, decompress
from headway.errors import Untrusted

SEGMENT_BYTES = 4 * 1024 * 1024
REACH_BYTES = 2 * 1024 * 1024
"""How far content may have moved within the file and still be recognised."""

_LEAST_PREFIX = 8


def diff(chunks: Iterable[bytes], old: IO[bytes]) -> Iterator[bytes]:
    """The frames of a content that build upon the file ``old``, one by one."""
    for number, segment in enumerate(_segments(chunks)):
        yield b"".join(compress([segment], len(segment), _prefix(old, number)))


def apply(frames: Iterable[Iterable[bytes]], old: IO[bytes], size: int) -> Iterator[bytes]:
    """The content of ``size`` bytes that these frames make of ``old``, in bounded pieces.

    Raises Untrusted for what is no patch; that it makes the right content is not checked.
    """
    left = size
    for number, frame in enumerate(frames):
        if left <= 0:
            raise Untrusted("the patch makes more than the file should hold")
        for piece in decompress(frame, min(left, SEGMENT_BYTES), _prefix(old, number)):
            left -= len(piece)
            yield piece


def _segments(chunks: Iterable[bytes]) -> Iterator[bytes]:
    segment = bytearray()
    for chunk in chunks:
        segment += chunk
        while len(segment) >= SEGMENT_BYTES:
            yield bytes(segment[:SEGMENT_BYTES])
            del segment[:SEGMENT_BYTES]
    if segment:
        yield bytes(segment)


def _prefix(old: IO[bytes], number: int) -> bytes:
    """The older content round a segment; nothing where there is too little of it."""
    first = max(0, number * SEGMENT_BYTES - REACH_BYTES)
    old.seek(first)
    prefix = old.read((number + 1) * SEGMENT_BYTES + REACH_BYTES - first)
    return prefix if len(prefix) >= _LEAST_PREFIX else b""
