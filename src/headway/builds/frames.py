"""Compression: one zstd frame in, one out, with hard bounds on what comes out."""

import sys
from collections.abc import Iterable, Iterator

from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import Untrusted

if sys.version_info >= (3, 14):
    from compression.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )
else:
    from backports.zstd import (
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdError,
    )

LEVEL = 5

_WINDOW_LOG = 23
"""A frame may make its reader hold 8 MiB; level 5 asks for 2."""


def compress(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """One zstd frame of exactly ``size`` bytes of content."""
    compressor = ZstdCompressor(LEVEL)
    compressor.set_pledged_input_size(size)
    for chunk in chunks:
        if piece := compressor.compress(chunk):
            yield piece
    yield compressor.flush()


def decompress(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The content of one zstd frame, in bounded pieces.

    Raises Untrusted when it is damaged, ends early, is followed by something, or as soon as it
    has more than ``limit`` bytes; no more than that is ever unpacked.
    """
    decompressor = ZstdDecompressor(options={DecompressionParameter.window_log_max: _WINDOW_LOG})
    source = iter(chunks)
    left = limit
    while not decompressor.eof:
        data = b""
        if decompressor.needs_input:
            data = next(source, b"")
            if not data:
                raise Untrusted("the compressed content ends early")
        try:
            piece = decompressor.decompress(data, min(CHUNK_BYTES, left + 1))
        except ZstdError as error:
            raise Untrusted(f"the compressed content is damaged: {error}") from None
        left -= len(piece)
        if left < 0:
            raise Untrusted(f"the content has more than the {limit} bytes that it should")
        if piece:
            yield piece
    if decompressor.unused_data or next(source, b""):
        raise Untrusted("the compressed content is followed by something else")


def compress_whole(content: bytes) -> bytes:
    """A small content as one zstd frame."""
    return b"".join(compress([content], len(content)))


def decompress_whole(frame: bytes, limit: int) -> bytes:
    """The content of a small frame. Raises Untrusted when it has more than ``limit`` bytes."""
    return b"".join(decompress([frame], limit))
