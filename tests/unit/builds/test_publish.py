from pathlib import Path

import pytest
from build_shelf import MemoryStorage, Shelf, write_tree

from headway.builds import index, layout, publish
from headway.builds.storage import DirectoryStorage
from headway.errors import InvalidInput, Refused
from headway.signing import Signer

TREE = {"bin/run": b"#!/bin/sh\n", "a/one": b"1" * 5000, "a/same": b"1" * 5000, "l": "a/one"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "tree", TREE)


def packs(shelf: Shelf) -> list[str]:
    return [path for path in shelf.storage.objects if "/packs/" in path]


def test_says_what_was_published(shelf: Shelf, tree: Path) -> None:
    build = shelf.publish(tree)
    (pack,) = packs(shelf)
    assert (build.files, build.bytes) == (3, 10_010)
    assert build.new_bytes == len(shelf.storage.objects[pack])
    assert (build.app, build.commit, build.by, build.subject, build.created_at) == (
        *("shop", "c0ffee", "alice", "A change"),
        1.0,
    )


def test_the_attestation_comes_last(shelf: Shelf, tree: Path) -> None:
    build = shelf.publish(tree)
    assert shelf.storage.writes == [
        *packs(shelf),
        layout.index("shop", build.id),
        layout.manifest("shop", build.id),
        layout.attestation("shop", build.id),
    ]


def test_the_next_build_adds_only_what_is_new(shelf: Shelf, tree: Path) -> None:
    first = shelf.publish(tree)
    (tree / "a/two").write_bytes(b"2")
    second = shelf.publish(tree, [first.id])
    assert len(packs(shelf)) == 2
    assert 0 < second.new_bytes < 50
    (tree / "a/three").symlink_to("two")
    third = shelf.publish(tree, ["f" * 64, first.id, second.id])
    assert len(packs(shelf)) == 2
    assert third.new_bytes == 0
    assert len(shelf.fetch(third.id)) == 3


def test_the_same_tree_again_is_the_same_build(shelf: Shelf, tree: Path) -> None:
    first = shelf.publish(tree, now=1.0)
    before = dict(shelf.storage.objects)
    assert shelf.publish(tree, now=2.0) == first
    assert shelf.publish(tree, [first.id], now=3.0) == first
    assert shelf.storage.objects == before


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_publication_that_was_cut_off_is_finished(shelf: Shelf, tree: Path, written: int) -> None:
    other = shelf.publish(write_tree(tree.parent / "other", {"x": b"1" * 5000}))
    complete = Shelf(MemoryStorage(shelf.storage.objects))
    complete.publish(tree, [other.id])
    for path in complete.storage.writes[:written]:
        shelf.storage.objects[path] = complete.storage.objects[path]
    before = packs(shelf)
    build = shelf.publish(tree)
    assert len(shelf.fetch(build.id)) == 2
    if written >= 2:
        assert packs(shelf) == before


@pytest.mark.parametrize("damage", [b"", b"rubbish"])
def test_an_earlier_index_that_is_damaged_is_not_relied_on(
    shelf: Shelf, tree: Path, damage: bytes
) -> None:
    first = shelf.publish(tree)
    shelf.storage.objects[layout.index("shop", first.id)] = damage
    (tree / "new").write_bytes(b"new")
    assert len(shelf.fetch(shelf.publish(tree, [first.id]).id)) == 3


@pytest.mark.parametrize("kept", [0, 10])
def test_a_pack_that_is_gone_or_short_is_not_relied_on(shelf: Shelf, tree: Path, kept: int) -> None:
    first = shelf.publish(tree)
    (pack,) = packs(shelf)
    content = shelf.storage.objects.pop(pack)
    if kept:
        shelf.storage.objects["shop/packs/" + "e" * 64] = content[:kept]
        places = index.decode(shelf.storage.objects[layout.index("shop", first.id)])
        moved = {d: type(p)("e" * 64, p.offset, p.length, p.size) for d, p in places.items()}
        shelf.storage.objects[layout.index("shop", first.id)] = index.encode(moved)
    (tree / "new").write_bytes(b"new")
    assert len(shelf.fetch(shelf.publish(tree, [first.id]).id)) == 3


def test_a_build_whose_own_index_is_damaged_is_not_papered_over(shelf: Shelf, tree: Path) -> None:
    first = shelf.publish(tree)
    shelf.storage.objects[layout.index("shop", first.id)] = b"rubbish"
    with pytest.raises(Refused, match="other content"):
        shelf.publish(tree)


def test_another_manifest_under_the_id_is_refused(shelf: Shelf, tree: Path) -> None:
    first = shelf.publish(tree)
    other = shelf.publish(write_tree(tree.parent / "other", {"x": b"1"}))
    del shelf.storage.objects[layout.attestation("shop", first.id)]
    shelf.storage.objects[layout.manifest("shop", first.id)] = shelf.storage.objects[
        layout.manifest("shop", other.id)
    ]
    with pytest.raises(Refused, match="other content"):
        shelf.publish(tree)


def test_a_build_that_another_key_signed_stays(shelf: Shelf, tree: Path) -> None:
    first = shelf.publish(tree)
    before = dict(shelf.storage.objects)
    shelf.signer = Signer.generate()
    with pytest.raises(Refused, match=f"{first.id[:12]} is published already.*another key"):
        shelf.publish(tree)
    assert shelf.storage.objects == before


def test_an_empty_tree_is_a_build(shelf: Shelf, tmp_path: Path) -> None:
    build = shelf.publish(write_tree(tmp_path / "empty", {}))
    assert (build.files, build.bytes, build.new_bytes) == (0, 0, 0)
    assert packs(shelf) == []
    assert shelf.fetch(build.id) == {}


def test_a_file_that_changes_is_refused_by_name(
    shelf: Shelf, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = publish.scan

    def scan_then_change(*arguments: object) -> object:
        found = real(*arguments)
        (tree / "a/one").write_bytes(b"2" * 5000)
        (tree / "a/same").write_bytes(b"2" * 5000)
        return found

    monkeypatch.setattr(publish, "scan", scan_then_change)
    with pytest.raises(Refused, match=r"'a/(one|same)' changed"):
        shelf.publish(tree)
    assert shelf.storage.writes == []


@pytest.mark.parametrize("change", [{"app": "../x"}, {"app": "a\n"}, {"commit": "-x y"}])
def test_names_that_are_none_leave_no_trace(
    shelf: Shelf, tree: Path, change: dict[str, str]
) -> None:
    said = {"app": "shop", "commit": "c0ffee", "by": "alice", "subject": ""} | change
    with pytest.raises(InvalidInput):
        publish.publish(
            tree, **said, signer=shelf.signer, storage=shelf.storage, earlier=(), now=1.0
        )
    assert shelf.storage.writes == []
    assert shelf.storage.reads == []


def test_progress_counts_to_the_end(shelf: Shelf, tree: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    publish.publish(
        tree,
        app="shop",
        commit="c0ffee",
        by="alice",
        subject="",
        signer=shelf.signer,
        storage=shelf.storage,
        earlier=(),
        now=1.0,
        progress=lambda *step: seen.append(step),
    )
    assert ("scan", 6, 0) in seen
    assert ("pack", 5010, 5010) in seen
    size = len(shelf.storage.objects[packs(shelf)[0]])
    assert seen[-1] == ("upload", size, size)


def test_publishes_into_a_directory(tree: Path, tmp_path: Path) -> None:
    shelf = Shelf(DirectoryStorage(tmp_path / "store"))
    build = shelf.publish(tree)
    assert shelf.publish(tree) == build
    assert len(shelf.fetch(build.id)) == 2
