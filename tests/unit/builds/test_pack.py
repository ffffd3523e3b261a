from collections.abc import Iterator
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.builds.frames import compress, compress_whole, decompress, decompress_whole
from headway.builds.pack import PackWriter, unpack
from headway.builds.storage.port import CHUNK_BYTES
from headway.errors import StorageFailed, Untrusted

CONTENT = bytes(range(256)) * 20


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def cut(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@given(st.lists(st.binary(max_size=3000), unique=True), st.integers(1, 100))
def test_every_blob_lies_where_the_pack_says(blobs: list[bytes], step: int) -> None:
    with PackWriter() as pack:
        for blob in blobs:
            pack.add(digest(blob), len(blob), cut(blob, step))
        content = b"".join(pack.chunks())
        assert (len(content), digest(content)) == (pack.size, pack.digest)
        places = pack.locations()
    assert len(places) == len(blobs)
    for blob in blobs:
        place = places[digest(blob)]
        assert place.pack == digest(content)
        frame = content[place.offset : place.offset + place.length]
        assert b"".join(unpack(cut(frame, step), digest(blob), place.size)) == blob


def test_the_temporary_file_goes() -> None:
    with PackWriter() as pack:
        pack.add(digest(b"x"), 1, [b"x"])
    with pytest.raises(ValueError, match="closed"):
        list(pack.chunks())


def test_a_full_disk_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with PackWriter() as pack, pytest.raises(StorageFailed, match="No space left"):
        pack.add(digest(b"x"), 1, [b"x"])


def test_a_bomb_is_not_unpacked() -> None:
    size = 64 * 1024 * 1024
    bomb = b"".join(compress((bytes(CHUNK_BYTES) for _ in range(256)), size))
    assert len(bomb) < 20_000
    seen = 0
    with pytest.raises(Untrusted, match="more than the 1000 bytes"):
        for piece in unpack([bomb], digest(b""), 1000):
            seen += len(piece)
    assert seen <= 1000
    with pytest.raises(Untrusted, match="more than"):
        decompress_whole(bomb, size - 1)
    pieces = list(decompress([bomb], size))
    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces)) <= CHUNK_BYTES


def test_a_frame_that_asks_for_much_memory_is_refused() -> None:
    # Magic number; a header without content size; a window of 2 GiB; one empty last block.
    greedy = bytes.fromhex("28b52ffd") + b"\x00" + bytes([21 << 3]) + b"\x01\x00\x00"
    modest = bytes.fromhex("28b52ffd") + b"\x00" + bytes([1 << 3]) + b"\x01\x00\x00"
    assert decompress_whole(modest, 10) == b""
    with pytest.raises(Untrusted, match="damaged"):
        decompress_whole(greedy, 10)


def test_a_truncated_frame_never_ends_well() -> None:
    frame = compress_whole(CONTENT)
    for end in range(len(frame)):
        with pytest.raises(Untrusted):
            list(unpack(cut(frame[:end], 7), digest(CONTENT), len(CONTENT)))


@pytest.mark.parametrize("more", [b"x", compress_whole(b""), compress_whole(CONTENT)])
def test_nothing_may_follow(more: bytes) -> None:
    frame = compress_whole(CONTENT)
    for pieces in ([frame + more], [frame, more]):
        with pytest.raises(Untrusted, match="followed"):
            list(unpack(pieces, digest(CONTENT), len(CONTENT)))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_never_gives_other_content(at: int, flip: int) -> None:
    frame = bytearray(compress_whole(CONTENT))
    frame[at % len(frame)] ^= flip
    try:
        content = b"".join(unpack([bytes(frame)], digest(CONTENT), len(CONTENT)))
    except Untrusted:
        return
    assert content == CONTENT


@pytest.mark.parametrize(
    ("content", "name", "size"),
    [
        (b"other", digest(b"right"), 5),
        (b"right", digest(b"right"), 4),
        (b"right", digest(b"right"), 6),
        (b"", digest(b"x"), 0),
    ],
)
def test_size_and_digest_must_hold(content: bytes, name: str, size: int) -> None:
    with pytest.raises(Untrusted, match=name[:12]):
        list(unpack([compress_whole(content)], name, size))


def test_untrusted_takes_the_place_of_the_end() -> None:
    pieces = unpack([compress_whole(b"other")], digest(b"right"), 5)
    assert next(pieces) == b"other"
    with pytest.raises(Untrusted):
        next(pieces)
