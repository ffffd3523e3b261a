import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.builds import listing, manifest
from headway.builds.manifest import Manifest
from headway.errors import Refused, Untrusted
from headway.model.build import Entry, Kind
from tests.unit.builds.planting import Placed, directory, file, link, plant

TREE = (
    file("bin/run", "b" * 64, 3, Kind.EXECUTABLE),
    file("bin-x"),
    link("current", "bin"),
    file("deep/er/still/f"),
    file("über/größe ☃ \\ $(x)"),
)


Cut = tuple[int, int]
"""How a tree's listings are cut, as ``plant`` takes it."""
CUTS = [(1000, 1), (1, 2), (0, 1)]
"""Not at all, into pieces, into one for each entry."""
in_every_cut = pytest.mark.parametrize("cut", CUTS)
cuts = st.sampled_from(CUTS)


def paths(tree: Manifest) -> list[str]:
    return [path for path, _ in manifest.walk(tree)]


def test_the_whole_goes_there_and_back() -> None:
    tree = plant(TREE)
    read = manifest.decode(manifest.encode(tree), tree.build)
    assert list(manifest.walk(read)) == list(manifest.walk(tree))
    assert read.arrived == tree.arrived
    assert manifest.blobs(read) == {"a" * 64: 1, "b" * 64: 3}
    assert {path for path, _ in manifest.files(read)} == {
        path for path, entry in TREE if entry.digest
    }


def test_a_directory_comes_before_what_it_holds() -> None:
    found = paths(plant(TREE))
    assert all(found.index(p.rpartition("/")[0]) < found.index(p) for p in found if "/" in p)


def test_find() -> None:
    tree = plant(TREE)
    assert dict(manifest.walk(tree)) == {path: tree.find(path) for path in paths(tree)}
    for nowhere in ["gone", "bin/gone", "bin/run/gone", "current/run", "", "bin/", "a/b/c"]:
        assert tree.find(nowhere) is None


def test_a_build_is_its_root_and_nothing_else_has_that_id() -> None:
    tree = plant(TREE)
    with pytest.raises(Untrusted, match="not the one that was signed"):
        manifest.decode(manifest.encode(tree), "0" * 64)
    more = manifest.encode(tree) + b"\n" + manifest.encode(plant([file("other")]))
    with pytest.raises(Refused, match="no part of the build"):
        manifest.decode(more, tree.build)
    lines = manifest.encode(tree).split(b"\n")
    for left_out in lines[1:]:
        less = b"\n".join(line for line in lines if line != left_out)
        with pytest.raises(Untrusted, match="missing"):
            manifest.decode(less, tree.build)


@in_every_cut
@pytest.mark.parametrize(
    ("placed", "says"),
    [
        (["/".join(["x" * 200] * 21)], "longer than 4096"),
        (["/".join("ä" * 100 for _ in range(21))], "longer than 4096"),
        (["a/" * 128 + "a"], "nested more than 128"),
        (["d/.."], "plain name"),
    ],
)
def test_paths_that_no_node_can_have(placed: list[str], says: str, cut: Cut) -> None:
    tree = plant([file(path) for path in placed], *cut)
    with pytest.raises(Refused) as caught:
        manifest.check(tree)
    assert says in caught.value.sentence
    assert caught.value.sentence.isprintable()
    base = plant([file("kept/f")])
    with pytest.raises(Refused):
        manifest.extend(base, tree.arrived.values(), tree.build)


def test_deep_and_long_paths_are_fine() -> None:
    manifest.check(plant([file("/".join("ab" for _ in range(128))), file("é" * 127)]))


@in_every_cut
@pytest.mark.parametrize(
    "placed",
    [
        [link("a", "a")],
        [link("a", "b"), link("b", "a/x")],
        [link("d/a", "../d/b"), link("d/b", "../d/a")],
        [link("d/up", ".."), link("a", "d/up/a")],
        [*(link(f"l{n:02}", f"l{n + 1:02}") for n in range(50)), file("l50")],
    ],
)
def test_links_that_lead_nowhere_in_the_end(placed: list[Placed], cut: Cut) -> None:
    with pytest.raises(Refused, match="circles"):
        manifest.check(plant(placed, *cut))


@pytest.mark.parametrize(
    "placed",
    [
        [],
        [link("a", "gone")],
        [link("a", ".")],
        [link("d/a", "..")],
        [directory("a"), directory("a/b"), link("c", "a/b"), link("a/e", "../c/x")],
    ],
)
def test_other_links_are_fine(placed: list[Placed]) -> None:
    manifest.check(plant(placed))


def test_too_many_entries_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    big = [file(f"f{i}", f"{i:064x}", listing.MAX_FILE_BYTES) for i in range(9)]
    with pytest.raises(Refused, match="too many bytes"):
        manifest.check(plant(big))
    monkeypatch.setattr(manifest, "MAX_ENTRIES", 2)
    with pytest.raises(Refused, match="more than 2"):
        manifest.check(plant([file("a"), file("b"), file("c")]))
    monkeypatch.setattr(manifest, "MAX_MANIFEST_BYTES", 10)
    with pytest.raises(Refused, match="10 are allowed"):
        manifest.decode(manifest.encode(plant(TREE)), plant(TREE).build)


def test_a_small_manifest_of_a_huge_tree_is_refused() -> None:
    """Each directory holds the next one forty times: forty to the twentieth files."""
    listings: dict[str, bytes] = {}
    digest = ""
    for depth in range(20):
        kind = Kind.DIRECTORY if depth else Kind.FILE
        content = listing.encode(Entry(f"{n:02}", kind, 0, digest or "a" * 64) for n in range(40))
        digest = listing.digest(content)
        listings[digest] = content
    with pytest.raises(Refused, match="more than 1000000 entries"):
        manifest.decode(b"\n".join(listings.values()), digest)


