import os
import socket
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from headway.builds import manifest
from headway.builds import scan as scanning
from headway.builds.manifest import walk
from headway.builds.scan import read_file, scan
from headway.errors import InvalidInput, Refused
from headway.model.build import Kind
from tests.unit.builds.build_shelf import write_tree
from tests.unit.builds.planting import Placed, directory, file, link, plant


def entry(path: str, content: bytes, kind: Kind = Kind.FILE) -> Placed:
    return file(path, sha256(content).hexdigest(), len(content), kind)


def test_finds_everything_but_the_top_git(tmp_path: Path) -> None:
    big = bytes(range(256)) * 5000
    write_tree(
        tmp_path,
        {
            ".git/config": b"secret",
            ".hidden": b"",
            "a/.git": b"kept",
            "a/big": big,
            "a/b/c/d": b"deep",
            "bin/run": b"#!/bin/sh\n",
            "empty": None,
            "to": "a/b",
            "ünd ☃": b"x",
        },
    )
    counts: list[int] = []
    found = scan(tmp_path, counts.append)
    expected = plant(
        [
            entry(".hidden", b""),
            entry("a/.git", b"kept"),
            entry("a/b/c/d", b"deep"),
            entry("a/big", big),
            entry("bin/run", b"#!/bin/sh\n", Kind.EXECUTABLE),
            directory("empty"),
            link("to", "a/b"),
            entry("ünd ☃", b"x"),
        ]
    )
    assert list(walk(found)) == list(walk(expected))
    assert (found.build, found.arrived) == (expected.build, expected.arrived)
    assert counts == list(range(1, 13))
    assert b"".join(read_file(tmp_path, *entry("a/big", big))) == big


def test_a_git_file_of_a_worktree_is_left_out(tmp_path: Path) -> None:
    assert list(walk(scan(write_tree(tmp_path, {".git": b"gitdir: elsewhere"})))) == []


def test_only_the_owner_s_x_bit_counts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "a").chmod(0o655)
    assert [found.kind for _, found in walk(scan(tmp_path))] == [Kind.FILE]


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "a pipe"),
        (listen, "a socket"),
        (lambda path: (path.touch(), path.chmod(0o4755)), "setuid"),
        (lambda path: (path.touch(), path.chmod(0o2755)), "setgid"),
        (lambda path: (path.touch(), path.chmod(0o1644)), "sticky"),
    ],
)
def test_special_files_are_refused_by_name(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    (tmp_path / "d").mkdir()
    make(tmp_path / "d" / "odd")
    with pytest.raises(Refused, match=f"'d/odd' is .*{says}"):
        scan(tmp_path)


def test_devices_are_refused(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root may make a device")
    with pytest.raises(Refused, match="'null' is a device"):
        scan(tmp_path)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"\x1b[2J"])
def test_hostile_names_are_refused_and_escaped(tmp_path: Path, name: bytes) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"")
    with pytest.raises(Refused) as caught:
        scan(tmp_path)
    assert caught.value.sentence.isascii()
    assert caught.value.sentence.isprintable()


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    tree = write_tree(tmp_path / "tree", {"in": "d/../../outside"})
    with pytest.raises(Refused, match="'in' is a link"):
        scan(tree)
    (tree / "in").unlink()
    (tree / "loop").symlink_to("loop")
    with pytest.raises(Refused, match="circles"):
        scan(tree)


def test_very_deep_trees_are_refused_before_handles_run_out(tmp_path: Path) -> None:
    (tmp_path / "/".join("abc" for _ in range(130))).mkdir(parents=True)
    with pytest.raises(Refused, match="deep"):
        scan(tmp_path)


def test_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_ENTRIES", 2)
    with pytest.raises(Refused, match="more than 2"):
        scan(write_tree(tmp_path, {"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"")])
def test_a_root_that_is_no_directory(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "x")
    with pytest.raises(InvalidInput, match="cannot be read as a directory"):
        scan(tmp_path / "x")


def test_a_file_that_changes_while_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tree(tmp_path, {"a": b"x" * 10}) / "a"

    class Meddling:
        def __init__(self) -> None:
            self.real = sha256()

        def update(self, piece: bytes) -> None:
            self.real.update(piece)
            with path.open("r+b") as file:
                file.write(b"y")
            os.utime(path, ns=(1, 1))

        def hexdigest(self) -> str:
            return self.real.hexdigest()

    monkeypatch.setattr(scanning, "sha256", Meddling)
    with pytest.raises(Refused, match="'a' changed"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.write_bytes(b"shor"),
        lambda path: path.write_bytes(b"longer"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
)
def test_a_file_that_changes_after_the_scan(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    write_tree(tmp_path, {"a": b"first"})
    ((path, found),) = walk(scan(tmp_path))
    change(tmp_path / "a")
    with pytest.raises(Refused, match="'a' changed"):
        list(read_file(tmp_path, path, found))
