"""A repository without a forge: reviews are trailers of commits, and nobody tells of tests."""

from collections.abc import Mapping, Sequence

from headway.forge.port import Commit, Opened, Pull
from headway.model.release import CheckState, Review


class Plain:
    """Reads the trailers Reviewed-by and Acked-by; an author does not review himself."""

    def pulls(self, commits: Sequence[Commit]) -> Mapping[str, Pull]:
        """Each commit's author, subject, and who has reviewed it."""
        return {commit.id: _pull(commit) for commit in commits}

    def open(self, branch: str, into: str, title: str, body: str) -> Opened:
        """There is nobody to ask: the branch is there, and a person merges it."""
        return Opened("")

    def close(self) -> None:
        """There is nothing to end."""


def _pull(commit: Commit) -> Pull:
    own = f"<{commit.email}>".lower()
    others = [name for name in commit.reviewers if own not in name.lower()]
    review = Review.APPROVED if others else Review.UNKNOWN
    return Pull(commit.author, commit.subject, review, CheckState.UNKNOWN, merged_at=commit.at)
