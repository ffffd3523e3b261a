import tempfile
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.builds import manifest
from headway.errors import Refused
from headway.model.build import Entry, Kind, Manifest
from tests.unit.builds.build_shelf import directory, file, link

TREE = (
    directory("bin"),
    Entry("bin/run", Kind.EXECUTABLE, 3, "b" * 64),
    file("bin-x"),
    link("current", "bin/../bin"),
    directory("über"),
    file("über/größe ☃ \\ $(x)"),
)


def as_bytes(*entries: Entry, version: int = 1) -> bytes:
    return msgspec.json.encode(Manifest(version, entries))


def test_goes_there_and_back_in_one_spelling() -> None:
    made = manifest.manifest(reversed(TREE))
    content = manifest.encode(made)
    assert manifest.decode(content) == made
    assert manifest.encode(manifest.manifest(TREE)) == content
    assert [entry.path for entry in made.entries] == sorted(
        (entry.path for entry in TREE), key=str.encode
    )
    assert manifest.blobs(made) == {"a" * 64: 1, "b" * 64: 3}


def test_the_id_is_the_digest_of_the_bytes() -> None:
    assert manifest.build_id(b"") == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), unique=True))
def test_order_of_text_is_the_order_of_bytes(names: list[str]) -> None:
    assert sorted(names) == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", ".", "..", "../x", "a/../b", "a/..", "./a", "a/.", "a//b", "a/"),
        *("a\x00b", "a\nb", "a\n", "\r", "a\x1bb", "a\x7f", "a\x85b", "a\u2028b"),
        *("\ud800", "a/\udcff", "x" * 256, "ä" * 128, "/".join(["x" * 200] * 21)),
        "/".join("x" * 200 for _ in range(20)) + "/../x",
        "/".join("abc" for _ in range(129)),
        "a/" * 128 + "a",
    ],
)
def test_hostile_paths_are_refused_by_name(path: str) -> None:
    with pytest.raises(Refused) as caught:
        manifest.check(Manifest(1, (file(path),)))
    assert caught.value.sentence.isascii() or "…" in caught.value.sentence
    assert caught.value.sentence.isprintable()
    with pytest.raises(Refused):
        manifest.check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *("a", ".a", "...", "a..", "..a", "a b", " ", "-rf", "~", "$HOME", "a\\b"),
        *("x" * 255, "ä" * 127, "/".join("ab" for _ in range(128))),
    ],
)
def test_unusual_paths_are_fine(path: str) -> None:
    manifest.check_path(path)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ((file("a"), file("a")), "'a' is listed twice"),
        ((file("b"), file("a")), "order"),
        ((file("a/b"),), "beneath 'a', which is not listed"),
        ((file("a"), file("a/b")), "beneath 'a', which is no directory"),
        ((link("a", "b"), file("a/b")), "beneath 'a', which is no directory"),
        ((file("A"), file("a")), "differ only"),
        ((directory("A"), file("A/x"), directory("a")), "differ only"),
        ((file("straSSe"), file("straße")), "differ only"),
        (tuple(sorted([file("e\u0301"), file("\u00e9")], key=lambda e: e.path)), "differ only"),
        ((file("a", digest=""),), "digest"),
        ((file("a", digest="A" * 64),), "digest"),
        ((file("a", digest="a" * 64 + "\n"),), "digest"),
        ((file("a", size=-1),), "bytes"),
        ((file("a", size=2**60),), "bytes"),
        ((file("a", size=1), file("b", size=2)), "'b' has another size"),
        ((Entry("a", Kind.FILE, 1, "a" * 64, "x"),), "target"),
        ((Entry("a", Kind.DIRECTORY, 1),), "no file"),
        ((Entry("a", Kind.LINK, 0, "a" * 64, "b"),), "no file"),
        ((Entry("a", Kind.DIRECTORY, target="b"),), "target"),
        ((Entry("a", Kind.LINK),), "target"),
        ((link("a", "/etc/passwd"),), "absolute"),
        ((link("a", ".."),), "out of the tree"),
        ((link("a", "b/../../c"),), "out of the tree"),
        ((link("a", "x\ny"),), "not plain"),
        ((link("a", "\udc80"),), "not plain"),
        ((link("a", "x" * 5000),), "not plain"),
        ((link("a", "x/" * 200),), "deep"),
        ((directory("d"), link("d/a", "../../x")), "out of the tree"),
        ((directory("d"), link("d/up", ".."), link("x", "d/up/..")), "'x' leads out"),
        ((directory("d"), link("d/up", ".."), link("x", "y/.."), link("y", "d/up")), "'x' leads"),
        ((link("a", "a"),), "circles"),
        ((link("a", "b"), link("b", "a/x")), "circles"),
        (
            tuple(file(f"f{i:04}", f"{i:064x}", manifest.MAX_FILE_BYTES) for i in range(9)),
            "the tree has",
        ),
    ],
)
def test_what_is_no_build_is_refused(entries: tuple[Entry, ...], says: str) -> None:
    with pytest.raises(Refused) as caught:
        manifest.check(Manifest(1, entries))
    assert says in caught.value.sentence
    assert caught.value.sentence.isprintable()


