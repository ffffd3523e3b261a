"""Whatever changes in a tree is found and named, once; and nothing is where nothing changed."""

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headway.agent import durable, processes, unnoticed
from headway.agent.config import Scrubbing
from headway.agent.scrub import Scrub
from headway.agent.slots import Slots
from headway.agent.state import Memory
from headway.agent.survey import shown
from headway.agent.switch import switch
from headway.errors import StorageFailed
from headway.model.build import Kind
from headway.model.report import Deviation, Inspection
from tests.unit.agent.agent_shelf import Shelf, Tree, digest, files, manifest, snapshot, trees


def quiet() -> None:
    pass


class Bench:
    """The slots of one app on a disk, and the scrub of it."""

    def __init__(self, app: Path) -> None:
        app.mkdir(exist_ok=True)
        self.shelf = Shelf()
        self.memory = Memory(app)
        self.slots = Slots(app, self.memory)
        self.told: list[Inspection] = []
        self.scrub = self.scrubbing(Scrubbing())
        self.asked = 0

    def scrubbing(self, settings: Scrubbing) -> Scrub:
        def tell() -> None:
            self.told.append(self.memory.state.inspection)

        return Scrub(settings, app="web", memory=self.memory, slots=self.slots, tell=tell)

    def prepare(self, tree: Tree, hook: Callable[[Path], None] | None = None) -> str:
        build = self.shelf.add(tree)
        described, made = self.shelf.describe("web", build)
        self.slots.gather(
            made, lambda wanted, save: self.shelf.fetch("web", build, wanted, save), quiet
        )
        slot = self.slots.prepare(described, made, set(), hook, quiet)
        self.slots.content.commit()
        return slot

    def serve(self, slot: str) -> None:
        switch(self.slots.app, slot)
        self.memory.keep(running=slot)

    def verify(self) -> Inspection:
        """One pass at full speed."""
        self.asked += 1
        while self.memory.state.inspection.asked < self.asked:
            self.scrub.advance(self.asked, quiet)
        return self.memory.state.inspection

    def found(self, slot: str = "1") -> dict[str, Deviation]:
        drift = [one for one in self.verify().drift if one.slot == slot]
        assert len(drift) <= 1
        assert all(one.count == len(one.strays) for one in drift)
        return {stray.path: stray.problem for one in drift for stray in one.strays}


@contextlib.contextmanager
def a_bench() -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory() as place,
        mock.patch.object(durable, "sync_file_system"),
        mock.patch.object(os, "fsync"),
        mock.patch.object(processes, "in_use", return_value=set()),
    ):
        bench = Bench(Path(place) / "web")
        try:
            yield bench
        finally:
            bench.slots.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with a_bench() as bench:
        yield bench


@settings(max_examples=25)
@given(trees(), st.booleans())
def test_nothing_is_found_in_an_untouched_slot(tree: Tree, hooked: bool) -> None:
    with a_bench() as bench:
        bench.prepare(tree, (lambda _: None) if hooked else None)
        bench.serve("1")
        bench.prepare({**tree, "more": (Kind.FILE, "more")} if "more" not in tree else tree)
        done = bench.verify()
        assert done.drift == ()
        texts = [path for path, (kind, _) in tree.items() if kind in {Kind.FILE, Kind.EXECUTABLE}]
        assert done.files == len(texts)
        assert done.build == manifest(tree).build


