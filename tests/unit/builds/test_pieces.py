"""A directory of forty thousand entries: what a change costs, and how it must not be cut."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.builds import listing, manifest, pieces
from headway.builds.manifest import Manifest
from headway.errors import Refused, Untrusted
from headway.model.build import Entry, Kind, Listing
from tests.unit.builds.planting import directory, file, plant

NAMES = [f"icon-{number:05}.svg" for number in range(40_000)]
MANY = [file(name, f"{number:064x}") for number, name in enumerate(NAMES)]


class Counting:
    """A tree that is known, and what was read of it."""

    def __init__(self, tree: Manifest) -> None:
        self.tree = tree
        self.read: set[str] = set()
        self.known = Manifest(tree.build, {}, self._get)

    def _get(self, digest: str) -> bytes | None:
        self.read.add(digest)
        return self.tree.arrived.get(digest)


@pytest.fixture(scope="module")
def large() -> Manifest:
    return plant(MANY)


def entry(name: str, kind: Kind = Kind.FILE) -> Entry:
    return Entry(name, kind, 1 if kind is Kind.FILE else 0, "a" * 64)


def built(*directories: Sequence[Entry], firsts: Sequence[str] = ()) -> Manifest:
    """A tree whose root is listed by these pieces, as hostile as they may be."""
    contents = [listing.encode(entries) for entries in directories]
    names = firsts or [entries[0].name for entries in directories]
    index = [
        Entry(name, Kind.PIECE, digest=listing.digest(content))
        for name, content in zip(names, contents, strict=True)
    ]
    contents.append(listing.encode(index))
    return Manifest(
        listing.digest(contents[-1]), {listing.digest(content): content for content in contents}
    )


def test_no_piece_is_large_and_together_they_are_the_directory(large: Manifest) -> None:
    sizes = [len(large.listing(span.digest)) for span in large.spans(large.build)]
    assert sum(sizes) == len(MANY)
    assert 400 < len(sizes) < 900
    assert max(len(content) for content in large.arrived.values()) < 100_000
    assert [found.name for found in large.entries(large.build)] == NAMES
    assert [path for path, _ in manifest.walk(large)] == NAMES
    assert all(large.find(name) == placed for name, placed in MANY[::97])
    assert [large.find(gone) for gone in ("a", "icon-00000", "icon-20000.svgz", "z")] == [None] * 4


@pytest.mark.parametrize("most", [pieces.MOST, pieces.MOST + 1])
def test_only_what_is_larger_than_that_is_cut(most: int) -> None:
    tree = plant(MANY[:most])
    assert pieces.is_cut(tree.listing(tree.build)) == (most > pieces.MOST)


@pytest.mark.parametrize("at", [0, 1, 20_000, 39_999])
@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_a_change_costs_the_pieces_that_it_touches(large: Manifest, at: int, change: str) -> None:
    name = NAMES[at]
    altered = {
        "changed": [*MANY[:at], file(name, "f" * 64), *MANY[at + 1 :]],
        "added": [*MANY, file(f"{name}.more")],
        "removed": [*MANY[:at], *MANY[at + 1 :]],
    }[change]
    new = plant(altered)
    arrived = [new.arrived[digest] for digest in new.arrived.keys() - large.arrived.keys()]
    assert len(arrived) <= 3, "what lists the pieces, and the piece, which may be cut in two"
    base = Counting(large)
    extended = manifest.extend(base.known, arrived, new.build)
    found = list(manifest.differences(base.known, extended))
    assert [difference.path for difference in found] == [
        f"{name}.more" if change == "added" else name
    ]
    assert len(base.read) <= 4
    assert [path for path, _ in manifest.walk(extended)] == sorted(path for path, _ in altered)


def test_a_directory_that_grows_into_pieces_and_back_is_the_same_directory() -> None:
    few = [*MANY[: pieces.MOST], directory("z"), file("z/deep")][2:]
    small, big = plant(few), plant([*MANY[: pieces.MOST], *few])
    for old, new in [(small, big), (big, small)]:
        extended = manifest.extend(old, new.arrived.values(), new.build)
        changed = sorted(difference.path for difference in manifest.differences(old, extended))
        assert changed == NAMES[:2], "and not what lies in z, which both have"


def test_the_id_of_a_build_does_not_depend_on_who_publishes_it() -> None:
    """Where the cuts are is a promise: another rule would give unchanged trees other ids."""
    assert (
        plant(MANY[:300]).build
        == "27f8ba1fe298c967b2c5f103b3c2f368e1c91e9810ea490b0eef4e5358c6dd08"
    )
    assert (
        plant(MANY[: pieces.MOST]).build
        == "b275ca5374158d109de16ee32ab2145f68bd5f1cbe5311ed5d64568619423fe0"
    )


def test_few_of_many_listings_are_kept_in_memory(large: Manifest) -> None:
    known = Counting(large)
    first, *_ = known.known.spans(large.build)
    known.known.entries(large.build)
    known.read.clear()
    known.known.listing(first.digest)
    assert known.read == {first.digest}


def test_the_whole_goes_there_and_back(large: Manifest) -> None:
    read = manifest.decode(manifest.encode(large), large.build)
    assert read.arrived == large.arrived
    for span in large.spans(large.build)[:3]:
        less = [content for digest, content in large.arrived.items() if digest != span.digest]
        with pytest.raises(Untrusted, match="missing"):
            manifest.decode(b"\n".join(less), large.build)


A, B, C, D = (entry(name) for name in "abcd")


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        (built([A, B], [C], firsts=["a", "bb"]), "does not begin with 'bb'"),
        (built([A, B], [], firsts=["a", "c"]), "does not begin with 'c'"),
        (built([A, C], [B, D]), "does not end before 'b'"),
        (built([A, B], [B, C]), "does not end before 'b'"),
        (built([C], [A], firsts=["a", "b"]), "does not begin with 'a'"),
        (built([A], [entry("b", Kind.PIECE)]), "cut again"),
        (built([A], [B, entry("c", Kind.PIECE)]), "cut again"),
        (built([A], [entry("A")], firsts=["A", "a"]), "only in case"),
        (built([entry("A"), B], [entry("a")]), "only in case"),
        (built([entry("B")], [A, entry("b")]), "only in case"),
        (built([A], [entry("b/c")]), "plain name"),
    ],
)
def test_what_is_no_way_to_cut_a_directory_is_refused(tree: Manifest, says: str) -> None:
    with pytest.raises(Refused) as caught:
        manifest.check(tree)
    assert says in caught.value.sentence
    assert caught.value.sentence.isprintable()
    with pytest.raises(Refused):
        manifest.decode(b"\n".join(tree.arrived.values()), tree.build)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (built([A, C], [D]), built([A, C], [B, D])),
        (built([A, C], [D]), built([A, C], [C, D])),
        (built([A], [C]), built([A], [C], firsts=["a", "b"])),
    ],
)
def test_a_piece_that_is_known_must_keep_to_its_new_span(before: Manifest, after: Manifest) -> None:
    manifest.check(before)
    with pytest.raises(Refused):
        manifest.extend(before, after.arrived.values(), after.build)


@pytest.mark.parametrize(
    ("piece", "says"),
    [
        (["b", "p", 7, "DIGEST", ""], "no file"),
        (["b", "p", 0, "DIGEST", "x"], "target"),
        (["b", "f", 1, "DIGEST", ""], "pieces and entries at once"),
        (["b", "p", 0, "nothing", ""], "digest"),
        (["A", "p", 0, "DIGEST", ""], "order"),
        (["b/", "p", 0, "DIGEST", ""], "plain name"),
    ],
)
def test_what_is_no_list_of_pieces_is_refused(piece: list[str | int], says: str) -> None:
    contents = [listing.encode(entries) for entries in ([A], [B, C])]
    first, second = map(listing.digest, contents)
    filled = [second if value == "DIGEST" else value for value in piece]
    top = msgspec.json.encode([["a", "p", 0, first, ""], filled])
    tree = Manifest(listing.digest(top), {listing.digest(c): c for c in [*contents, top]})
    with pytest.raises(Refused, match=says):
        manifest.check(tree)


def listed(*names: str) -> Listing:
    return tuple(entry(name) for name in names)


@given(st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), min_size=1))
def test_any_names_can_be_cut_anywhere(names: set[str]) -> None:
    entries = listed(*sorted(names))
    for every in (1, 2, 5):
        contents = {listing.digest(c): c for c in pieces.encode(entries, 0, every)}
        tree = Manifest(list(contents)[-1], contents)
        assert tree.entries(tree.build) == entries
        assert all(tree.find(name) for name in names if "/" not in name)
