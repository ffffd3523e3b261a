"""The git program: argv only, no hook of the repository runs, names are checked first."""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from headway.commands import run, tail
from headway.errors import HookFailed, InvalidInput, NotFound, StorageFailed

GIT_TIMEOUT = 600.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_HOSTILE_REF = re.compile(r"\A\Z|\A-|[\x00-\x20\x7f:?*\[\\]|\.\.")
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
    "-c",
    "gc.auto=0",
    # Transports that are programs (`ext::`) would run whatever a repository's address says.
    "-c",
    "protocol.allow=never",
    "-c",
    "protocol.file.allow=always",
    "-c",
    "protocol.https.allow=always",
    "-c",
    "protocol.http.allow=always",
    "-c",
    "protocol.ssh.allow=always",
    "-c",
    "protocol.git.allow=always",
)


def git(
    repo: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    given: bytes = b"",
    timeout: float = GIT_TIMEOUT,
) -> str:
    """What git answers in ``repo``. Raises HookFailed with its last errors.

    ``environment`` adds to a clean one, and is where secrets go; ``given`` is its input.
    """
    clean = {
        **without_git(os.environ),
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        **(environment or {}),
    }
    argv = [*_GIT, *arguments]
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as complaints,
        tempfile.TemporaryFile() as into,
    ):
        into.write(given)
        into.seek(0)
        run(argv, repo, clean, timeout=timeout, output=said, errors=complaints, given=into)
        return tail(said, MAX_ANSWER_BYTES)


def without_git(environment: Mapping[str, str]) -> dict[str, str]:
    """Git's variables could point it at another repository, or make it run something."""
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")}


def checked(ref: str) -> str:
    """``ref``, which can be the name of a commit. Raises InvalidInput."""
    if len(ref) > 255 or _HOSTILE_REF.search(ref):
        raise InvalidInput(f"{ref[:80]!a} cannot name a commit; give a branch, a tag or an id")
    return ref


def resolve(ref: str, repo: Path) -> str:
    """The full id of the commit that ``ref`` names. Raises InvalidInput and NotFound."""
    checked(ref)
    if not repo.is_dir():
        raise NotFound(f"there is no directory {repo}")
    git(repo, "rev-parse", "--git-dir")
    try:
        found = git(
            repo, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"
        )
    except HookFailed:
        raise NotFound(f"{repo} has no commit {ref!a}; is it fetched?") from None
    return found.strip()


@contextmanager
def worktree(repo: Path, commit: str) -> Iterator[Path]:
    """A clean tree of a commit, beside the repository's own, which is removed on leaving."""
    # A name of its own below the temporary directory: git refuses one that exists already.
    try:
        parent = Path(tempfile.mkdtemp(prefix="headway-make-"))
    except OSError as error:
        raise StorageFailed(f"no temporary directory can be made: {error.strerror}") from None
    tree = parent / parent.name.removeprefix("headway-make-")
    try:
        git(repo, "worktree", "add", "--quiet", "--detach", "--end-of-options", str(tree), commit)
        yield tree
    finally:
        _remove(parent)
        # Not `prune`, which would also forget other people's worktrees that are unmounted now.
        with suppress(HookFailed):
            git(repo, "worktree", "remove", "--force", "--force", "--end-of-options", str(tree))


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


def merge_trees(repo: Path, base: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """The tree of ``ours`` with what leads from ``base`` to ``theirs``, and the files in conflict.

    No worktree and no ref is touched; without conflicts the second is empty.
    """
    # merge-tree looks for the merge base itself, so it is given two commits that have but one.
    left, right = (_side(repo, base, side) for side in (ours, theirs))
    arguments = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages")
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaints:
        clean = {**without_git(os.environ), "LC_ALL": "C.UTF-8"}
        argv = [*_GIT, *arguments, left, right]
        try:
            run(argv, repo, clean, timeout=GIT_TIMEOUT, output=said, errors=complaints)
        except HookFailed:
            tree, *files = tail(said, MAX_ANSWER_BYTES).split("\0")
            if not tree:
                raise
            return tree, tuple(dict.fromkeys(name for name in files if name)) or ("?",)
        return tail(said).strip("\0"), ()


def _side(repo: Path, base: str, side: str) -> str:
    """A commit with the tree of ``side`` and ``base`` as its only parent."""
    arguments = ("commit-tree", "-p", base, "-m", "side", f"{side}^{{tree}}")
    return git(repo, *arguments, environment=COMMITTER).strip()


COMMITTER = {
    "GIT_AUTHOR_NAME": "Headway",
    "GIT_AUTHOR_EMAIL": "headway@localhost",
    "GIT_COMMITTER_NAME": "Headway",
    "GIT_COMMITTER_EMAIL": "headway@localhost",
}
"""Who makes commits where nobody else is named."""
