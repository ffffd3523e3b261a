import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from headway.builds import attestation, index, layout, listing, manifest, ranges
from headway.builds.frames import compress_whole
from headway.builds.ranges import MAX_GAP_BYTES
from headway.errors import HeadwayError, NotFound, Refused, Untrusted
from headway.model.build import Build, Entry, Kind, Location
from tests.unit.builds.build_shelf import Shelf, write_tree

NOISE = random.Random(1).randbytes


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


names = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp"), exclude_characters="/"),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in {".", "..", ".git"})
contents = st.binary(max_size=40) | st.integers(0, 9).map(lambda i: bytes([i]) * 70_000)
trees = st.recursive(
    contents | st.just("link"),
    lambda below: st.dictionaries(names, below, max_size=5),
    max_leaves=20,
)


def lay(root: Path, tree: object) -> None:
    if isinstance(tree, dict):
        root.mkdir()
        for name, below in tree.items():
            lay(root / name, below)
    elif isinstance(tree, bytes):
        root.write_bytes(tree)
        root.chmod(0o755 if len(tree) % 2 else 0o644)
    else:
        root.symlink_to(root.name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, trees, max_size=5), st.dictionaries(names, trees, max_size=5))
def test_what_is_published_is_what_is_fetched(first: object, second: object) -> None:
    shelf = Shelf()
    with tempfile.TemporaryDirectory() as room:
        ids: list[str] = []
        for number, tree in enumerate((first, second)):
            root = Path(room, str(number))
            lay(root, tree)
            for path in root.rglob("*"):
                if path.is_symlink():
                    path.unlink()
                    path.symlink_to("gone")
            try:
                build = shelf.publish(root, ids)
            except Refused as refused:
                assert "only in case" in refused.sentence
                return
            ids.append(build.id)
            _, described = shelf.fetcher.describe("shop", build.id)
            blobs = shelf.fetch(build.id)
            found = dict(manifest.walk(described))
            assert found.keys() == {path.relative_to(root).as_posix() for path in root.rglob("*")}
            for name, entry in found.items():
                path = root / name
                if entry.kind is Kind.LINK:
                    assert str(path.readlink()) == entry.target
                elif entry.kind is Kind.DIRECTORY:
                    assert path.is_dir()
                else:
                    assert blobs[entry.digest] == path.read_bytes()
                    assert bool(path.stat().st_mode & 0o100) == (entry.kind is Kind.EXECUTABLE)


