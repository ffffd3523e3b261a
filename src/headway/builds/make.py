"""Making a build's directory from a commit: clean worktree, the app's own build command."""

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from headway.errors import HookFailed, InvalidInput, NotFound, StorageFailed

GIT_TIMEOUT = 600.0
BUILD_TIMEOUT = 1800.0
MAX_OUTPUT_BYTES = 8000
MAX_SUBJECT = 500

_HOSTILE_REF = re.compile(r"\A\Z|\A-|[\x00-\x20\x7f:?*\[\\]|\.\.")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_GIT = (
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "log.showSignature=false",
    "-c",
    "i18n.logOutputEncoding=UTF-8",
)


class Made(NamedTuple):
    """A tree to publish, the commit that it was made from, and that commit's subject line."""

    directory: Path
    commit: str
    subject: str


@contextmanager
def make(
    ref: str,
    *,
    repo: Path,
    command: Sequence[str],
    output: str = ".",
    timeout: float = BUILD_TIMEOUT,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Made]:
    """Check ``ref`` out into a clean worktree, run ``command`` in it and yield its ``output``.

    The repository's own worktree, index and branches stay as they are; no hook of it runs. The
    command (argv; none: the tree is taken as it is) gets ``environment``, by default this
    process's, without git's variables and with HEADWAY_COMMIT; when it ends, or after
    ``timeout`` seconds, its whole process group is killed. All is removed on leaving.

    Raises InvalidInput for a ref or output that cannot be one, NotFound for a ref that the
    repository does not have, HookFailed with the last output when git or the command fails.
    """
    commit = resolve(ref, repo)
    shown = _git(repo, "log", "-1", "--format=%s", "--end-of-options", commit)
    subject = _CONTROL.sub(" ", shown).strip()[:MAX_SUBJECT]
    with _worktree(repo, commit) as tree:
        if command:
            base = dict(os.environ if environment is None else environment)
            with tempfile.TemporaryFile() as said:
                clean = {**_without_git(base), "HEADWAY_COMMIT": commit}
                _run(command, tree, clean, timeout=timeout, output=said, errors=said)
        yield Made(_inside(tree, output), commit, subject)


def resolve(ref: str, repo: Path) -> str:
    """The full id of the commit that ``ref`` names. Raises InvalidInput and NotFound."""
    if len(ref) > 255 or _HOSTILE_REF.search(ref):
        raise InvalidInput(f"{ref[:80]!a} cannot name a commit; give a branch, a tag or an id")
    if not repo.is_dir():
        raise NotFound(f"there is no directory {repo}")
    _git(repo, "rev-parse", "--git-dir")
    try:
        found = _git(
            repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        )
    except HookFailed:
        raise NotFound(f"{repo} has no commit {ref!a}; is it fetched?") from None
    return found.strip()


@contextmanager
def _worktree(repo: Path, commit: str) -> Iterator[Path]:
    # A name of its own below the temporary directory: git refuses one that exists already.
    try:
        parent = Path(tempfile.mkdtemp(prefix="headway-make-"))
    except OSError as error:
        raise StorageFailed(f"no temporary directory can be made: {error.strerror}") from None
    tree = parent / parent.name.removeprefix("headway-make-")
    try:
        _git(repo, "worktree", "add", "--quiet", "--detach", "--end-of-options", str(tree), commit)
        yield tree
    finally:
        _remove(parent)
        # Not `prune`, which would also forget other people's worktrees that are unmounted now.
        with suppress(HookFailed):
            _git(repo, "worktree", "remove", "--force", "--force", "--end-of-options", str(tree))


def _remove(tree: Path) -> None:
    """Remove a tree, also one in which the build has made directories read-only."""
    shutil.rmtree(tree, ignore_errors=True)
    if tree.exists():
        tree.chmod(stat.S_IRWXU)
        for directory, names, _ in os.walk(tree):
            for below in (Path(directory, name) for name in names):
                if not below.is_symlink():
                    below.chmod(stat.S_IRWXU)
        shutil.rmtree(tree, ignore_errors=True)


def _inside(tree: Path, output: str) -> Path:
    """The output directory, which must lie in the worktree, whatever links lead there."""
    refused = InvalidInput(f"the output {output[:200]!a} is not beneath the worktree")
    if "\x00" in output:
        raise refused
    found = (tree / output).resolve()
    if not found.is_relative_to(tree.resolve()):
        raise refused
    if not found.is_dir():
        raise NotFound(f"the build command has made no directory {output[:200]!a}")
    return found


def _git(repo: Path, *arguments: str) -> str:
    environment = {**_without_git(os.environ), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaints:
        argv = [*_GIT, *arguments]
        _run(argv, repo, environment, timeout=GIT_TIMEOUT, output=said, errors=complaints)
        return _tail(said)


def _without_git(environment: Mapping[str, str]) -> dict[str, str]:
    """Git's variables could point it at another repository, or make it run something."""
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")}


def _run(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    *,
    timeout: float,
    output: IO[bytes],
    errors: IO[bytes],
) -> None:
    """Run a command to its end and leave nothing of it behind. Raises HookFailed."""
    name = ascii(Path(command[0]).name[:80])
    try:
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HookFailed(f"{name} cannot be run: {error}") from None
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise HookFailed(
            f"{name} ran longer than {timeout:g} s and was killed", _tail(errors)
        ) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status != 0:
        ended = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise HookFailed(f"{name} {ended}; its last output says why", _tail(errors))


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - MAX_OUTPUT_BYTES))
    return output.read(MAX_OUTPUT_BYTES).decode("utf-8", "replace")