def _write(path: Path, content: bytes) -> None:
    """As root does: through the link, whatever the mode."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)


def _rot(path: Path) -> None:
    """A bit of the disk turns: same size, same times."""
    before = path.stat()
    content = path.read_bytes()
    _write(path, bytes([content[0] ^ 1]) + content[1:])
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    """Another file in its place, with everything but the content and the inode as it was."""
    before = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_bytes(b"?" * before.st_size)
    fresh.chmod(before.st_mode)
    os.utime(fresh, ns=(before.st_mtime_ns, before.st_mtime_ns))
    fresh.replace(path)


def _into_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _into_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere-entirely")


CHANGES: dict[str, tuple[set[Kind], Callable[[Path], None], Deviation]] = {
    "written": ({Kind.FILE, Kind.EXECUTABLE}, lambda p: _write(p, b"evil"), Deviation.CONTENT),
    "grown": (
        {Kind.FILE, Kind.EXECUTABLE},
        lambda p: _write(p, p.read_bytes() + b"."),
        Deviation.CONTENT,
    ),
    "rotten": ({Kind.FILE, Kind.EXECUTABLE}, _rot, Deviation.CONTENT),
    "replaced": ({Kind.FILE, Kind.EXECUTABLE}, _replace, Deviation.CONTENT),
    "mode": ({Kind.FILE, Kind.EXECUTABLE}, lambda p: p.chmod(0o644), Deviation.MODE),
    "touched": ({Kind.FILE, Kind.EXECUTABLE}, os.utime, Deviation.TIME),
    "removed": ({Kind.FILE, Kind.EXECUTABLE, Kind.LINK}, lambda p: p.unlink(), Deviation.MISSING),
    "a directory": ({Kind.FILE, Kind.EXECUTABLE}, _into_directory, Deviation.KIND),
    "a link": ({Kind.FILE, Kind.EXECUTABLE}, _into_link, Deviation.KIND),
    "led elsewhere": ({Kind.LINK}, _into_link, Deviation.TARGET),
    "opened up": ({Kind.DIRECTORY}, lambda p: p.chmod(0o777), Deviation.MODE),
    "added to": ({Kind.DIRECTORY}, lambda p: (p / "new").touch(), Deviation.UNEXPECTED),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=12)
@given(data=st.data(), hot=st.booleans())
def test_any_single_change_is_found_and_named(change: str, data: st.DataObject, hot: bool) -> None:
    kinds, do, problem = CHANGES[change]
    tree = data.draw(trees())
    paths = [
        path
        for path, (kind, text) in tree.items()
        if kind in kinds and (text or change not in {"rotten", "replaced"})
    ]
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    with a_bench() as bench:
        bench.prepare(tree)
        if hot:
            bench.serve("1")
        place = bench.slots.path("1") / path
        inode = place.lstat().st_ino
        do(place)
        # What is written to a file shows under all of its names.
        same = {
            str(other.relative_to(bench.slots.path("1")))
            for other in bench.slots.path("1").rglob("*")
            if os.path.lexists(place) and other.lstat().st_ino == place.lstat().st_ino == inode
        }
        named = {f"{path}/new"} if change == "added to" else same | {path}
        assert bench.found() == dict.fromkeys(named, problem)
        assert bench.slots.holding(manifest(tree).build) == ("1" if hot else None)


def test_odd_names_are_told_as_they_can_be_shown(bench: Bench) -> None:
    bench.prepare(files(f="one"))
    root = os.fsencode(bench.slots.path("1"))
    for name in (b"\xff\x1b[31m", b"a\nb", "\u202etxt".encode(), b"x" * 255):
        Path(os.fsdecode(root + b"/" + name)).touch()
    assert set(bench.found()) == {"\\xff\\x1b[31m", "a\\nb", "\\u202etxt", "x" * 255}
    assert len(shown("y/" * 1000)) == 300


def test_only_the_first_paths_are_named(bench: Bench) -> None:
    bench.prepare(files(f="one"))
    for number in range(200):
        (bench.slots.path("1") / f"junk-{number:03}").touch()
    (drift,) = bench.verify().drift
    assert drift.count == 200
    assert [stray.path for stray in drift.strays] == [f"junk-{n:03}" for n in range(10)]


def test_what_a_hook_made_is_its_own_and_what_it_left_is_checked(bench: Bench) -> None:
    def hook(tree: Path) -> None:
        (tree / "made").write_text("by the hook")
        (tree / "g").unlink()
        (tree / "h").unlink()
        (tree / "h").write_text("by the hook")

    bench.prepare(files(f="one", g="two", h="three"), hook)
    assert bench.found() == {}
    _write(bench.slots.path("1") / "f", b"evil")
    assert bench.found() == {"f": Deviation.CONTENT}


@pytest.mark.parametrize(
    "damage",
    [lambda p: p.write_bytes(p.read_bytes()[:-1]), Path.unlink, _into_directory],
    ids=["torn", "gone", "unreadable"],
)
@pytest.mark.parametrize("of_a_piece", [True, False])
def test_a_damaged_listing_is_named_by_its_directory(
    bench: Bench, damage: Callable[[Path], None], of_a_piece: bool
) -> None:
    slot = bench.prepare(
        {"d": (Kind.DIRECTORY, "")} | files(**{f"d/{name}": "one" for name in "abc"})
    )
    bench.serve(slot)
    tree = bench.slots.manifest(next(iter(bench.shelf.builds)))
    entry = tree.find("d")
    assert entry is not None
    pieces = [span.digest for span in tree.spans(entry.digest)]
    assert entry.digest not in pieces
    digest = pieces[0] if of_a_piece else entry.digest
    bench.slots.tidy(set(), lambda: None)
    damage(bench.slots.app / "listings" / digest[:2] / digest)
    assert bench.found() == {"d": Deviation.LISTING}


@pytest.mark.parametrize("damage", [lambda p: _write(p, b"evil"), _rot])
def test_damage_is_taken_out_of_the_store_and_of_every_slot_that_is_made_next(
    bench: Bench, damage: Callable[[Path], None]
) -> None:
    old, new = files(f="one", g="old", h="last"), files(f="one", g="new", h="last")
    bench.serve(bench.prepare(old))
    for text in ("1", "2"):
        bench.prepare(files(f="one", g=text, h="last"))
    damage(bench.slots.path("1") / "f")
    drifts = bench.verify().drift
    assert {(drift.slot, drift.serving) for drift in drifts} == {
        ("1", True),
        ("2", False),
        ("3", False),
    }
    bench.shelf.fetched.clear()
    slot = bench.prepare(new)
    assert bench.shelf.fetched == [digest("one"), digest("new")], "what was good was kept"
    assert (bench.slots.path(slot) / "f").read_text() == "one"
    assert snapshot(bench.slots.path(slot)) == new
    bench.serve(slot)
    bench.slots.tidy(set(), quiet)
    assert bench.slots.holding(manifest(old).build) is None, "never switched to again"
    bench.prepare(old)
    bench.prepare(files(f="one", g="2", h="last"))
    assert bench.verify().drift == ()
    for number in "123":
        assert (bench.slots.path(number) / "f").read_text() == "one"
    bench.slots.tidy(set(), quiet)
    assert os.listdir(bench.slots.app / "store" / "damaged") == []


def test_a_tree_that_was_put_right_by_hand_has_not_drifted_any_more(bench: Bench) -> None:
    bench.serve(bench.prepare(files(f="one")))
    (bench.slots.path("1") / "junk").touch()
    (first,) = bench.verify().drift
    (again,) = bench.verify().drift
    assert (first.serving, again.since) == (True, first.since)
    (bench.slots.path("1") / "junk").unlink()
    assert bench.verify().drift == ()
    assert not bench.memory.state.slots["1"].drifted


class News(Exception):
    pass


def test_it_gives_way_after_every_piece_and_goes_on_where_it_stopped(bench: Bench) -> None:
    big = "x" * 3_000_000
    bench.serve(bench.prepare(files(a="one", big=big, c="three")))
    _write(bench.slots.path("1") / "c", b"evil")

    def news() -> None:
        raise News

    given = 0
    while not bench.memory.state.inspection.asked:
        try:
            bench.scrub.advance(1, news)
        except News:
            given += 1
            # A deploy in between, halfway through.
            if given == 12:
                bench.prepare(files(a="one", big=big, c="four"))
        assert given < 1000, "it began again every time"
    assert given > len(big) // (256 * 1024), "it gave way inside of a file"
    assert {drift.slot for drift in bench.memory.state.inspection.drift} == {"1"}
    assert bench.memory.state.inspection.files == 3


def test_it_keeps_to_its_rate_and_rests_in_between(bench: Bench) -> None:
    bench.serve(bench.prepare(files(big="x" * 4_000_000)))
    now = 1000.0
    with mock.patch("time.monotonic", lambda: now):
        scrub = bench.scrubbing(Scrubbing(megabytes_per_second=1.0, every=0.001))
        began = now = now + 3600
        while not bench.memory.state.inspection.ended:
            now += scrub.advance(0, quiet)
        assert now - began > 4.0 * 0.9, "four megabytes at one in a second"
    off = bench.scrubbing(Scrubbing(megabytes_per_second=0.0))
    assert off.advance(0, quiet) >= 60, "never by itself"
    assert bench.verify().files == 1, "but when asked to"


@pytest.mark.parametrize(("ended", "least", "most"), [(-48, -1e9, 0), (-6, 17, 18), (900, 24, 24)])
def test_the_next_pass_counts_from_the_last_whatever_the_clock_says(
    bench: Bench, ended: float, least: float, most: float
) -> None:
    last = Inspection(ended=time.time() + ended * 3600)
    bench.memory.keep(inspection=last)
    with mock.patch("time.monotonic", lambda: now):
        now = 5000.0
        scrub = bench.scrubbing(Scrubbing())
        begun = scrub.advance(0, quiet) == 0
        assert begun == (most == 0)
        if not begun:
            assert least - 0.1 <= scrub.advance(0, quiet) / 3600 <= most
            now += 24 * 3600
            assert scrub.advance(0, quiet) == 0, "it does not wait for ever"


def test_the_page_cache_stays_as_it_was(tmp_path: Path) -> None:
    length = 64 * 4096
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.write(os.urandom(4 * length))
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

        def absent() -> list[tuple[int, int]]:
            return [
                hole for at in range(4) for hole in unnoticed._absent(file.fileno(), at * length)
            ]

        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if len(absent()) != 4:
            pytest.skip("this file system keeps its files in memory")
        os.pread(file.fileno(), 3 * 4096, length + 4096)
        before = absent()
        assert sum(size for _, size in before) < 4 * length
        with durable.opened(tmp_path) as directory:
            assert sum(unnoticed.digest("big", directory)) == 4 * length
        assert absent() == before


def test_what_is_mended_while_a_pass_goes_on_is_still_told_of(bench: Bench) -> None:
    good, other = files(f="good"), files(f="other")
    for tree in (good, other):
        bench.prepare(tree)
    bench.serve("2")
    (bench.slots.path("1") / "junk").touch()
    mended = False
    while not bench.memory.state.inspection.asked:
        with contextlib.suppress(News):
            bench.scrub.advance(1, lambda: (_ for _ in ()).throw(News))
        if bench.memory.state.inspection.drift and not mended:
            bench.slots.tidy({manifest(good).build}, quiet)
            assert bench.slots.lost() == manifest(good).build
            bench.prepare(good)
            mended = True
    (drift,) = bench.memory.state.inspection.drift
    assert (drift.slot, drift.mended) == ("1", True)
    bench.asked = 1
    assert bench.verify().drift == ()


def test_what_was_set_aside_makes_no_later_deploy_dear(bench: Bench) -> None:
    bench.serve(bench.prepare(files(f="one")))
    _write(bench.slots.path("1") / "f", b"evil")
    bench.verify()
    slot = bench.prepare(files(f="one", g="two"))
    assert len(bench.verify().drift) == 1, "the hot tree still has it"
    assert bench.memory.state.slots[slot].exact


def test_trouble_of_the_agents_own_is_no_damage(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.serve(bench.prepare(files(f="one")))
    real = os.open

    def failing(number: int) -> Callable[..., int]:
        def opened(name: object, *rest: int, **more: int) -> int:
            if str(name).startswith(digest("one")):
                raise OSError(number, os.strerror(number))
            return real(name, *rest, **more)  # type: ignore[call-overload, no-any-return]

        return opened

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing(errno.EMFILE))
        with pytest.raises(StorageFailed, match="Too many open files"):
            bench.verify()
    assert bench.found() == {}
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", failing(errno.EIO))
        assert bench.found() == {"f": Deviation.UNREADABLE}


def interrupted(bench: Bench, at: int, do: Callable[[], object]) -> bool:
    """One pass, in which something happens after the piece with this number; if it came to that."""
    pieces = 0
    while not bench.memory.state.inspection.asked:
        with contextlib.suppress(News):
            bench.scrub.advance(1, lambda: (_ for _ in ()).throw(News))
        pieces += 1
        if pieces == at:
            do()
    return pieces >= at


def test_a_slot_that_is_made_anew_under_the_survey_has_not_drifted() -> None:
    reached, at = True, 0
    while reached:
        at += 1
        with a_bench() as bench:
            for text in ("1", "2", "3"):
                bench.prepare(files(a="same", f=text))
            bench.serve("3")
            reached = interrupted(bench, at, lambda b=bench: b.prepare(files(g="4", h="5")))  # type: ignore[misc]
            assert {told.drift for told in bench.told} == {()}, "not even for a moment"
    assert at > 10


def test_a_mode_that_changes_while_a_pass_goes_on_is_not_linked_on() -> None:
    reached, at, found = True, 0, 0
    while reached:
        at += 1
        with a_bench() as bench:
            bench.serve(bench.prepare(files(f="one", g="two")))
            place = bench.slots.path("1") / "f"
            reached = interrupted(bench, at, lambda p=place: p.chmod(0o666))  # type: ignore[misc]
            if bench.memory.state.inspection.drift:
                found += 1
                slot = bench.prepare(files(f="one", g="three"))
                assert snapshot(bench.slots.path(slot)) == files(f="one", g="three")
    assert 0 < found < at
