"""Trees to deploy: many small files, and after each change some of them with other content."""

import random
import shutil
import subprocess
from pathlib import Path

_PER_DIRECTORY = 40
_WORDS = [f"{first}_{second}" for first in "abcdefgh" for second in ("load", "save", "self", "x")]


def grow(tree: Path, files: int, seed: int = 1) -> None:
    """Write ``files`` files of source code's size: median below 1 kB, a few of 100 kB."""
    dice = random.Random(seed)
    for number in range(files):
        if number % _PER_DIRECTORY == 0:
            directory = tree / f"package_{number // 4000}" / f"module_{number // _PER_DIRECTORY}"
            directory.mkdir(parents=True)
        name = _name(number)
        (tree / name).write_text(
            _text(dice, number, min(int(dice.lognormvariate(6.6, 1.4)), 10**5))
        )


def successor(tree: Path, into: Path, changed: int, files: int, generation: int) -> list[str]:
    """``into`` becomes ``tree`` (by hard links) with ``changed`` files of other content.

    Returns the paths that changed. The files that did not keep their modification times.
    """
    subprocess.run(["cp", "-al", tree, into], check=True)
    dice = random.Random(1000 + generation)
    paths = [_name(number) for number in sorted(dice.sample(range(files), changed))]
    for path in paths:
        size = (into / path).stat().st_size
        (into / path).unlink()
        (into / path).write_text(_text(dice, generation, max(size, 40)))
    return paths


def forget(*trees: Path) -> None:
    """Remove trees that are not needed any more."""
    for tree in trees:
        shutil.rmtree(tree, ignore_errors=True)


def _name(number: int) -> str:
    return f"package_{number // 4000}/module_{number // _PER_DIRECTORY}/file_{number}.py"


def _text(dice: random.Random, number: int, size: int) -> str:
    lines = [f"# {number} {dice.random()}"]
    length = len(lines[0])
    while length < size:
        lines.append(" ".join(dice.choices(_WORDS, k=8)))
        length += len(lines[-1]) + 1
    return "\n".join(lines)[: max(size, 30)] + "\n"