class TestRequests:
    def test_small_blobs_do_not_cost_a_request_each(self, shelf: Shelf, tmp_path: Path) -> None:
        tree = write_tree(tmp_path / "t", {f"f{i}": NOISE(500) for i in range(300)})
        build = shelf.publish(tree)
        _, described = shelf.fetcher.describe("shop", build.id)
        every_third = dict(list(manifest.blobs(described).items())[::3])
        shelf.storage.reads.clear()
        assert shelf.fetch(build.id, every_third).keys() == every_third.keys()
        assert len([path for path, _, _ in shelf.storage.reads if "/packs/" in path]) == 1

    def test_a_wide_gap_is_not_read(self, shelf: Shelf, tmp_path: Path) -> None:
        files = {"a": NOISE(100), "b": NOISE(MAX_GAP_BYTES * 2), "c": NOISE(100)}
        build = shelf.publish(write_tree(tmp_path / "t", files))
        shelf.storage.reads.clear()
        places = index.read(shelf.storage, "shop", build.id)
        order = sorted(places, key=lambda d: places[d].offset)
        wanted = {d: places[d].size for d in (order[0], order[-1])}
        shelf.fetch(build.id, wanted)
        ranges = [length for path, _, length in shelf.storage.reads if "/packs/" in path]
        middle = places[order[1]].length
        assert (len(ranges) == 2) == (middle > MAX_GAP_BYTES)
        assert sum(ranges) == sum(places[d].length for d in wanted)

    def test_large_packs_come_in_bounded_ranges_a_few_at_a_time(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ranges, "RANGE_BYTES", 10_000)
        files = {f"f{i}": NOISE(3000) for i in range(100)} | {"large": NOISE(95_000)}
        build = shelf.publish(write_tree(tmp_path / "t", files))
        gate = threading.Barrier(ranges.CONNECTIONS)
        storage = shelf.storage
        read = storage.read

        def together(path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
            if "/packs/" in path and offset < ranges.CONNECTIONS * 10_000:
                gate.wait(20)
            return read(path, offset, length)

        monkeypatch.setattr(storage, "read", together)
        storage.reads.clear()
        assert shelf.fetch(build.id).keys() == {digest(content) for content in files.values()}
        asked = [length for path, _, length in storage.reads if "/packs/" in path]
        assert max(asked) == 10_000
        assert len(asked) == -(-sum(asked) // 10_000)

    def test_a_saver_that_gives_up_ends_the_reading(
        self, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ranges, "RANGE_BYTES", 1000)
        files = {f"f{i}": NOISE(3000) for i in range(100)}
        build = shelf.publish(write_tree(tmp_path / "t", files))
        shelf.storage.reads.clear()

        def save(name: str, size: int, content: Iterator[bytes]) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            shelf.fetcher.fetch("shop", build.id, {digest(c): 3000 for c in files.values()}, save)
        assert len(shelf.storage.reads) < 12
        assert not [one for one in threading.enumerate() if "headway-fetch" in one.name]

    def test_packs_that_were_merged_meanwhile_are_found_again(
        self, shelf: Shelf, tmp_path: Path
    ) -> None:
        files = {f"f{i}": NOISE(3000) for i in range(9)}
        build = shelf.publish(write_tree(tmp_path / "t", files))
        stored = layout.index("shop", build.id)
        (pack,) = [path for path in shelf.storage.objects if "/packs/" in path]
        places = index.read(shelf.storage, "shop", build.id)
        moved = {d: Location("e" * 64, *astuple(place)[1:]) for d, place in places.items()}
        elsewhere = index.encode(moved)

        class Merged(type(shelf.storage)):
            def read(
                self, path: str, offset: int = 0, length: int | None = None
            ) -> Iterator[bytes]:
                yield from super().read(path, offset, length)
                if path == stored and pack in self.objects:
                    self.objects[layout.pack("shop", "e" * 64)] = self.objects.pop(pack)
                    self.objects[stored] = elsewhere

        shelf.storage.__class__ = Merged
        assert shelf.fetch(build.id).keys() == {digest(content) for content in files.values()}

    def test_nothing_wanted_asks_nothing(self, shelf: Shelf) -> None:
        assert shelf.fetch("f" * 64, {}) == {}
        assert shelf.storage.reads == []

    def test_a_saver_need_not_read_what_it_has(self, shelf: Shelf, tmp_path: Path) -> None:
        files = {f"f{i}": NOISE(5000) for i in range(9)}
        build = shelf.publish(write_tree(tmp_path / "t", files))
        kept: list[bytes] = []

        def save(name: str, size: int, content: Iterator[bytes]) -> None:
            if int(name, 16) % 2:
                next(content)
            else:
                kept.append(b"".join(content))

        wanted = {digest(content): 5000 for content in files.values()}
        shelf.fetcher.fetch("shop", build.id, wanted, save)
        assert sorted(kept) == sorted(c for c in files.values() if not int(digest(c), 16) % 2)

    def test_progress_counts_raw_bytes(self, shelf: Shelf, tmp_path: Path) -> None:
        build = shelf.publish(write_tree(tmp_path / "t", {"a": bytes(600_000), "b": b"x"}))
        wanted = {digest(bytes(600_000)): 600_000, digest(b"x"): 1}
        seen: list[int] = []
        shelf.fetcher.fetch(
            "shop", build.id, wanted, lambda _d, _s, c: list(c) and None, seen.append
        )
        assert sum(seen) == 600_001
        assert len(seen) > 2


@pytest.fixture
def build(shelf: Shelf, tmp_path: Path) -> Build:
    return shelf.publish(write_tree(tmp_path / "t", {"a": NOISE(3000), "b": NOISE(3000), "e": b""}))


def damage(shelf: Shelf, path: str, change: Callable[[bytes], bytes]) -> None:
    before = shelf.storage.objects[path]
    shelf.storage.objects[path] = change(before)
    assert shelf.storage.objects[path] != before


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit in the middle": lambda b: (
        b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 4]) + b[len(b) // 2 + 1 :]
    ),
    "cut in half": lambda b: b[: len(b) // 2],
    "last byte gone": lambda b: b[:-1],
    "empty": lambda b: b"",
    "zeros": lambda b: bytes(len(b)),
}


