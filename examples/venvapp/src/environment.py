"""The virtual environment of a build: keyed, kept beside the slots, and made by the prepare hook.

    <root>/<app>/slots/2               the tree; nothing is written into it
    <root>/<app>/environments/<key>    one environment, shared by all builds with the same key

The key is the hash of the lock file and of the interpreter, so a build that changes neither finds
its environment ready, and a revert finds the old one. Since the tree stays exactly what was
published, the agent goes on trusting it, and the next build costs only what changed.

    python3 -B environment.py          make it, and remove those that no slot needs any more
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

TREE = Path(__file__).resolve().parent
ENVIRONMENTS = TREE.parent.parent / "environments"
COMPLETE = "complete"
"""Written into an environment last; one without it was interrupted, and is made again."""


def key(lock: Path) -> str:
    """The name of the environment for a lock file under the interpreter that asks."""
    interpreter = f"{sys.version} {Path(sys.executable).resolve()}"
    return hashlib.sha256(lock.read_bytes() + b"\0" + interpreter.encode()).hexdigest()[:32]


def path() -> Path:
    """Where this build's environment is."""
    return ENVIRONMENTS / key(TREE / "requirements.lock")


def enter() -> None:
    """Start the program that runs again, with the interpreter of this build's environment."""
    python = path() / "bin" / "python"
    if Path(sys.prefix) != path():
        os.execv(python, [str(python), "-B", *sys.argv])


def make() -> None:
    """Make the environment, unless it is there."""
    where = path()
    if (where / COMPLETE).exists():
        print(f"{where} is there already")
        return
    shutil.rmtree(where, ignore_errors=True)
    print(f"making {where}", flush=True)
    venv.create(where, with_pip=True, symlinks=True)
    pip = (str(where / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check")
    subprocess.run(
        [
            *(*pip, "--require-hashes", "--only-binary", ":all:", "--no-cache-dir"),
            *("--no-index", "--find-links", "wheels", "--requirement", "requirements.lock"),
        ],
        cwd=TREE,
        check=True,
    )
    # What is not on the disk yet must not be called complete after a power cut.
    subprocess.run(["sync", "--file-system", str(where)], check=True)
    (where / COMPLETE).touch()


def sweep() -> None:
    """Remove the environments that no slot's build needs; a slot in use is never replaced."""
    needed = {key(lock) for lock in TREE.parent.glob("*/requirements.lock")}
    for there in ENVIRONMENTS.iterdir():
        if there.name not in needed:
            shutil.rmtree(there)


if __name__ == "__main__":
    try:
        make()
    except subprocess.CalledProcessError as error:
        sys.exit(f"the environment cannot be made: {error.cmd[0]} exited with {error.returncode}")
    sweep()
