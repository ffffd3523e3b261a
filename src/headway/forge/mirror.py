"""Headway's own copy of a repository: reading its history, and preparing what is pushed to it.

Commits are made here without a worktree, and no ref of the repository moves before ``push``. What
was made is kept by a ref of its own, so that it is still there when it is pushed after a crash.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.errors import HookFailed, NotFound, Refused, StorageFailed, Unreachable
from headway.forge.port import Commit
from headway.git import COMMITTER, checked, git, merge_trees
from headway.model.release import Tag

MAX_CHANGES = 2000
"""More changes than this in one release are not looked at one by one."""

_ORIGIN = "refs/remotes/origin/"
_ID = re.compile(r"\A[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_PICKED = re.compile(r"^\(cherry picked from commit ([0-9a-f]{40,64})\)$", re.MULTILINE)
_REVERTS = re.compile(r"^This reverts commit ([0-9a-f]{40,64})\b", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_FIELDS = "%H%x00%P%x00%an%x00%ae%x00%ct%x00%s%x00"
_TRAILERS = "%(trailers:key=Reviewed-by,key=Acked-by,valueonly,separator=%x1f)"
_FORMAT = f"--format=tformat:{_FIELDS}{_TRAILERS}%x00%b"
_WIDTH = 8


class Conflict(Refused):
    """A change does not apply; ``files`` are those that would have to be edited by hand."""

    def __init__(self, what: str, files: Sequence[str]) -> None:
        self.files = tuple(files)
        named = ", ".join(ascii(name)[1:-1] for name in self.files[:5])
        rest = f" and {len(self.files) - 5} more" if len(self.files) > 5 else ""
        super().__init__(
            f"{what} does not apply: it conflicts in {named}{rest}; nothing was changed. Resolve "
            "it on a branch of main, merge that, and take it as a hotfix"
        )


class Mirror:
    """A bare repository at ``path`` that follows the one at ``url``.

    ``environment`` is added to git's, and is where credentials are.
    """

    def __init__(self, path: Path, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.url = url
        self._environment = dict(environment or {})

    def fetch(self) -> None:
        """Bring it up to date. Raises Unreachable or StorageFailed."""
        if not (self.path / "HEAD").exists():
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageFailed(f"{self.path} cannot be made: {error.strerror}") from None
            git(self.path, "init", "--bare", "--quiet")
        refs = (f"+refs/heads/*:{_ORIGIN}*", "+refs/tags/*:refs/tags/*")
        try:
            self._git("fetch", "--quiet", "--prune", "--no-tags", "--", self.url, *refs)
        except HookFailed as error:
            raise Unreachable(
                f"the repository {self.url} cannot be read: {_last(error.output)}"
            ) from None

    def resolve(self, ref: str) -> str:
        """The commit of a branch, tag or id. Raises InvalidInput and NotFound."""
        checked(ref)
        for name in (f"{_ORIGIN}{ref}", f"refs/tags/{ref}", ref):
            if found := self._commit(name):
                return found
        raise NotFound(f"the repository {self.url} has no commit {ref!a}")

    def branch(self, name: str) -> str | None:
        """Where the repository's branch stood when it was last fetched, or None."""
        return self._commit(f"{_ORIGIN}{name}")

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        if not _ID.match(commit):
            return False
        try:
            self._git("cat-file", "-e", "--end-of-options", f"{commit}^{{commit}}")
        except HookFailed:
            return False
        return True

    def since(self, base: str | None, head: str) -> tuple[Commit, ...]:
        """What was merged into ``head`` and is not in ``base``, oldest first.

        A merge counts as one. Commits that ``base`` has as cherry-picks are left out.
        """
        span = (head, f"^{base}") if base is not None else (head,)
        found = self._log("--first-parent", *span)
        if base is None:
            return found
        taken = {id for commit in self._log(base, f"^{head}", paths=False) for id in commit.picked}
        return tuple(commit for commit in found if commit.id not in taken)

    def commits(self, ids: Sequence[str]) -> tuple[Commit, ...]:
        """These commits, in this order."""
        return tuple(found for id in ids for found in self._log("--no-walk", id))

    def taken_back(self, since: str, head: str) -> frozenset[str]:
        """The commits that something in ``head`` but not in ``since`` says that it reverts."""
        found = self._log(head, f"^{since}", paths=False)
        return frozenset(id for commit in found for id in commit.reverts)

    def is_in(self, commit: str, head: str) -> bool:
        """Whether ``commit`` is ``head`` or one of its ancestors."""
        try:
            self._git("merge-base", "--is-ancestor", "--end-of-options", commit, head)
        except HookFailed:
            return False
        return True

    def pick(self, commit: Commit, onto: str, trailer: str) -> str:
        """A commit on top of ``onto`` that brings ``commit``. Raises Conflict."""
        message = self._git("log", "-1", "--format=%B", "--end-of-options", commit.id).strip()
        who = self._git("log", "-1", "--format=%an%x00%ae%x00%at", "--end-of-options", commit.id)
        name, email, at = who.strip("\n").split("\0")
        author = {
            "GIT_AUTHOR_NAME": name or "?",
            "GIT_AUTHOR_EMAIL": email,
            "GIT_AUTHOR_DATE": f"@{at} +0000",
        }
        text = f"{message}\n\n(cherry picked from commit {commit.id})\n{trailer}"
        base = _before(commit)
        return self._make(base, onto, commit.id, text, author, f"{_named(commit)}")

    def take_back(self, commit: Commit, onto: str, trailer: str) -> str:
        """A commit on top of ``onto`` that takes ``commit`` back. Raises Conflict."""
        text = f'Revert "{commit.subject}"\n\nThis reverts commit {commit.id}.\n\n{trailer}'
        before = _before(commit)
        return self._make(commit.id, onto, before, text, {}, f"taking back {_named(commit)}")

    def push(self, branch: str, tag: Tag, expect: str | None) -> None:
        """Move the branch from ``expect`` to the tag's commit and set the tag, both or neither.

        To do it again changes nothing. Raises Refused when the branch stands elsewhere, and
        Unreachable.
        """
        tags = f"refs/tags/{tag.name}"
        self._push(branch, tag.commit, expect, (f"{tag.commit}:{tags}",), {tags: tag.commit})

    def push_branch(self, branch: str, commit: str) -> None:
        """Set a branch that is Headway's own. To do it again changes nothing."""
        self._push(branch, commit, None, (), {})

    def keep(self, commit: str) -> None:
        """See to it that a commit stays here, whatever points to it elsewhere."""
        self._git("update-ref", "--", f"refs/headway/{commit}", commit)

    def _push(
        self,
        branch: str,
        commit: str,
        expect: str | None,
        more: Sequence[str],
        wanted: Mapping[str, str],
    ) -> None:
        ref = f"refs/heads/{branch}"
        there = self._remote(ref, *wanted)
        if there == {ref: commit, **wanted}:
            return
        if there.get(ref) not in (expect, commit):
            raise Refused(
                f"{branch} stands at {str(there.get(ref))[:12]} in the repository, where nobody "
                "but Headway should have moved it; take that into main, and cut another release"
            )
        lease = f"--force-with-lease={ref}:{there.get(ref, '')}"
        try:
            self._git(
                "push", "--quiet", "--atomic", "--no-verify", lease, "--", self.url,
                f"{commit}:{ref}", *more,
            )  # fmt: skip
        except HookFailed as error:
            raise Unreachable(
                f"the repository {self.url} does not take {branch}: {_last(error.output)}"
            ) from None

    def _remote(self, *refs: str) -> dict[str, str]:
        try:
            found = self._git("ls-remote", "--quiet", "--", self.url, *refs)
        except HookFailed as error:
            raise Unreachable(
                f"the repository {self.url} cannot be read: {_last(error.output)}"
            ) from None
        pairs = (line.partition("\t") for line in found.splitlines())
        return {name: id for id, _, name in pairs if name in refs}

    def _make(
        self, base: str, onto: str, theirs: str, text: str, author: dict[str, str], what: str
    ) -> str:
        tree, files = merge_trees(self.path, base, onto, theirs)
        if files:
            raise Conflict(what, files)
        if tree == self._git("rev-parse", "--verify", f"{onto}^{{tree}}").strip():
            raise Refused(f"{what} changes nothing on the branch: it is there already")
        made = git(
            self.path, "commit-tree", "-p", onto, "-F", "-", tree,
            environment={**COMMITTER, **author}, given=text.encode(),
        ).strip()  # fmt: skip
        self.keep(made)
        return made

    def _log(self, *span: str, paths: bool = True) -> tuple[Commit, ...]:
        most = f"--max-count={MAX_CHANGES}"
        arguments = ("log", "-z", "--reverse", most)
        flat = self._git(*arguments, _FORMAT, *span).split("\0")
        rows = [flat[at : at + _WIDTH] for at in range(0, len(flat) - _WIDTH + 1, _WIDTH)]
        names: dict[str, list[str]] = {}
        if paths:
            diff = ("--diff-merges=first-parent", "--no-renames", "--name-only")
            names = _names(self._git(*arguments, *diff, "--format=tformat:%x00%H", *span))
        return tuple(_commit(row, names.get(row[0], [])) for row in rows)

    def _commit(self, name: str) -> str | None:
        arguments = ("--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        try:
            return self._git("rev-parse", *arguments).strip()
        except HookFailed:
            return None

    def _git(self, *arguments: str) -> str:
        return git(self.path, *arguments, environment=self._environment)


def _commit(row: Sequence[str], names: Sequence[str]) -> Commit:
    id, parents, author, email, at, subject, trailers, body = row
    return Commit(
        id=id,
        parents=tuple(parents.split()),
        author=_CONTROL.sub(" ", author)[:200],
        email=email,
        at=float(at),
        subject=_CONTROL.sub(" ", subject).strip()[:500],
        reviewers=tuple(part.strip() for part in trailers.split("\x1f") if part.strip()),
        picked=tuple(_PICKED.findall(body)),
        reverts=tuple(_REVERTS.findall(body)),
        paths=tuple(names),
    )


def _names(text: str) -> dict[str, list[str]]:
    """The files of each commit: an empty field, which no name can be, comes before each id."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    fields = text.split("\0")
    for at, field in enumerate(fields):
        if at and not fields[at - 1] and _ID.match(field):
            current = found.setdefault(field, [])
        elif field:
            current.append(field.removeprefix("\n") if not current else field)
    return found


def _before(commit: Commit) -> str:
    """The main branch before this commit. Raises Refused for the first commit of all."""
    if not commit.parents:
        raise Refused(f"{commit.id[:12]} is the first commit of all: nothing comes before it")
    return commit.parents[0]


def _named(commit: Commit) -> str:
    return f'{commit.id[:12]} ("{commit.subject[:60]}")'


def _last(output: str) -> str:
    lines = [line for line in output.strip().splitlines() if line]
    return _CONTROL.sub(" ", lines[-1])[:300] if lines else "git does not say why"
