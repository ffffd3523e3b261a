"""GitLab: merge requests, their approvals and their pipelines, by the REST API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec

from headway.errors import InvalidInput, NotFound
from headway.forge.port import Commit, Opened, Pull
from headway.forge.wire import Wire
from headway.model.release import CheckState, Review

API = "https://gitlab.com/api/v4"

_PIPELINE = {
    "success": CheckState.GREEN,
    "failed": CheckState.RED,
    "canceled": CheckState.RED,
    "canceling": CheckState.RED,
    "skipped": CheckState.UNKNOWN,
}
"""Every other status is one of a pipeline that has not ended."""


class _User(msgspec.Struct):
    username: str = "ghost"


class _Pipeline(msgspec.Struct):
    status: str


class _Request(msgspec.Struct):
    iid: int
    title: str
    web_url: str
    state: str = ""
    author: _User | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    head_pipeline: _Pipeline | None = None


class _Approver(msgspec.Struct):
    user: _User


class _Approvals(msgspec.Struct):
    approved_by: list[_Approver] = []
    approved: bool = True


class _Reviewer(msgspec.Struct):
    state: str = ""


class GitLab:
    """The project ``group/name`` (or its number) at ``api``, seen with a token."""

    def __init__(self, project: str, token: str, api: str = API) -> None:
        if not project.strip("./"):
            raise InvalidInput(f"{project!a} is no project; on GitLab it is like GROUP/NAME")
        self._base = f"projects/{quote(project, safe='')}"
        self._wire = Wire(api, {"PRIVATE-TOKEN": token} if token else {})
        self._seen: dict[int, Pull] = {}

    def pulls(self, commits: Sequence[Commit]) -> Mapping[str, Pull]:
        """The merged request that brought each commit, where there is one."""
        self._seen.clear()
        return self._wire.each([commit.id for commit in commits], self._pull)

    def open(self, branch: str, into: str, title: str, body: str) -> Opened:
        """Ask for the merge of ``branch``, unless that was asked for already."""
        path = f"{self._base}/merge_requests"
        for known in self._wire.pages(path, list[_Request], source_branch=branch, state="all"):
            return Opened(known.web_url)
        asked = {
            "source_branch": branch,
            "target_branch": into,
            "title": title,
            "description": body,
        }
        return Opened(self._wire.post(path, asked, _Request).web_url)

    def close(self) -> None:
        """End every connection."""
        self._wire.close()

    def _pull(self, commit: str) -> Pull | None:
        path = f"{self._base}/repository/commits/{commit}/merge_requests"
        try:
            merged = [one for one in self._wire.pages(path, list[_Request]) if one.merged_at]
        except NotFound:
            return None
        merged.sort(key=lambda one: commit not in (one.merge_commit_sha, one.squash_commit_sha))
        if not merged:
            return None
        if merged[0].iid not in self._seen:
            self._seen[merged[0].iid] = self._told(merged[0].iid)
        return self._seen[merged[0].iid]

    def _told(self, number: int) -> Pull:
        at = f"{self._base}/merge_requests/{number}"
        known = self._wire.get(at, _Request)
        author = (known.author or _User()).username
        pipeline = known.head_pipeline
        return Pull(
            author=author,
            title=known.title,
            review=self._review(at, author),
            tests=_PIPELINE.get(pipeline.status, CheckState.RUNNING)
            if pipeline
            else CheckState.UNKNOWN,
            number=number,
            url=known.web_url,
            merged_at=known.merged_at.timestamp() if known.merged_at else None,
        )

    def _review(self, at: str, author: str) -> Review:
        """``approved`` alone says nothing: without a rule it is true where nobody has approved."""
        reviewers = self._wire.pages(f"{at}/reviewers", list[_Reviewer])
        if any(reviewer.state == "requested_changes" for reviewer in reviewers):
            return Review.REFUSED
        said = self._wire.get(f"{at}/approvals", _Approvals)
        others = {one.user.username for one in said.approved_by} - {author}
        return Review.APPROVED if others and said.approved else Review.MISSING