@pytest.mark.parametrize(
    "entries",
    [
        (),
        (link("a", "gone"),),
        (link("a", "."),),
        (directory("d"), link("d/a", "..")),
        (directory("d"), link("d/a", "../d/./a/../b")),
        (directory("a"), directory("a/b"), link("c", "a/b"), link("e", "c/../../c")),
        (file("a", "a" * 64), file("b", "a" * 64)),
    ],
)
def test_links_that_stay_inside_are_fine(entries: tuple[Entry, ...]) -> None:
    if entries and entries[-1].target == "../d/./a/../b":
        with pytest.raises(Refused, match="circles"):
            manifest.check(Manifest(1, entries))
    else:
        manifest.check(Manifest(1, entries))


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_ENTRIES", 2)
    with pytest.raises(Refused, match="more than 2"):
        manifest.check(Manifest(1, (file("a"), file("b"), file("c"))))


def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MAX_MANIFEST_BYTES", 10)
    with pytest.raises(Refused, match="10 are allowed"):
        manifest.decode(as_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"\xff",
        as_bytes(version=2),
        as_bytes() + b"\n",
        b" " + as_bytes(),
        b'{"version":1,"entries":[],"version":1}',
        b'{"version":1,"entries":[["a","d",0,"",""]],"entries":[]}',
        b'{"entries":[],"version":1}',
        b'{"version":1,"entries":[],"more":1}',
        b'{"version":1.0,"entries":[]}',
        b'{"version":1,"entries":[["a","d"]]}',
        b'{"version":1,"entries":[["a","d",0,"","",""]]}',
        b'{"version":1,"entries":[["\\u0061","d",0,"",""]]}',
        b'{"version":1,"entries":[["a","p",0,"",""]]}',
        b'{"version":1,"entries":[["\\ud800","d",0,"",""]]}',
        as_bytes(file("../a")),
    ],
)
def test_any_other_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        manifest.decode(content)


@given(st.binary(max_size=60))
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        manifest.decode(content)


@given(st.data())
def test_a_changed_byte_never_goes_unnoticed(data: st.DataObject) -> None:
    content = bytearray(manifest.encode(manifest.manifest(TREE)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = manifest.decode(bytes(content))
    except Refused:
        return
    assert manifest.encode(decoded) == bytes(content)
    assert decoded.entries != TREE


names = st.sampled_from(["a", "b", "c"])
targets = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4)


@given(st.dictionaries(names, targets, max_size=2), st.dictionaries(names, targets, max_size=3))
def test_no_link_gets_out(top: dict[str, list[str]], below: dict[str, list[str]]) -> None:
    links = {name: "/".join(target) for name, target in top.items()}
    links |= {f"d/{name}": "/".join(target) for name, target in below.items()}
    entries = [directory("d"), *(link(path, target) for path, target in links.items())]
    try:
        manifest.manifest(entries)
    except Refused:
        return
    with tempfile.TemporaryDirectory() as root:
        Path(root, "d").mkdir()
        for path, target in links.items():
            Path(root, path).symlink_to(target)
        assert all(Path(root, path).resolve().is_relative_to(root) for path in links)


def test_folding_agrees_with_unicode() -> None:
    for one, other in [("İ", "i̇"), ("ﬁ", "FI"), ("Σ", "ς"), ("Å", "å")]:
        pair = sorted([file(one), file(other)], key=lambda entry: entry.path)
        assert unicodedata.normalize("NFC", one) != other
        with pytest.raises(Refused, match="differ only"):
            manifest.check(Manifest(1, tuple(pair)))
