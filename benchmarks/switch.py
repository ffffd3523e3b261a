"""From a signal's arrival at a running agent to flipped and durable, beside what others do.

``python -m benchmarks.switch --files 100000 --changed 50 --json``. The agent and its peers bring
the same trees over loopback onto the same disk; medians of ``--runs``. The last line is JSON:
``bytes``, ``seconds``, ``cpu_seconds``, ``peak_mb``, ``idle_mb`` and ``revert_ms`` are ours,
``floor_seconds`` is a bare loop that writes, fsyncs and renames the changed files, and the ratios
say how many times longer (``ratio_floor``: ours over the floor) somebody else takes.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import peers, trees
from headway.agent.heap import SETTINGS
from headway.builds.publish import publish
from headway.builds.storage import open as open_storage
from headway.signing import Signer

WARMING = 3
"""Builds before the first that is measured: each slot has been filled once, as on a live node."""


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 4)


class _Agent:
    """A running agent, as ``benchmarks.running_agent``."""

    def __init__(self, root: Path, store: str, key: Path) -> None:
        argv = [sys.executable, "-m", "benchmarks.running_agent", str(root), store, str(key)]
        self._process = subprocess.Popen(
            argv,
            env={**os.environ, **SETTINGS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._epoch = 0

    def go(self, build: str) -> dict[str, float]:
        self._epoch += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{build} {self._epoch}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextlib.contextmanager
def _served(directory: Path) -> Iterator[str]:
    argv = [sys.executable, "-m", "benchmarks.serving", str(directory)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


class Contest:
    """The trees, one after another, and everybody who brings them onto the node."""

    def __init__(self, place: Path, files: int, changed: int, runs: int) -> None:
        """A synthetic tree of so many files, or, for 0, one made of real packages."""
        self._place, self.files, self._changed, self._runs = place, files, changed, runs
        self.trees = place / "trees"
        self.trees.mkdir()
        self.served = place / "served"
        self.served.mkdir()
        self.changes: list[list[str]] = [[]]

    def grow(self) -> None:
        """Make every tree."""
        if self.files:
            trees.grow(self._tree(0), self.files)
        else:
            trees.install(self._tree(0))
        paths = trees.files(self._tree(0))
        self.files = len(paths)
        for number in range(1, WARMING + self._runs):
            before, after = self._tree(number - 1), self._tree(number)
            self.changes.append(trees.successor(before, after, paths, self._changed, number))

    def ours(self, url: str) -> dict[str, float]:
        """The agent, from a fresh node to the last build, and back to the one before."""
        signer = Signer.generate()
        key = self._place / "build.pub"
        key.write_bytes(signer.public_pem)
        store = self.served / "store"
        builds: list[str] = []
        for number in range(WARMING + self._runs):
            made, _ = publish(
                self._tree(number),
                app="web",
                commit=f"c{number}",
                by="bench",
                subject="",
                signer=signer,
                storage=open_storage(store),
                earlier=builds[-1:],
                now=0.0,
            )
            builds.append(made.id)
        os.sync()
        agent = _Agent(self._place / "agent", f"{url}/store", key)
        found: list[dict[str, float]] = []
        for build in builds:
            _sent(url)
            measured = agent.go(build)
            found.append(measured | {"bytes": _sent(url)})
        reverts = []
        for _ in range(self._runs):
            reverts.append(1000 * agent.go(builds[-2])["seconds"])
            agent.go(builds[-1])
        agent.close()
        measured_runs = found[WARMING:]
        medians = {name: _median([run[name] for run in measured_runs]) for name in found[0]}
        return medians | {
            "revert_ms": round(_median(reverts), 2),
            "fresh_seconds": round(found[0]["seconds"], 3),
        }

    def theirs(self, url: str) -> dict[str, dict[str, float]]:
        """Every peer that is installed; what each came to, or why it failed, on standard error."""
        found: dict[str, dict[str, float]] = {}

        def race(peer: peers.Archive | peers.Rsync | peers.OSTree | peers.Casync) -> None:
            try:
                results = [peer.take(self._tree(number)) for number in range(self._runs + 1)]
            except subprocess.CalledProcessError as error:
                print(f"{peer.name} failed: {error.stderr or error}", file=sys.stderr, flush=True)
                return
            seconds, sizes = zip(*results[1:], strict=True)
            found[peer.name] = {"seconds": _median(list(seconds)), "bytes": _median(list(sizes))}
            print(f"{peer.name}: {found[peer.name]}", file=sys.stderr, flush=True)

        if shutil.which("zstd") and shutil.which("curl"):
            race(peers.Archive(self._room("tar"), self.served, url, lambda: _sent(url)))
        if shutil.which("ostree"):
            race(peers.OSTree(self._room("ostree"), self.served, url, lambda: _sent(url)))
        if shutil.which("casync"):
            race(peers.Casync(self._room("casync"), self.served, url, lambda: _sent(url)))
        if shutil.which("rsync"):
            with peers.rsync_daemon(self._place, self.trees) as port:
                race(peers.Rsync("rsync", self._room("rsync"), port, False))
                race(peers.Rsync("rsync --link-dest", self._room("link"), port, True))
                found["rsync, fresh mtimes"] = self._fresh_times(port)
        return found

    def _fresh_times(self, port: int) -> dict[str, float]:
        """Rsync from builds that CI made anew: all files are newer, few have other content."""
        peer = peers.Rsync("rsync", self._place / "rsync", port, False)
        results = []
        for number in range(self._runs):
            tree = self._tree(number)
            for directory, _, names in os.walk(tree):
                for name in names:
                    os.utime(f"{directory}/{name}", (2 * 10**9 + number,) * 2)
            results.append(peer.take(tree))
        seconds, sizes = zip(*results, strict=True)
        return {"seconds": _median(list(seconds)), "bytes": _median(list(sizes))}

    def floor(self) -> float:
        """A bare loop, in seconds."""
        times = []
        for number in range(WARMING, WARMING + self._runs):
            room = self._room(f"floor-{number}")
            times.append(peers.floor(room, self._tree(number), self.changes[number]))
        return _median(times)

    def _tree(self, number: int) -> Path:
        return self.trees / f"tree-{number}"

    def _room(self, name: str) -> Path:
        room = self._place / name
        room.mkdir()
        return room


def _sent(url: str) -> int:
    with urllib.request.urlopen(f"{url}/.sent") as answer:
        return int(answer.read())


def measure(place: Path | None, files: int, changed: int, runs: int, peers: bool) -> dict[str, Any]:
    """All figures of one contest, in a directory beneath ``place`` that is removed afterwards."""
    with tempfile.TemporaryDirectory(dir=place) as room:
        contest = Contest(Path(room), files, changed, runs)
        contest.grow()
        with _served(contest.served) as url:
            ours = contest.ours(url)
            floor = contest.floor()
            print(f"agent: {ours}, floor {floor:.4f} s", file=sys.stderr, flush=True)
            found = contest.theirs(url) if peers else {}
    result: dict[str, Any] = {"files": contest.files, "changed": changed, **ours}
    result |= {"floor_seconds": floor, "ratio_floor": round(ours["seconds"] / floor, 2)}
    ratios = {name: round(peer["seconds"] / ours["seconds"], 2) for name, peer in found.items()}
    result["ratio_best_peer"] = min(ratios.values(), default=0.0)
    result["ratio_full_archive"] = ratios.get("tar+zstd", 0.0)
    result["peers"] = found
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="files in the tree")
    parser.add_argument("--real", action="store_true", help="a tree made of real packages")
    parser.add_argument("--changed", type=int, default=50, help="files that a build changes")
    parser.add_argument("--runs", type=int, default=3, help="how often each is measured")
    parser.add_argument("--place", type=Path, help="a directory on the disk to measure on")
    parser.add_argument("--no-peers", action="store_true", help="only the agent and the floor")
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    files = 0 if arguments.real else arguments.files
    result = measure(
        arguments.place, files, arguments.changed, arguments.runs, not arguments.no_peers
    )
    if not arguments.json:
        print(f"{'agent':20} {result['seconds']:9.3f} s {result['bytes']:13,.0f} bytes")
        print(f"{'floor':20} {result['floor_seconds']:9.3f} s")
        for name, peer in result["peers"].items():
            print(f"{name:20} {peer['seconds']:9.3f} s {peer['bytes']:13,.0f} bytes")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
