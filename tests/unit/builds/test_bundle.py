import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.builds import bundle, layout, manifest, patch
from headway.builds.bundle import Bundle, Part
from headway.builds.frames import compress, compress_whole, decompress
from headway.builds.manifest import Manifest
from headway.errors import NotFound, Untrusted
from tests.unit.builds.build_shelf import Shelf, digest, write_tree
from tests.unit.builds.planting import file, plant

NOISE = random.Random(7).randbytes
SMALL = {f"d/f{i}": NOISE(300) for i in range(400)}
Tree = Mapping[str, bytes | str | None]


class Node:
    """A node that has published a tree: its listings, and its files by digest."""

    def __init__(self, tree: Manifest, root: Path) -> None:
        self.build = tree.build
        self.listings = dict(tree.arrived)
        self.files = {entry.digest: root / path for path, entry in manifest.files(tree)}

    def builds(self) -> Sequence[str]:
        return [self.build]

    def listing(self, digest: str) -> bytes | None:
        return self.listings.get(digest)

    def blob(self, digest: str) -> Path | None:
        return self.files.get(digest)


class Pair:
    """Two published builds, and a node that has the first of them."""

    def __init__(
        self,
        room: Path,
        old: Mapping[str, bytes | str | None],
        new: Mapping[str, bytes | str | None],
    ) -> None:
        self.shelf = Shelf()
        before = write_tree(room / "old", old)
        self.after = write_tree(room / "new", new)
        self.old = self.shelf.publish(before)
        _, tree = self.shelf.fetcher.describe("shop", self.old.id)
        self.new = self.shelf.publish(self.after, [self.old.id])
        self.node = Node(tree, before)
        self.path = layout.bundle("shop", self.new.id, self.old.id)

    def update(self) -> dict[str, bytes]:
        """Fetch the new build's new content as the node would; returns it by path."""
        self.shelf.storage.reads.clear()
        _, tree = self.shelf.fetcher.describe("shop", self.new.id, self.node)
        self.tree = tree
        wanted = {d: size for d, size in manifest.blobs(tree).items() if d not in self.node.files}
        saved = self.shelf.fetch(self.new.id, wanted)
        assert saved.keys() == wanted.keys()
        assert all(digest(content) == name for name, content in saved.items())
        return {
            path: saved[entry.digest]
            for path, entry in manifest.files(tree)
            if entry.digest in saved
        }

    @property
    def asked(self) -> list[str]:
        return [path for path, _, _ in self.shelf.storage.reads]


def test_a_small_change_takes_one_small_request(tmp_path: Path) -> None:
    changed = {"d/f7": NOISE(300), "new/x": b"hello", "new": None, "link": "d/f7"}
    new = {name: content for name, content in SMALL.items() if name != "d/f9"} | changed
    pair = Pair(tmp_path, SMALL, new)
    assert pair.update() == {"d/f7": new["d/f7"], "new/x": b"hello"}
    assert pair.asked == [pair.path]
    assert len(pair.shelf.storage.objects[pair.path]) < 2000


def test_a_large_file_that_changed_a_little_costs_a_little(tmp_path: Path) -> None:
    large = NOISE(9_500_000)
    moved = large[:3_000_000] + b"inserted" * 100 + large[3_000_050:] + b"end"
    pair = Pair(tmp_path, {"large": large}, {"large": moved})
    assert pair.update() == {"large": moved}
    assert len(pair.shelf.storage.objects[pair.path]) < 10_000
    assert pair.asked == [pair.path]
    assert len(pair.shelf.fetch(pair.new.id)[digest(moved)]) == len(moved), "a fresh node"


def test_a_file_that_changed_altogether_is_no_patch(tmp_path: Path) -> None:
    pair = Pair(tmp_path, {"a": NOISE(50_000)}, {"a": NOISE(50_000)})
    pair.node.files.clear()
    pair.update()
    assert pair.asked[-1] == pair.path


def test_what_does_not_fit_the_first_request_takes_a_second(tmp_path: Path) -> None:
    big = {f"big{i}": NOISE(700_000) for i in range(3)}
    pair = Pair(tmp_path, SMALL, SMALL | big)
    assert pair.update() == big
    assert pair.asked == [pair.path, pair.path]