@given(st.binary(max_size=60))
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises((Refused, Untrusted)):
        manifest.decode(content, "0" * 64)
    with pytest.raises(Refused):
        manifest.decode(content, listing.digest(content.split(b"\n")[0]))


names = st.sampled_from(["a", "b", "c"])
targets = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4)


@given(
    st.dictionaries(names, targets, max_size=2), st.dictionaries(names, targets, max_size=3), cuts
)
def test_no_link_gets_out(top: dict[str, list[str]], below: dict[str, list[str]], cut: Cut) -> None:
    links = {name: "/".join(target) for name, target in top.items()}
    links |= {f"d/{name}": "/".join(target) for name, target in below.items()}
    try:
        manifest.check(plant([directory("d"), *(link(*placed) for placed in links.items())], *cut))
    except Refused:
        return
    with tempfile.TemporaryDirectory() as root:
        Path(root, "d").mkdir()
        for path, target in links.items():
            Path(root, path).symlink_to(target)
        assert all(Path(root, path).resolve().is_relative_to(root) for path in links)


kinds = st.sampled_from([Kind.FILE, Kind.EXECUTABLE, Kind.LINK, Kind.DIRECTORY])
some = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "c-d"]), min_size=1, max_size=4).map("/".join),
    st.tuples(kinds, st.sampled_from("abc")),
    max_size=8,
)


def sprout(drawn: dict[str, tuple[Kind, str]], cut: Cut = CUTS[0]) -> Manifest:
    """A tree of what was drawn; what lies beneath something that is no directory is left out."""
    placed = []
    for path, (kind, letter) in drawn.items():
        above = [path[:at] for at, letter in enumerate(path) if letter == "/"]
        if any(drawn.get(parent, (Kind.DIRECTORY,))[0] is not Kind.DIRECTORY for parent in above):
            continue
        if kind is Kind.LINK:
            placed.append(link(path, f"gone-{letter}"))
        elif kind is Kind.DIRECTORY:
            placed.append(directory(path))
        else:
            placed.append(file(path, letter * 64, 1, kind))
    return plant(placed, *cut)


@given(some, some, cuts, cuts)
def test_differences_are_what_a_comparison_of_all_paths_finds(
    one: dict[str, tuple[Kind, str]],
    other: dict[str, tuple[Kind, str]],
    first_cut: Cut,
    second_cut: Cut,
) -> None:
    old, new = sprout(one, first_cut), sprout(other, second_cut)
    assert paths(old) == paths(sprout(one))
    assert all(old.find(path) == entry for path, entry in manifest.walk(old))
    before, after = dict(manifest.walk(old)), dict(manifest.walk(new))
    found = {d.path: (d.before, d.after) for d in manifest.differences(old, new)}
    expected = {}
    for path in before.keys() | after.keys():
        first, second = before.get(path), after.get(path)
        both = first and second and first.kind is second.kind is Kind.DIRECTORY
        if first != second and not both:
            expected[path] = first, second
    assert found == expected


@given(some, some, cuts, cuts)
def test_extending_gives_the_same_as_the_whole(
    one: dict[str, tuple[Kind, str]],
    other: dict[str, tuple[Kind, str]],
    first_cut: Cut,
    second_cut: Cut,
) -> None:
    old, new = sprout(one, first_cut), sprout(other, second_cut)
    missing = [new.arrived[digest] for digest in new.arrived.keys() - old.arrived.keys()]
    extended = manifest.extend(old, [*missing, b"[]", b"rubbish"], new.build)
    assert list(manifest.walk(extended)) == list(manifest.walk(new))
    assert extended.arrived.keys() - {listing.digest(b"[]")} == new.arrived.keys() - {
        *old.arrived.keys(),
        listing.digest(b"[]"),
    }
    for left_out in missing:
        less = [content for content in missing if content != left_out]
        with pytest.raises(Untrusted, match="missing"):
            manifest.extend(old, less, new.build)


def test_what_did_not_change_is_not_read() -> None:
    many = [file(f"d{i}/e/f{j}", f"{i:032x}{j:032x}") for i in range(30) for j in range(3)]
    old = plant(many)
    new = plant([*many, file("d7/e/more")])
    read: list[str] = []

    def older(digest: str) -> bytes | None:
        read.append(digest)
        return old.arrived.get(digest)

    base = Manifest(old.build, {}, older)
    extended = manifest.extend(base, new.arrived.values(), new.build)
    changes = list(manifest.differences(base, extended))
    assert [change.path for change in changes] == ["d7/e/more"]
    assert len(set(read)) == 3, "the root, d7 and d7/e"
    assert len(extended.arrived) == 3


@in_every_cut
def test_what_moves_is_checked_where_it_comes_to_lie(cut: Cut) -> None:
    """The same listing may be fine where it was, and lead outside where it is now."""
    old = plant([link("d/e/up", "../../x"), file("d/e/z")], *cut)
    new = plant([link("e/up", "../../x"), file("e/z")], *cut)
    manifest.check(old)
    with pytest.raises(Refused, match="out of the tree"):
        manifest.extend(old, new.arrived.values(), new.build)


@in_every_cut
def test_a_circle_that_closes_in_a_change_is_found(cut: Cut) -> None:
    old = plant([link("d/a", "../e/b"), file("e/b")], *cut)
    new = plant([link("d/a", "../e/b"), link("e/b", "../d/a")], *cut)
    manifest.check(old)
    with pytest.raises(Refused, match="circles"):
        manifest.extend(old, new.arrived.values(), new.build)
