"""Making a build's directory from a commit: clean worktree, the app's own build command."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from headway.commands import told
from headway.errors import InvalidInput, NotFound
from headway.git import git, resolve, without_git, worktree

BUILD_TIMEOUT = 1800.0
MAX_SUBJECT = 500

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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
    shown = git(repo, "log", "-1", "--format=%s", "--end-of-options", commit)
    subject = _CONTROL.sub(" ", shown).strip()[:MAX_SUBJECT]
    with worktree(repo, commit) as tree:
        if command:
            base = dict(os.environ if environment is None else environment)
            told(command, tree, {**without_git(base), "HEADWAY_COMMIT": commit}, timeout=timeout)
        yield Made(_inside(tree, output), commit, subject)


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