def test_what_does_not_fit_the_bundle_comes_from_the_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.builds.bundling.MAX_PARTS_BYTES", 5000)
    pair = Pair(tmp_path, SMALL, SMALL | {"a": NOISE(3000), "b": NOISE(9000)})
    assert pair.update().keys() == {"a", "b"}
    assert layout.index("shop", pair.new.id) in pair.asked
    assert len(pair.shelf.storage.objects[pair.path]) < 6000


@pytest.mark.parametrize("limit", ["bundle.MAX_HEADER_BYTES", "bundling.MAX_LISTINGS_BYTES"])
def test_a_change_of_too_much_makes_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"headway.builds.{limit}", 2000)
    pair = Pair(tmp_path, SMALL, {f"x{name}/{name}": NOISE(9) for name in range(400)})
    assert pair.path not in pair.shelf.storage.objects
    pair.update()


def test_a_node_one_build_behind_the_last_is_served_too(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SMALL, SMALL | {"a": b"a"})
    third = write_tree(tmp_path / "third", SMALL | {"a": b"a", "b": b"b"})
    pair.new = pair.shelf.publish(third, [pair.new.id, pair.old.id])
    pair.path = layout.bundle("shop", pair.new.id, pair.old.id)
    assert pair.update() == {"a": b"a", "b": b"b"}
    assert pair.asked[-1] == pair.path


def test_older_content_that_is_not_what_it_was_does_no_harm(tmp_path: Path) -> None:
    old = NOISE(100_000)
    pair = Pair(tmp_path, {"a": old}, {"a": old + b"more", "b": b"b"})
    (tmp_path / "old/a").write_bytes(bytes(100_000))
    assert pair.update() == {"a": old + b"more", "b": b"b"}
    (tmp_path / "old/a").unlink()
    assert pair.update() == {"a": old + b"more", "b": b"b"}


def test_a_listing_that_is_damaged_on_the_node_comes_from_the_store(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SMALL | {"e/f": b"f"}, SMALL | {"e/f": b"g", "h": b"h"})
    everything = dict(pair.node.listings)
    for lost in everything:
        pair.node.listings = {name: c for name, c in everything.items() if name != lost}
        assert pair.update() == {"e/f": b"g", "h": b"h"}


def test_large_directories_that_changed_a_little_cost_a_little(tmp_path: Path) -> None:
    many: Tree = {f"f{i}": f"{i}".encode() for i in range(3000)}
    pair = Pair(tmp_path, many, dict(many) | {"f1": b"changed"})
    assert pair.update() == {"f1": b"changed"}
    assert len(pair.shelf.storage.objects[pair.path]) < 1500


@pytest.mark.parametrize("grows", [True, False])
def test_a_directory_that_comes_to_be_listed_in_pieces_is_sent_and_what_lies_in_it_is_not(
    tmp_path: Path, grows: bool
) -> None:
    few: Tree = {f"f{i}": b"%d" % i for i in range(250)} | {f"z/{i}": NOISE(9) for i in range(200)}
    more: Tree = dict(few) | {f"g{i}": b"g%d" % i for i in range(20)} | {"z/y": b"y"}
    old, new = (few, more) if grows else (more, few | {"z/x": b"x"})
    pair = Pair(tmp_path, old, new)
    assert pair.update() == {path: new[path] for path in new.keys() - old.keys()}
    assert pair.asked == [pair.path]
    stored = bundle.StoredBundle(pair.shelf.storage, "shop", pair.new.id, pair.old.id)
    below = manifest.decode(manifest.encode(pair.tree), pair.new.id).find("z")
    assert below is not None
    (part,) = (part for part in stored.bundle.listings if part.digest == below.digest)
    assert part.prefix is not None
    assert sum(part.lengths) < 500


def test_a_bundle_that_is_gone_or_of_another_build_does_no_harm(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SMALL, SMALL | {"a": b"a"})
    objects = pair.shelf.storage.objects
    good = objects.pop(pair.path)
    assert pair.update() == {"a": b"a"}
    evil = plant([file("evil/../../x")])
    listings = [compress_whole(content) for content in evil.arrived.values()]
    parts = [
        Part(name, len(content), (len(frame),))
        for (name, content), frame in zip(evil.arrived.items(), listings, strict=True)
    ]
    envelope = msgspec.Raw(objects[layout.attestation("shop", pair.new.id)])
    header = bundle.encode(Bundle(pair.old.id, envelope, tuple(parts), ())) or b""
    objects[pair.path] = header + b"".join(listings)
    assert pair.update() == {"a": b"a"}
    objects[pair.path] = good
    assert pair.update() == {"a": b"a"}


