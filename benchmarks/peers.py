"""What others do to bring a changed tree onto a node, each flipped and synced like ours."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Sent = Callable[[], int]
"""Bytes that the HTTP server has sent since the last call."""


def run(*argv: str | Path, **more: object) -> str:
    """Run a command to its end; its output."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True, **more)  # type: ignore[call-overload]
    return str(done.stdout)


def flip(place: Path, tree: Path) -> None:
    """What every peer ends with: the file system synced, and a link renamed into place."""
    run("sync", "-f", tree)
    fresh = place / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(tree)
    fresh.rename(place / "current")
    handle = os.open(place, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def floor(place: Path, new: Path, paths: list[str]) -> float:
    """Seconds for a bare loop: write, fsync and rename the changed files, fsync directories."""
    contents = {path: (new / path).read_bytes() for path in paths}
    for path in paths:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(b"before")
    run("sync", "-f", place)
    began = time.perf_counter()
    for path, content in contents.items():
        target = place / path
        fresh = target.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(target)
    for directory in {(place / path).parent for path in paths}:
        handle = os.open(directory, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    return time.perf_counter() - began


class Archive:
    """The whole tree as one .tar.zst over HTTP, unpacked beside the old one."""

    name = "tar+zstd"

    def __init__(self, place: Path, served: Path, url: str, sent: Sent) -> None:
        self._place, self._served, self._url, self._sent = place, served, url, sent

    def offer(self, tree: Path) -> None:
        """Make the archive; not timed."""
        run("tar", "-C", tree, "-I", "zstd -3 -T2", "-cf", self._served / "tree.tar.zst", ".")

    def take(self, tree: Path) -> tuple[float, int]:
        """Seconds and bytes."""
        self.offer(tree)
        target = self._place / "unpacked"
        target.mkdir()
        self._sent()
        began = time.perf_counter()
        with subprocess.Popen(
            ["curl", "-sf", f"{self._url}/tree.tar.zst"], stdout=subprocess.PIPE
        ) as load:
            run("tar", "-C", target, "-I", "zstd -d", "-xf", "-", stdin=load.stdout)
        flip(self._place, target)
        taken = time.perf_counter() - began
        shutil.rmtree(target)
        return taken, self._sent()


class Rsync:
    """An rsync daemon, into the tree itself, or with ``beside`` into a new one by --link-dest."""

    def __init__(self, name: str, place: Path, port: int, beside: bool) -> None:
        self.name, self._place, self._port, self._beside = name, place, port, beside
        self._last: Path | None = None

    def take(self, tree: Path) -> tuple[float, int]:
        """Seconds and bytes."""
        target = self._place / (tree.name if self._beside else "tree")
        extra = [f"--link-dest={self._last}"] if self._beside and self._last else []
        source = f"rsync://127.0.0.1:{self._port}/trees/{tree.name}/"
        began = time.perf_counter()
        told = run("rsync", "-a", "--delete", "--stats", *extra, source, f"{target}/")
        flip(self._place, target)
        taken = time.perf_counter() - began
        if self._beside and self._last:
            shutil.rmtree(self._last)
        self._last = target
        line = next(line for line in told.splitlines() if line.startswith("Total bytes received"))
        return taken, int(line.rpartition(": ")[2].replace(",", ""))


class OSTree:
    """Pull with a static delta, then a checkout of hard links."""

    name = "ostree"

    def __init__(self, place: Path, served: Path, url: str, sent: Sent) -> None:
        self._place, self._sent = place, sent
        self._origin, self._repo = served / "ostree", place / "repo"
        run("ostree", "init", f"--repo={self._origin}", "--mode=archive")
        run("ostree", "init", f"--repo={self._repo}", "--mode=bare-user-only")
        remote = ["remote", "add", "--no-gpg-verify", "origin", f"{url}/ostree"]
        run("ostree", f"--repo={self._repo}", *remote)
        self._commit = ""
        self._last: Path | None = None

    def take(self, tree: Path) -> tuple[float, int]:
        """Seconds and bytes; the first build is copied from the origin's disk, and not counted."""
        new = run(
            "ostree",
            f"--repo={self._origin}",
            "commit",
            "--branch=web",
            "--canonical-permissions",
            f"--tree=dir={tree}",
        ).strip()
        if self._commit:
            delta = ["static-delta", "generate", f"--from={self._commit}", f"--to={new}"]
            run("ostree", f"--repo={self._origin}", *delta)
        run("ostree", f"--repo={self._origin}", "summary", "-u")
        target = self._place / f"checkout-{new[:12]}"
        self._sent()
        began = time.perf_counter()
        if self._commit:
            run("ostree", f"--repo={self._repo}", "pull", "origin", "web")
        else:
            local = ["pull-local", "--remote=origin", str(self._origin), "web"]
            run("ostree", f"--repo={self._repo}", *local)
        run("ostree", f"--repo={self._repo}", "checkout", "-U", "-H", "origin:web", target)
        flip(self._place, target)
        taken = time.perf_counter() - began
        if self._last:
            shutil.rmtree(self._last)
        self._commit, self._last = new, target
        return taken, self._sent()


class Casync:
    """Chunks over HTTP, with the tree before as seed, extracted into a new one."""

    name = "casync"

    def __init__(self, place: Path, served: Path, url: str, sent: Sent) -> None:
        self._place, self._sent, self._url = place, sent, url
        self._origin = served / "casync"
        self._origin.mkdir()
        self._last: Path | None = None

    def take(self, tree: Path) -> tuple[float, int]:
        """Seconds and bytes."""
        store = f"--store={self._origin}/chunks.castr"
        index = f"{tree.name}.caidx"
        plain = ["--with=2sec-time", "--with=read-only", "--with=symlinks"]
        run("casync", "make", store, *plain, f"{self._origin}/{index}", tree)
        target = self._place / f"extracted-{tree.name}"
        seed = [f"--seed={self._last}"] if self._last else []
        store = f"--store={self._url}/casync/chunks.castr"
        self._sent()
        began = time.perf_counter()
        run("casync", "extract", store, *seed, f"{self._url}/casync/{index}", target)
        flip(self._place, target)
        taken = time.perf_counter() - began
        if self._last:
            shutil.rmtree(self._last)
        self._last = target
        return taken, self._sent()


@contextlib.contextmanager
def rsync_daemon(place: Path, trees: Path) -> Iterator[int]:
    """An rsync daemon for everything beneath ``trees``; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = place / "rsyncd.conf"
    config.write_text(f"use chroot = no\nuid = root\ngid = root\n[trees]\npath = {trees}\n")
    process = subprocess.Popen(
        ["rsync", "--daemon", "--no-detach", f"--config={config}", f"--port={port}"],
        stdin=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()
