"""A process that serves from a tree keeps that tree, however many deploys go over it."""

import subprocess
import sys
from pathlib import Path

from tests.faults.stage import stage

WORKER = """
import os, sys
tree = os.getcwd()
opened = open("static/large.bin")
first = opened.read(1000)
print(tree, flush=True)
for line in sys.stdin:
    opened.seek(0)
    lazily = [open(f"package/module_{n}.py").read() for n in range(3)]
    print(opened.read(1000) == first, os.getcwd() == tree, lazily, flush=True)
"""


def _picture(tree: Path) -> dict[str, tuple[int, int, int, int]]:
    """Every name with the inode behind it, its size and its times."""
    found = {}
    for path in (tree, *sorted(tree.rglob("*"))):
        status = path.lstat()
        facts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)
        found[str(path.relative_to(tree))] = facts
    return found


def test_a_worker_keeps_its_tree_across_three_deploys(tmp_path: Path) -> None:
    node, driver = stage(tmp_path, tmp_path / "root", 4, proc=Path("/proc"))
    tree = (node.app / "current").resolve()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline() == f"{tree}\n"
        before = _picture(tree)
        first = _ask(worker)
        ids = node.builds.ids
        for build in (ids[3], ids[0], ids[1]):
            driver.converge(node, build)
            assert _picture(tree) == before
            assert _ask(worker) == first
        assert first.startswith("True True")
        slots = {path.name for path in (node.app / "slots").iterdir()}
        assert len(slots) > 3, (
            "there was no need for a further slot: the worker was in nobody's way"
        )
    finally:
        worker.stdin.close()
        worker.stdout.close()
        assert worker.wait(30) == 0
    before = _picture(tree)
    for build in (ids[2], ids[3], ids[0], ids[1]):
        driver.converge(node, build)
    assert _picture(tree) != before, "nobody uses the slot any more, and it stays as it was"
    driver.close()


def _ask(worker: subprocess.Popen[str]) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("again\n")
    worker.stdin.flush()
    return worker.stdout.readline()
