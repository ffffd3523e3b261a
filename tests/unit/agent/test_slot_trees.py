"""A slot becomes what the manifest says, whatever it held."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.agent import tree
from headway.agent.content import Content, modified
from headway.builds.manifest import differences
from headway.model.build import Kind
from tests.unit.agent.agent_shelf import (
    TEXTS,
    Tree,
    digest,
    expected,
    files,
    manifest,
    snapshot,
    trees,
)

BY_DIGEST = {digest(text): text for text in TEXTS}


@contextmanager
def workplace() -> Iterator[tuple[Path, Content]]:
    with TemporaryDirectory() as place:
        slot = Path(place, "slot")
        slot.mkdir()
        content = Content(Path(place, "store"))
        for text in TEXTS:
            content.add(digest(text), iter([text.encode()]))
        content.commit()
        yield slot, content
        content.close()


def nothing() -> None:
    pass


@settings(max_examples=60, deadline=None)
@given(trees(), trees(), st.booleans())
def test_a_slot_equals_one_made_from_scratch(old: Tree, new: Tree, known: bool) -> None:
    before, after = manifest(old), manifest(new)
    with workplace() as (slot, content):
        tree.align(slot, before, content, nothing)
        assert snapshot(slot) == expected(before, BY_DIGEST)
        assert tree.is_exact(slot, before, content)
        if known:
            tree.apply(slot, list(differences(before, after)), content, nothing)
        else:
            tree.align(slot, after, content, nothing)
        assert snapshot(slot) == expected(after, BY_DIGEST)
        assert tree.is_exact(slot, after, content)
        content.commit()
        assert not list((slot.parent / "store" / "incoming").iterdir())


@settings(max_examples=40, deadline=None)
@given(trees(), trees(), st.data())
def test_what_is_unknown_or_changed_is_put_right(old: Tree, new: Tree, data: st.DataObject) -> None:
    after = manifest(new)
    with workplace() as (slot, content):
        tree.align(slot, manifest(old), content, nothing)
        directories = [slot, *(path for path in slot.rglob("*") if path.is_dir())]
        directories = [path for path in directories if not path.is_symlink()]
        for number in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.sampled_from(directories))
            name = place / data.draw(st.sampled_from(["a", "zz", f"junk-{number}"]))
            if name.exists() or name.is_symlink():
                if not name.is_dir():
                    name.unlink()
                    name.write_text("not what was built")
            elif data.draw(st.booleans()):
                name.symlink_to("/etc")
            else:
                name.mkdir()
                (name / "inner").write_text("junk")
        tree.align(slot, after, content, nothing)
        assert snapshot(slot) == expected(after, BY_DIGEST)


def test_a_link_planted_in_the_slot_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    before = manifest({"d/f": (Kind.FILE, "one")})
    after = manifest({"d/f": (Kind.FILE, "two")})
    with workplace() as (slot, content):
        tree.align(slot, before, content, nothing)
        (slot / "d" / "f").unlink()
        (slot / "d").rmdir()
        (slot / "d").symlink_to(outside)
        with pytest.raises(OSError):
            tree.apply(slot, list(differences(before, after)), content, nothing)
        tree.align(slot, after, content, nothing)
        assert snapshot(slot) == expected(after, BY_DIGEST)
    assert not list(outside.iterdir())


def test_a_file_in_the_slot_is_a_link_to_the_store() -> None:
    with workplace() as (slot, content):
        tree.align(slot, manifest(files(f="one", g="one")), content, nothing)
        assert (slot / "f").stat().st_ino == (slot / "g").stat().st_ino
        assert (slot / "f").stat().st_nlink == 3
        assert (slot / "f").stat().st_mtime_ns == modified(digest("one"))


def test_a_file_and_an_executable_of_the_same_content_have_their_own_modes() -> None:
    mixed = manifest({"f": (Kind.FILE, "one"), "x": (Kind.EXECUTABLE, "one")})
    with workplace() as (slot, content):
        tree.align(slot, mixed, content, nothing)
        assert snapshot(slot) == expected(mixed, BY_DIGEST)
        assert (slot / "f").stat().st_mtime_ns == (slot / "x").stat().st_mtime_ns


def test_more_links_than_the_file_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a file system that allows four links to a file."""
    real = os.link

    def limited(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int, **rest: bool) -> None:
        if os.stat(source, dir_fd=src_dir_fd).st_nlink >= 4:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        real(source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **rest)

    many = manifest(files(**{f"f{number}": "one" for number in range(11)}))
    with workplace() as (slot, content):
        monkeypatch.setattr(os, "link", limited)
        tree.align(slot, many, content, nothing)
        assert snapshot(slot) == expected(many, BY_DIGEST)
        assert len({path.stat().st_ino for path in slot.iterdir()}) == 4
        assert not tree.is_exact(slot, many, content), "a copy that the store has not is read first"


def test_a_content_that_does_not_hold_leaves_nothing() -> None:
    def torn() -> Iterator[bytes]:
        yield b"half"
        raise ValueError

    with workplace() as (slot, content):
        with pytest.raises(ValueError):
            content.add(digest("whole"), torn())
        content.commit()
        store = slot.parent / "store"
        assert not list((store / "incoming").iterdir())
        assert not list(store.rglob(digest("whole")))


def test_linking_twice_leaves_no_spare_name() -> None:
    with workplace() as (slot, content):
        entry = manifest(files(f="one")).find("f")
        assert entry is not None
        handle = os.open(slot, os.O_RDONLY)
        content.link(entry, "f", handle)
        for _ in range(2):
            content.relink(entry, "f", handle)
        os.close(handle)
        assert not list((slot.parent / "store" / "incoming").iterdir())


def test_content_without_a_slot_is_collected() -> None:
    with workplace() as (slot, content):
        tree.align(slot, manifest(files(f="one")), content, nothing)
        assert content.collect(lambda: None) == len(TEXTS) - 1
        assert content.missing(differences(None, manifest(files(f="one", g="two")))) == {
            digest("two"): 3
        }