@pytest.mark.parametrize("how", DAMAGES)
class TestTampering:
    def test_attestation(self, shelf: Shelf, build: Build, how: str) -> None:
        damage(shelf, layout.attestation("shop", build.id), DAMAGES[how])
        with pytest.raises(Untrusted):
            shelf.fetcher.describe("shop", build.id)

    def test_manifest(self, shelf: Shelf, build: Build, how: str) -> None:
        damage(shelf, layout.manifest("shop", build.id), DAMAGES[how])
        with pytest.raises(Untrusted):
            shelf.fetcher.describe("shop", build.id)

    def test_index(self, shelf: Shelf, build: Build, how: str) -> None:
        _, described = shelf.fetcher.describe("shop", build.id)
        damage(shelf, layout.index("shop", build.id), DAMAGES[how])
        with pytest.raises((Untrusted, NotFound)):
            shelf.fetch(build.id, manifest.blobs(described))
        assert all(digest(content) == name for name, content in shelf.saved.items())
        assert len(shelf.saved) < 3

    def test_pack(self, shelf: Shelf, build: Build, how: str) -> None:
        (pack,) = [path for path in shelf.storage.objects if "/packs/" in path]
        damage(shelf, pack, DAMAGES[how])
        with pytest.raises(Untrusted):
            shelf.fetch(build.id)
        assert all(digest(content) == name for name, content in shelf.saved.items())
        assert len(shelf.saved) < 3


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_damage_anywhere_gives_other_content(data: st.DataObject) -> None:
    shelf = Shelf()
    with tempfile.TemporaryDirectory() as room:
        build = shelf.publish(write_tree(Path(room, "t"), {"a": NOISE(300), "b": b"b" * 900}))
    good = shelf.fetch(build.id)
    path = sorted(shelf.storage.objects)[data.draw(st.integers(0, 3))]
    content = bytearray(shelf.storage.objects[path])
    changes = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4)
    for at, value in data.draw(changes):
        content[at % len(content)] = value
    cut = data.draw(st.none() | st.integers(0, 2**10))
    shelf.storage.objects[path] = bytes(content[:cut])
    try:
        assert shelf.fetch(build.id) == good
    except (Untrusted, NotFound):
        assert shelf.saved.items() <= good.items()


def put_index(shelf: Shelf, build: str, places: dict[str, Location]) -> None:
    shelf.storage.objects[layout.index("shop", build)] = index.encode(places)


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"offset": -1}, False),
        ({"offset": 2**62}, True),
        ({"offset": 1}, True),
        ({"length": 0}, False),
        ({"length": -5}, False),
        ({"length": 2**40}, False),
        ({"length": 5}, True),
        ({"size": 1}, False),
        ({"pack": "../../x"}, False),
    ],
)
def test_an_index_that_lies(
    shelf: Shelf, build: Build, change: dict[str, object], asked: bool
) -> None:
    places = index.read(shelf.storage, "shop", build.id)
    lies = {d: msgspec.structs.replace(place, **change) for d, place in places.items()}
    put_index(shelf, build.id, lies)
    with pytest.raises(Untrusted):
        shelf.fetch(build.id)
    assert shelf.saved == {}
    assert any("/packs/" in path for path, _, _ in shelf.storage.reads) == asked


