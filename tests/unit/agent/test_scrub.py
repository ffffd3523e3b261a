"""Whatever changes in a tree is found and named, once; and nothing is where nothing changed."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headway.agent import unnoticed
from headway.agent.config import Scrubbing
from headway.agent.scrub import Scrub
from headway.agent.slots import Slots
from headway.agent.state import Memory
from headway.agent.survey import shown
from headway.agent.switch import switch
from headway.model.build import Kind
from headway.model.report import Drift, Inspection, Problem
from tests.unit.agent.agent_shelf import Shelf, Tree, digest, files, manifest, snapshot, trees

HERE = os.path.dirname(__file__)


def quiet() -> None:
    pass


class Bench:
    """The slots of one app on a disk, and the scrub of it."""

    def __init__(self, app: Path) -> None:
        app.mkdir(exist_ok=True)
        self.shelf = Shelf()
        self.memory = Memory(app)
        self.slots = Slots(app, self.memory)
        self.scrub = self.scrubbing(Scrubbing())
        self.asked = 0

    def scrubbing(self, settings: Scrubbing) -> Scrub:
        return Scrub(settings, app="web", memory=self.memory, slots=self.slots, tell=quiet)

    def prepare(self, tree: Tree, hook: Callable[[Path], None] | None = None) -> str:
        build = self.shelf.add(tree)
        described, made = self.shelf.describe("web", build)
        self.slots.gather(
            made, lambda wanted, save: self.shelf.fetch("web", build, wanted, save), quiet
        )
        return self.slots.prepare(described, made, set(), hook, quiet)

    def serve(self, slot: str) -> None:
        switch(self.slots.app, slot)
        self.memory.keep(running=slot)

    def verify(self) -> Inspection:
        """One pass at full speed."""
        self.asked += 1
        while self.memory.state.inspection.asked < self.asked:
            self.scrub.advance(self.asked, quiet)
        return self.memory.state.inspection

    def found(self, slot: str = "1") -> dict[str, Problem]:
        drift = [one for one in self.verify().drift if one.slot == slot]
        assert len(drift) <= 1
        assert all(one.count == len(one.strays) for one in drift)
        return {stray.path: stray.problem for one in drift for stray in one.strays}


@contextlib.contextmanager
def a_bench() -> Iterator[Bench]:
    # Beside the tests, since what is in memory only has no page cache to leave alone.
    with tempfile.TemporaryDirectory() as place:
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


CHANGES: dict[str, tuple[set[Kind], Callable[[Path], None], Problem]] = {
    "written": ({Kind.FILE, Kind.EXECUTABLE}, lambda p: _write(p, b"evil"), Problem.CONTENT),
    "grown": (
        {Kind.FILE, Kind.EXECUTABLE},
        lambda p: _write(p, p.read_bytes() + b"."),
        Problem.CONTENT,
    ),
    "rotten": ({Kind.FILE, Kind.EXECUTABLE}, _rot, Problem.CONTENT),
    "replaced": ({Kind.FILE, Kind.EXECUTABLE}, _replace, Problem.CONTENT),
    "mode": ({Kind.FILE, Kind.EXECUTABLE}, lambda p: p.chmod(0o644), Problem.MODE),
    "touched": ({Kind.FILE, Kind.EXECUTABLE}, lambda p: os.utime(p), Problem.TIME),
    "removed": ({Kind.FILE, Kind.EXECUTABLE, Kind.LINK}, lambda p: p.unlink(), Problem.MISSING),
    "a directory": ({Kind.FILE, Kind.EXECUTABLE}, _into_directory, Problem.KIND),
    "a link": ({Kind.FILE, Kind.EXECUTABLE}, _into_link, Problem.KIND),
    "led elsewhere": ({Kind.LINK}, _into_link, Problem.TARGET),
    "opened up": ({Kind.DIRECTORY}, lambda p: p.chmod(0o777), Problem.MODE),
    "added to": ({Kind.DIRECTORY}, lambda p: (p / "new").touch(), Problem.UNEXPECTED),
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
            if other.lstat().st_ino == inode and place.lstat().st_ino == inode
        }
        named = {f"{path}/new"} if change == "added to" else same | {path}
        assert bench.found() == dict.fromkeys(named, problem)
        assert bench.slots.holding(manifest(tree).build) == ("1" if hot else None)
