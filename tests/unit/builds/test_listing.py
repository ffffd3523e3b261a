import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.builds import listing
from headway.errors import Refused
from headway.model.build import Entry, Kind

ENTRIES = (
    Entry("bin", Kind.DIRECTORY, digest="d" * 64),
    Entry("run", Kind.EXECUTABLE, 3, "b" * 64),
    Entry("to", Kind.LINK, target="../lib/./x"),
    Entry("größe ☃ \\ $(x)", Kind.FILE, 1, "a" * 64),
)


def file(name: str, digest: str = "a" * 64, size: int = 1) -> Entry:
    return Entry(name, Kind.FILE, size, digest)


def link(target: str) -> Entry:
    return Entry("a", Kind.LINK, target=target)


def test_goes_there_and_back_in_one_spelling() -> None:
    content = listing.encode(reversed(ENTRIES))
    assert content == listing.encode(ENTRIES)
    read = listing.read(content, "")
    assert set(listing.check(read, "", 1)) == set(read)
    assert set(read) == set(ENTRIES)
    assert [entry.name for entry in read] == sorted((e.name for e in ENTRIES), key=str.encode)
    assert listing.decode(content) == read


def test_the_digest_is_that_of_the_bytes() -> None:
    assert listing.digest(b"") == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), unique=True))
def test_order_of_text_is_the_order_of_bytes(names: list[str]) -> None:
    assert sorted(names) == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/etc/passwd", ".", "..", "../x", "a/b", "a/..", "./a", "a/"),
        *("a\x00b", "a\nb", "a\n", "\r", "a\x1bb", "a\x7f", "a\x85b", "a\u2028b"),
        *("\ud800", "\udcff", "x" * 256, "ä" * 128),
    ],
)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        listing.check((file(name),), "d", 1)
    assert caught.value.sentence.isprintable()
    assert caught.value.sentence.startswith("'d/")


@pytest.mark.parametrize(
    "name",
    [
        *("a", ".a", "...", "a..", "..a", "a b", " ", "-rf", "~", "$HOME", "a\\b"),
        *("x" * 255, "ä" * 127),
    ],
)
def test_unusual_names_are_fine(name: str) -> None:
    listing.check((file(name),), "", 0)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ((file("a"), file("a")), "'a' is listed twice"),
        ((file("b"), file("a")), "order"),
        ((file("A"), file("a")), "'a' differs from 'A' only"),
        ((file("straSSe"), file("straße")), "only in case"),
        ((file("e\u0301"), file("\u00e9")), "accents"),
        ((file("a", digest=""),), "digest"),
        ((file("a", digest="A" * 64),), "digest"),
        ((file("a", digest="a" * 64 + "\n"),), "digest"),
        ((file("a", size=2**60),), "bytes"),
        ((Entry("a", Kind.FILE, 1, "a" * 64, "x"),), "target"),
        ((Entry("a", Kind.DIRECTORY),), "digest"),
        ((Entry("a", Kind.PIECE),), "digest"),
        ((Entry("a", Kind.PIECE, 1, "a" * 64),), "no file"),
        ((Entry("..", Kind.PIECE, digest="a" * 64),), "plain name"),
        ((Entry("a", Kind.PIECE, digest="a" * 64), file("b")), "pieces and entries at once"),
        ((file("a"), Entry("b", Kind.PIECE, digest="a" * 64)), "pieces and entries at once"),
        ((Entry("a", Kind.DIRECTORY, 1, "a" * 64),), "no file"),
        ((Entry("a", Kind.DIRECTORY, digest="a" * 64, target="b"),), "target"),
        ((Entry("a", Kind.LINK, 0, "a" * 64, "b"),), "no content"),
        ((Entry("a", Kind.LINK),), "target"),
        ((link("/etc/passwd"),), "absolute"),
        ((link("../../.."),), "out of the tree"),
        ((link("../.././../x"),), "out of the tree"),
        ((link("b/../c"),), "'..' after a name"),
        ((link("../b/.."),), "'..' after a name"),
        ((link("x\ny"),), "not plain"),
        ((link("\udc80"),), "not plain"),
        ((link("x" * 5000),), "not plain"),
    ],
)
def test_what_is_no_listing_is_refused(entries: tuple[Entry, ...], says: str) -> None:
    with pytest.raises(Refused) as caught:
        listing.check(entries, "", 2)
    assert says in caught.value.sentence
    assert caught.value.sentence.isprintable()


@pytest.mark.parametrize("target", ["gone", ".", "..", "../..", "./../.././x//y", "..a/b"])
def test_links_that_stay_inside_are_fine(target: str) -> None:
    listing.check((link(target),), "", 2)


def test_how_far_a_link_may_climb_depends_on_where_it_is() -> None:
    listing.check((link("../x"),), "d", 1)
    with pytest.raises(Refused, match="out of the tree"):
        listing.check((link("../x"),), "", 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"{}",
        b"\xff",
        b"[]\n",
        b" []",
        b'[["a","d",0]]',
        b'[["a","d",0,"' + b"d" * 64 + b'","",""]]',
        b'[["\\u0061","d",0,"' + b"d" * 64 + b'",""]]',
        b'[["a","s",0,"",""]]',
        b'[["a","f",1.0,"' + b"d" * 64 + b'",""]]',
        b'[["a","f",-1,"' + b"d" * 64 + b'",""]]',
        b'[["\\ud800","f",0,"' + b"d" * 64 + b'",""]]',
    ],
)
def test_any_other_spelling_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        listing.read(content, "")


@given(st.binary(max_size=60))
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        listing.read(content, "")


@given(st.data())
def test_a_changed_byte_never_goes_unnoticed(data: st.DataObject) -> None:
    content = bytearray(listing.encode(ENTRIES))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    try:
        read = listing.read(bytes(content), "")
        listing.check(read, "", 1)
    except Refused:
        return
    assert listing.encode(read) == bytes(content)
    assert set(read) != set(ENTRIES)


def test_folding_agrees_with_unicode() -> None:
    for one, other in [("İ", "i̇"), ("ﬁ", "FI"), ("Σ", "ς"), ("Å", "å")]:
        first, second = sorted([one, other])
        assert unicodedata.normalize("NFC", one) != other
        with pytest.raises(Refused, match="only in case"):
            listing.check((file(first), file(second)), "", 0)
