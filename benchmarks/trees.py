"""Trees to deploy, and after each change the same tree with other content in some of its files."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

_PER_DIRECTORY = 40
_WORDS = [f"{first}_{second}" for first in "abcdefgh" for second in ("load", "save", "self", "x")]
_PYTHON = (
    "django[argon2,bcrypt]",
    "djangorestframework",
    "celery[redis]",
    "django-allauth",
    "wagtail",
    "django-debug-toolbar",
    "sentry-sdk",
    "psycopg[binary]",
    "pillow",
    "boto3",
)
_NODE = (
    "@angular/cli",
    "react-scripts",
    "next",
    "gatsby",
    "@storybook/react-webpack5",
    "date-fns",
    "lodash",
    "@mui/icons-material",
    "webpack",
    "eslint",
    "typescript",
    "jest",
    "react-icons",
)


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


def install(tree: Path) -> None:
    """A real application: what Django projects and their front ends depend on, from packages."""
    server = tree / "server"
    front = tree / "front"
    front.mkdir(parents=True)
    pip = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(server)]
    subprocess.run([*pip, *_PYTHON], check=True)
    npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--force"]
    subprocess.run([*npm, *_NODE], check=True, cwd=front)
    for path in tree.rglob("*"):
        # Some packages carry links of their tests that lead out of the tree.
        if path.is_symlink() and not path.resolve().is_relative_to(tree.resolve()):
            path.unlink()


def files(tree: Path) -> list[str]:
    """The paths of a tree's files, in order."""
    found = (path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path.relative_to(tree)) for path in found)


def successor(tree: Path, into: Path, paths: list[str], changed: int, generation: int) -> list[str]:
    """``into`` becomes ``tree`` (by hard links) with a line more in ``changed`` of the ``paths``.

    Returns those that changed. The files that did not keep their modification times.
    """
    subprocess.run(["cp", "-al", tree, into], check=True)
    dice = random.Random(1000 + generation)
    chosen = sorted(dice.sample(paths, changed))
    for path in chosen:
        content, mode = (into / path).read_bytes(), (into / path).stat().st_mode
        (into / path).unlink()
        (into / path).write_bytes(content + f"# {generation} {dice.random()}\n".encode())
        (into / path).chmod(mode)
    return chosen


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