def test_an_index_that_swaps_or_repeats(shelf: Shelf, build: Build) -> None:
    one, other = digest_of_size(shelf, build, 3000)
    places = index.read(shelf.storage, "shop", build.id)
    put_index(shelf, build.id, {**places, one: places[other], other: places[one]})
    with pytest.raises(Untrusted, match="not what the manifest says"):
        shelf.fetch(build.id)
    put_index(shelf, build.id, {**places, one: places[other]})
    with pytest.raises(Untrusted, match="not what the manifest says"):
        shelf.fetch(build.id)


def digest_of_size(shelf: Shelf, build: Build, size: int) -> list[str]:
    _, described = shelf.fetcher.describe("shop", build.id)
    return [digest for digest, found in manifest.blobs(described).items() if found == size]


def test_a_bomb_in_a_pack(shelf: Shelf, build: Build) -> None:
    one, _ = digest_of_size(shelf, build, 3000)
    bomb = compress_whole(bytes(10_000_000))
    shelf.storage.objects["shop/packs/" + "d" * 64] = bomb
    put_index(shelf, build.id, {one: Location("d" * 64, 0, len(bomb), 3000)})
    with pytest.raises(Untrusted, match="more than the 3000 bytes"):
        shelf.fetch(build.id, {one: 3000})


def test_save_s_own_error_passes(shelf: Shelf, build: Build) -> None:
    def save(_digest: str, _size: int, content: Iterator[bytes]) -> None:
        next(content, b"")
        raise OSError(28, "full")

    wanted = dict.fromkeys(digest_of_size(shelf, build, 3000), 3000)
    with pytest.raises(OSError, match="full"):
        shelf.fetcher.fetch("shop", build.id, wanted, save)


def test_a_build_that_is_not_there(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        shelf.fetcher.describe("shop", "f" * 64)
    with pytest.raises(NotFound):
        shelf.fetcher.fetch("shop", "f" * 64, {"a" * 64: 1}, lambda *_: None)


def test_a_build_of_another_app_or_id(shelf: Shelf, build: Build, tmp_path: Path) -> None:
    other = shelf.publish(write_tree(tmp_path / "o", {"x": b"x"}))
    for kind in (layout.attestation, layout.manifest, layout.index):
        shelf.storage.objects[kind("evil", build.id)] = shelf.storage.objects[
            kind("shop", build.id)
        ]
        shelf.storage.objects[kind("shop", "f" * 64)] = shelf.storage.objects[
            kind("shop", build.id)
        ]
    with pytest.raises(Untrusted, match="of the app shop"):
        shelf.fetcher.describe("evil", build.id)
    with pytest.raises(Untrusted, match="of build"):
        shelf.fetcher.describe("shop", "f" * 64)
    path = layout.manifest("shop", build.id)
    shelf.storage.objects[path] = shelf.storage.objects[layout.manifest("shop", other.id)]
    with pytest.raises(Untrusted, match="not the one that was signed"):
        shelf.fetcher.describe("shop", build.id)


def put_signed(shelf: Shelf, content: bytes) -> Build:
    """Store these bytes as the manifest of a build that is properly signed."""
    root = listing.digest(content.split(b"\n")[0])
    build = Build(root, "shop", "c0ffee", 1.0, "mallory", 1, 1, 1)
    shelf.storage.objects[layout.manifest("shop", build.id)] = compress_whole(content)
    envelope = attestation.seal(build, shelf.signer)
    shelf.storage.objects[layout.attestation("shop", build.id)] = envelope
    return build


@pytest.mark.parametrize("name", ["..", "../../etc/cron.d/x", "/x", "a/b", "a\nb", ""])
def test_a_signed_but_hostile_manifest_is_refused(shelf: Shelf, name: str) -> None:
    build = put_signed(shelf, listing.encode([Entry(name, Kind.FILE, 1, "a" * 64)]))
    with pytest.raises(Refused):
        shelf.fetcher.describe("shop", build.id)


def test_a_signed_manifest_in_another_spelling_is_refused(shelf: Shelf) -> None:
    build = put_signed(shelf, b'[ ["a","l",0,"","b"]]')
    with pytest.raises(HeadwayError, match="canonical"):
        shelf.fetcher.describe("shop", build.id)
