"""Builds in memory, and the words of the control plane, for the tests of the agent."""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from headway.builds import manifest as manifests
from headway.builds.fetch import Known
from headway.builds.manifest import Manifest
from headway.errors import NotFound
from headway.model.build import Build, Kind
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeHold,
    NodeRecord,
    Seat,
    Signal,
    record_key,
    signal_key,
)
from headway.signing import Signer
from tests.unit.builds import planting

Tree = dict[str, tuple[Kind, str]]
"""Kind, and content or target, of every path; what the tests say instead of a manifest."""

RELEASE_KEY = Signer.generate()


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def manifest(tree: Tree) -> Manifest:
    placed = []
    for path, (kind, text) in tree.items():
        if kind is Kind.LINK:
            placed.append(planting.link(path, text))
        elif kind is Kind.DIRECTORY:
            placed.append(planting.directory(path))
        else:
            placed.append(planting.file(path, digest(text), len(text.encode()), kind))
    planted = planting.plant(placed, most=2, every=2)
    manifests.check(planted)
    return planted


def files(**contents: str) -> Tree:
    return {name: (Kind.FILE, text) for name, text in contents.items()}


def snapshot(directory: Path) -> Tree:
    """What really is in a directory; modes and times must be those of a slot."""
    found: Tree = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[name] = (Kind.LINK, os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            assert stat.S_IMODE(status.st_mode) == 0o755
            found[name] = (Kind.DIRECTORY, "")
        else:
            kind = {0o444: Kind.FILE, 0o555: Kind.EXECUTABLE}[stat.S_IMODE(status.st_mode)]
            found[name] = (kind, path.read_text())
    return found


def expected(made: Manifest, texts: Mapping[str, str]) -> Tree:
    return {
        path: (entry.kind, entry.target or texts.get(entry.digest, ""))
        for path, entry in manifests.walk(made)
    }


TEXTS = ["", "one", "two", "three", "x" * 5000]


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Small trees over few names, so that two of them meet in every way."""
    name = st.sampled_from(["a", "b", "c", "a-b"])
    paths = draw(st.lists(st.lists(name, min_size=1, max_size=3).map("/".join), max_size=8))
    tree: Tree = {}
    for path in sorted(set(paths)):
        above = [tree.get("/".join(path.split("/")[:n])) for n in range(1, path.count("/") + 1)]
        if any(kind not in {None, (Kind.DIRECTORY, "")} for kind in above):
            continue
        kind = draw(st.sampled_from([kind for kind in Kind if kind is not Kind.PIECE]))
        text = ""
        if kind in {Kind.FILE, Kind.EXECUTABLE}:
            text = draw(st.sampled_from(TEXTS))
        elif kind is Kind.LINK:
            text = draw(st.sampled_from(["a-b", "nowhere", "./a"]))
            if text.removeprefix("./") == path.split("/")[-1]:
                text = "elsewhere"
        if not any(other.startswith(path + "/") for other in tree):
            tree[path] = (kind, text)
    try:
        manifest(tree)
    except Exception:
        # Links may have gone round in circles: those are no builds.
        return {path: item for path, item in tree.items() if item[0] is not Kind.LINK}
    return tree


class Shelf:
    """A source of builds; ``on_fetch`` is called before each content is handed over."""

    def __init__(self) -> None:
        self.builds: dict[str, tuple[Build, Manifest]] = {}
        self.texts: dict[str, str] = {}
        self.fetched: list[str] = []
        self.on_fetch: Callable[[str], None] = lambda _: None

    def add(self, tree: Tree, app: str = "web") -> str:
        made = manifest(tree)
        build = made.build
        self.texts |= {digest(text): text for _, text in tree.values()}
        described = Build(build, app, f"commit-{len(self.builds)}", 0.0, "tests", 0, 0, 0)
        self.builds[build] = described, made
        return build

    def describe(self, app: str, build: str, known: Known | None = None) -> tuple[Build, Manifest]:
        if build not in self.builds:
            raise NotFound(f"there is no build {build[:12]}")
        return self.builds[build]

    def fetch(
        self,
        app: str,
        build: str,
        wanted: Mapping[str, int],
        save: Callable[[str, int, Iterator[bytes]], None],
    ) -> None:
        for wish, size in wanted.items():
            self.on_fetch(wish)
            self.fetched.append(wish)
            save(wish, size, iter([self.texts[wish].encode()]))


def sealed_signal(
    target: str,
    *,
    epoch: int,
    base: str | None = None,
    fraction: float = 1.0,
    attempt: int = 1,
    prepare: bool = True,
    app: str = "web",
    signer: Signer = RELEASE_KEY,
) -> tuple[str, bytes]:
    value = Signal(
        app=app,
        epoch=epoch,
        rollout="r1",
        base=base,
        target=target,
        fractions={"production": fraction},
        attempt=attempt,
        prepare=prepare,
        issued_at=0.0,
        by="tests",
        why="a test",
        retry={"production": 1.0},
    )
    return signal_key(app), signer.seal(msgspec.json.encode(value), SIGNAL_TYPE)


def sealed_record(
    *,
    serial: int = 1,
    node: str = "n1",
    position: float = 0.5,
    pin: str | None = None,
    hold: NodeHold | None = None,
    verify: int = 0,
    app: str = "web",
    signer: Signer = RELEASE_KEY,
) -> tuple[str, bytes]:
    value = NodeRecord(node, serial, "a", {app: Seat("production", position, pin, verify)}, hold)
    return record_key(node), signer.seal(msgspec.json.encode(value), RECORD_TYPE)


def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Poll until ``condition`` holds; a generous deadline, never a measurement."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)
