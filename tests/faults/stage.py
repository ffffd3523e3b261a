"""A node, the builds that it is brought onto, and what must hold whatever happens to it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from headway.agent.state import State
from headway.builds import storage
from headway.builds.publish import publish
from headway.signing import Signer
from tests.faults.driver import Order, Outcome
from tests.unit.agent.agent_shelf import Tree, snapshot
from tests.unit.builds.planting import in_small_pieces

FULL = os.environ.get("HEADWAY_FAULTS") == "full"
REPOSITORY = Path(__file__).parents[2]


def seed() -> int:
    """What this run draws its moments from: HEADWAY_FAULTS_SEED, or a new one; printed."""
    drawn = int(os.environ.get("HEADWAY_FAULTS_SEED") or random.randrange(10**6))
    print(f"HEADWAY_FAULTS_SEED={drawn}")
    return drawn


class Builds:
    """Published builds, each with changed, new, gone and re-typed paths against the others."""

    def __init__(self, place: Path, count: int) -> None:
        place.mkdir()
        self.store, self.key = place / "store", place / "build.pub"
        self.store.mkdir()
        signer = Signer.generate()
        self.key.write_bytes(signer.public_pem)
        self.trees: dict[str, Tree] = {}
        self.ids: list[str] = []
        for number in range(count):
            source = place / f"source-{number}"
            _write(source, number)
            with in_small_pieces():
                made, _ = publish(
                    source,
                    app="web",
                    commit=f"commit-{number}",
                    by="tests",
                    subject="",
                    signer=signer,
                    storage=storage.open(self.store),
                    earlier=self.ids[-1:],
                    now=0.0,
                )
            self.ids.append(made.id)
            self.trees[made.id] = _expected(source)


def _write(source: Path, number: int) -> None:
    for directory in ("package", "static", f"only-{number}"):
        (source / directory).mkdir(parents=True)
    (source / "release.txt").write_text(f"release {number}\n")
    (source / "same.txt").write_text("as ever\n")
    for index in range(3):
        (source / "package" / f"module_{index}.py").write_text(f"VALUE = {number * 10 + index}\n")
    (source / "static" / "large.bin").write_text(f"{number:08}\n" * 4000)
    (source / f"only-{number}" / "here.txt").write_text(f"here {number}\n")
    (source / "static" / "latest").symlink_to(f"../only-{number}")
    run = source / "run.sh"
    run.write_text(f"#!/bin/sh\necho {number}\n")
    run.chmod(0o755)
    turning = source / "turning"
    if number % 2:
        turning.mkdir()
        (turning / "inside.txt").write_text(f"inside {number}\n")
    else:
        turning.write_text(f"a file {number}\n")


def _expected(source: Path) -> Tree:
    """The tree as a slot must show it; modes of the source are of no account there."""
    for path in source.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(0o555 if os.access(path, os.X_OK) and path.suffix == ".sh" else 0o444)
        elif path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    return snapshot(source)


class Node:
    """The directory of one node, in any of the states that it can be found in."""

    def __init__(self, root: Path, builds: Builds) -> None:
        self.root, self.builds = root, builds
        self.app = root / "web"

    def live(self) -> str | None:
        """The build that ``current`` leads to, whole; fails when there is no such build."""
        current = self.app / "current"
        if not current.is_symlink():
            assert not current.exists()
            return None
        found = _seen(current.resolve())
        for build, tree in self.builds.trees.items():
            if tree == found:
                return build
        raise AssertionError(f"current leads to {os.readlink(current)}, no build: {found}")

    def check(self, old: str | None, new: str) -> None:
        """The node runs ``old`` or ``new``, whole, and what it believes of its slots is true."""
        live = self.live()
        assert live in {old, new}, f"current leads to {live}"
        assert not list(self.app.glob("state.unreadable-*")), "all that was known is forgotten"
        self.check_slots()

    def check_slots(self) -> None:
        """Every slot that is said to hold a build holds it; a flip or revert would go there."""
        try:
            state = msgspec.json.decode((self.app / "state").read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError) as error:
            raise AssertionError(f"the state is not whole: {error}") from None
        for name, slot in state.slots.items():
            if slot.build is not None:
                found = _seen(self.app / "slots" / name)
                assert found == self.builds.trees[slot.build], f"slot {name} is not as believed"


def _seen(tree: Path) -> Tree | str:
    try:
        return snapshot(tree)
    except (AssertionError, KeyError, OSError, UnicodeDecodeError) as error:
        return f"{tree.name}: {error!r}"


class Driver:
    """The process that performs activations; see ``tests.faults.driver``."""

    def __init__(self, builds: Builds, proc: Path) -> None:
        self._builds, self._proc = builds, proc
        self._epoch = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            text=True,
        )

    def begin(self, node: Node, target: str, mutant: str = "") -> int:
        """A process that will bring ``node`` onto ``target``; it stands still until continued."""
        self._epoch += 1
        order = Order(
            root=str(node.root),
            store=str(self._builds.store),
            key=str(self._builds.key),
            target=target,
            epoch=self._epoch,
            proc=str(self._proc),
            mutant=mutant,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(order).decode() + "\n")
        self._process.stdin.flush()
        process: int = self._answer()["process"]
        return process

    def end(self) -> Outcome | None:
        """How the process that was begun ended; None when it was killed."""
        answer = self._answer()
        assert answer["outcome"] is not None or answer["killed"], "it died without a word"
        return msgspec.convert(answer["outcome"], Outcome | None)

    def run(self, node: Node, target: str) -> Outcome | None:
        """Begin, continue, and wait for the end."""
        os.kill(self.begin(node, target), signal.SIGCONT)
        return self.end()

    def converge(self, node: Node, target: str) -> None:
        """Without a fault the node reaches ``target``, whole, in one go."""
        outcome = self.run(node, target)
        assert outcome == Outcome(running=target)
        assert node.live() == target
        node.check_slots()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(30) == 0

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the driver is gone"
        return json.loads(line)


def stage(place: Path, root: Path, count: int, proc: Path | None = None) -> tuple[Node, Driver]:
    """A node that has run every build but the last, in turn; the last one is the next.

    ``proc`` shows which processes there are; without it a few of the test's own, so that every
    run makes the same system calls.
    """
    if proc is None:
        proc = place / "proc"
        (proc / "1").mkdir(parents=True)
        (proc / "1" / "cwd").symlink_to("/")
    builds = Builds(place / "builds", count)
    node, driver = Node(root, builds), Driver(builds, proc)
    for build in builds.ids[:-1]:
        driver.converge(node, build)
    return node, driver


def copy(source: Path, target: Path) -> None:
    """``target`` becomes ``source`` as it is, with its hard links."""
    if target.exists():
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", source, target], check=True)
