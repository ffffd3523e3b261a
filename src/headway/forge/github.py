"""GitHub and GitHub Enterprise: pull requests, their reviews and their checks, by the REST API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from headway.errors import InvalidInput, NotFound
from headway.forge.port import Commit, Opened, Pull
from headway.forge.wire import Wire
from headway.model.release import CheckState, Review

API = "https://api.github.com"
VERSION = "2022-11-28"


class _User(msgspec.Struct):
    login: str = "ghost"


class _Head(msgspec.Struct):
    sha: str


class _Pull(msgspec.Struct):
    number: int
    title: str
    html_url: str
    head: _Head
    user: _User | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None


class _Review(msgspec.Struct):
    state: str
    user: _User | None = None


class _Run(msgspec.Struct):
    status: str
    conclusion: str | None = None


class _Runs(msgspec.Struct):
    check_runs: list[_Run]


class _Status(msgspec.Struct):
    state: str
    total_count: int


class GitHub:
    """The project ``owner/name`` at ``api``, seen with a token."""

    def __init__(self, project: str, token: str, api: str = API) -> None:
        if project.count("/") != 1 or not all(part.strip(".") for part in project.split("/")):
            raise InvalidInput(f"{project!a} is no project; on GitHub it is like OWNER/NAME")
        self._owner = project.partition("/")[0]
        self._base = f"repos/{project}"
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._wire = Wire(api, headers)
        self._seen: dict[int, Pull] = {}

    def pulls(self, commits: Sequence[Commit]) -> Mapping[str, Pull]:
        """The merged pull request that brought each commit, where there is one."""
        self._seen.clear()
        return self._wire.each([commit.id for commit in commits], self._pull)

    def open(self, branch: str, into: str, title: str, body: str) -> Opened:
        """Ask for the merge of ``branch``, unless that was asked for already."""
        path, head = f"{self._base}/pulls", f"{self._owner}:{branch}"
        for known in self._wire.pages(path, list[_Pull], head=head, state="all"):
            return Opened(known.html_url)
        asked = {"title": title, "head": branch, "base": into, "body": body}
        return Opened(self._wire.post(path, asked, _Pull).html_url)

    def close(self) -> None:
        """End every connection."""
        self._wire.close()

    def _pull(self, commit: str) -> Pull | None:
        try:
            pulls = list(self._wire.pages(f"{self._base}/commits/{commit}/pulls", list[_Pull]))
        except NotFound:
            return None
        merged = [pull for pull in pulls if pull.merged_at is not None]
        merged.sort(key=lambda pull: pull.merge_commit_sha != commit)
        if not merged:
            return None
        pull = merged[0]
        if pull.number not in self._seen:
            self._seen[pull.number] = self._told(pull)
        return self._seen[pull.number]

    def _told(self, pull: _Pull) -> Pull:
        author = (pull.user or _User()).login
        reviews = self._wire.pages(f"{self._base}/pulls/{pull.number}/reviews", list[_Review])
        return Pull(
            author=author,
            title=pull.title,
            review=_review(reviews, author),
            tests=self._tests(pull.head.sha),
            number=pull.number,
            url=pull.html_url,
            merged_at=pull.merged_at.timestamp() if pull.merged_at else None,
        )

    def _tests(self, commit: str) -> CheckState:
        """Both kinds of checks that there are count; red outweighs running, and that green."""
        at = f"{self._base}/commits/{commit}"
        runs = self._wire.get(f"{at}/check-runs", _Runs, per_page=100).check_runs
        status = self._wire.get(f"{at}/status", _Status)
        said = {_said(run) for run in runs}
        if status.total_count:
            states = {"success": CheckState.GREEN, "pending": CheckState.RUNNING}
            said.add(states.get(status.state, CheckState.RED))
        for worst in (CheckState.RED, CheckState.RUNNING, CheckState.GREEN):
            if worst in said:
                return worst
        return CheckState.UNKNOWN


def _said(run: _Run) -> CheckState:
    if run.status != "completed":
        return CheckState.RUNNING
    good = run.conclusion in ("success", "neutral", "skipped")
    return CheckState.GREEN if good else CheckState.RED


def _review(reviews: Iterable[_Review], author: str) -> Review:
    """Each reviewer's last word that is more than a comment; an author does not review himself."""
    last = {
        review.user.login: review.state
        for review in reviews
        if review.user is not None
        and review.user.login != author
        and review.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
    }
    if "CHANGES_REQUESTED" in last.values():
        return Review.REFUSED
    return Review.APPROVED if "APPROVED" in last.values() else Review.MISSING
