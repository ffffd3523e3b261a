"""The port to a forge: what it knows of changes, and asking it to take one back."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from headway.model.release import CheckState, Review


class Commit(Struct, frozen=True):
    """A commit of the main branch, as git has it.

    ``parents``: the first is the main branch before it. ``reviewers`` are those of its trailers
    Reviewed-by and Acked-by. ``picked`` and ``reverts`` are the commits that its message says it
    was picked from, or takes back. ``at`` in seconds since the epoch.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    at: float
    subject: str
    reviewers: tuple[str, ...] = ()
    picked: tuple[str, ...] = ()
    reverts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Pull(Struct, frozen=True):
    """A merged pull request, as the forge tells it."""

    author: str
    title: str
    review: Review
    tests: CheckState
    number: int | None = None
    url: str = ""
    merged_at: float | None = None


class Opened(Struct, frozen=True):
    """A pull request that asks for the merge of a branch; ``url`` is empty without a forge."""

    url: str


class Forge(Protocol):
    """A forge. Each method raises Unreachable, Busy (its limit is reached) or Denied."""

    def pulls(self, commits: Sequence[Commit]) -> Mapping[str, Pull]:
        """What is known of each commit, by its id; those with nothing to tell may be left out."""

    def open(self, branch: str, into: str, title: str, body: str) -> Opened:
        """Ask for the merge of ``branch``; the one that asks for it already is found again."""

    def close(self) -> None:
        """End every connection."""
