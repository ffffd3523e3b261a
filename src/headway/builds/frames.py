"""Compression: one zstd frame in, one out, with hard bounds on what comes out."""

import sys
from collections.abc import Iterable, Iterator

from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import Untrusted

if sys.version_info >= (3, 14):
    from compression.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
    )
else:
    from backports.zstd import (
        CompressionParameter,
        DecompressionParameter,
        ZstdCompressor,
        ZstdDecompressor,
        ZstdDict,
        ZstdError,
    )

LEVEL = 5

_WINDOW_LOG = 23
"""A frame may make its reader hold 8 MiB; level 5 asks for 2."""

_PREFIXED_WINDOW_LOG = 24
"""The window reaches back over the prefix, which may thus have as many bytes as 16 MiB leave."""

_PREFIXED: dict[int, int] = {
    CompressionParameter.compression_level: LEVEL,
    CompressionParameter.window_log: _PREFIXED_WINDOW_LOG,
    CompressionParameter.enable_long_distance_matching: 1,
}


def compress(chunks: Iterable[bytes], size: int, prefix: bytes = b"") -> Iterator[bytes]:
    """One zstd frame of exactly ``size`` bytes of content.

    Where the content is like ``prefix``, it costs almost nothing; it takes the same prefix to
    read it. A prefix of fewer than eight bytes is no use to zstd and must be left out.
    """
    if prefix:
        known = ZstdDict(prefix, is_raw=True)
        compressor = ZstdCompressor(options=_PREFIXED, zstd_dict=known.as_prefix)
    else:
        compressor = ZstdCompressor(LEVEL)
    compressor.set_pledged_input_size(size)
    for chunk in chunks:
        if piece := compressor.compress(chunk):
            yield piece
    yield compressor.flush()


def decompress(chunks: Iterable[bytes], limit: int, prefix: bytes = b"") -> Iterator[bytes]:
    """The content of one zstd frame, in bounded pieces; ``prefix`` as it was compressed with.

    Raises Untrusted when it is damaged, ends early, is followed by something, or as soon as it
    has more than ``limit`` bytes; no more than that is ever unpacked.
    """
    window = DecompressionParameter.window_log_max
    if prefix:
        known = ZstdDict(prefix, is_raw=True)
        decompressor = ZstdDecompressor(known.as_prefix, {window: _PREFIXED_WINDOW_LOG})
    else:
        decompressor = ZstdDecompressor(options={window: _WINDOW_LOG})
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