def test_a_bundle_whose_attestation_does_not_hold_counts_for_nothing(tmp_path: Path) -> None:
    pair = Pair(tmp_path, SMALL, SMALL | {"a": b"a"})
    objects = pair.shelf.storage.objects
    good = bundle.StoredBundle(pair.shelf.storage, "shop", pair.new.id, pair.old.id)
    parts = objects[pair.path][good.start :]
    others = objects[layout.attestation("shop", pair.old.id)]
    for forged in (b"{}", b'{"payload":1}', others):
        changed = msgspec.structs.replace(good.bundle, attestation=msgspec.Raw(forged))
        objects[pair.path] = (bundle.encode(changed) or b"") + parts
        assert pair.update() == {"a": b"a"}
        assert layout.attestation("shop", pair.new.id) in pair.asked
    objects[layout.attestation("shop", pair.new.id)] = b"{}"
    with pytest.raises(Untrusted):
        pair.update()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4), st.integers(0))
def test_no_damage_to_a_bundle_gives_other_content(
    changes: list[tuple[int, int]], cut: int
) -> None:
    old = NOISE(5000)
    new = {"a": old[:2000] + b"!" + old[2000:], "b": NOISE(500), "c/d": b"x"}
    with tempfile.TemporaryDirectory() as room:
        pair = Pair(Path(room), {"a": old}, new | {"c": None})
        content = bytearray(pair.shelf.storage.objects[pair.path])
        for at, value in changes:
            content[at % len(content)] ^= value
        pair.shelf.storage.objects[pair.path] = bytes(content[: cut or None])
        assert pair.update() == new


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\0" * 7 + b"\xff",
        b"\xff" * 30,
        (1 << 40).to_bytes(8, "big") + bytes(2**20),
    ],
)
def test_what_is_no_bundle_is_refused(shelf: Shelf, content: bytes) -> None:
    shelf.storage.objects[layout.bundle("shop", "b" * 64, "a" * 64)] = content
    with pytest.raises(Untrusted):
        bundle.StoredBundle(shelf.storage, "shop", "b" * 64, "a" * 64)


def test_a_bundle_is_bounded_when_it_is_read(shelf: Shelf) -> None:
    bomb = b"".join(compress([b" " * 20_000_000], 20_000_000))
    stored = len(bomb).to_bytes(8, "big") + bomb
    shelf.storage.objects[layout.bundle("shop", "b" * 64, "a" * 64)] = stored
    with pytest.raises(Untrusted, match="more than"):
        bundle.StoredBundle(shelf.storage, "shop", "b" * 64, "a" * 64)
    with pytest.raises(NotFound):
        bundle.StoredBundle(shelf.storage, "shop", "c" * 64, "a" * 64)
    part = Part("a" * 64, 5, (-1,))
    header = msgspec.json.encode(Bundle("a" * 64, msgspec.Raw(b"{}"), (), (part,)))
    frame = b"".join(compress([header], len(header)))
    stored = len(frame).to_bytes(8, "big") + frame
    shelf.storage.objects[layout.bundle("shop", "b" * 64, "a" * 64)] = stored
    with pytest.raises(Untrusted):
        bundle.StoredBundle(shelf.storage, "shop", "b" * 64, "a" * 64)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(1, 40), st.integers(1, 50))
def test_a_patch_gives_the_new_content(old: bytes, new: bytes, chunk: int, segment: int) -> None:
    with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patched:
        patched.setattr(patch, "SEGMENT_BYTES", segment)
        patched.setattr(patch, "REACH_BYTES", segment // 2)
        file.write(old)
        chunks = [new[at : at + chunk] for at in range(0, len(new), chunk)]
        frames = list(patch.diff(chunks, file))
        again = b"".join(patch.apply([[frame] for frame in frames], file, len(new)))
        assert again == new
        if new:
            with pytest.raises(Untrusted):
                list(patch.apply([[frame] for frame in [*frames, *frames]], file, len(new)))


def test_a_frame_needs_the_prefix_that_it_was_made_with() -> None:
    prefix = NOISE(10_000)
    frame = b"".join(compress([prefix + b"!"], 10_001, prefix))
    assert len(frame) < 100
    assert b"".join(decompress([frame], 10_001, prefix)) == prefix + b"!"
    with pytest.raises(Untrusted):
        b"".join(decompress([frame], 10_001))
