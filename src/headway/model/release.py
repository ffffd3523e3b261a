"""Releases: what is meant to go out, as a branch and its tags, with the changes it is made of."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import BuildId, Name, Text

CommitId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}([0-9a-f]{24})?\Z")]
"""A commit's full id, by sha1 or sha256."""


class Lane(StrEnum):
    """A path to production, with its own queue and rules."""

    CODE = "code"
    """Everything that is not named below."""
    CONFIG = "config"
    """Changes that touch only the paths configured for it."""


class Review(StrEnum):
    """What people have said of a change."""

    APPROVED = "approved"
    """Somebody other than its author has approved it, and nobody objects."""
    REFUSED = "refused"
    """Somebody has asked for changes since."""
    MISSING = "missing"
    """Nobody has approved it."""
    UNKNOWN = "unknown"
    """There is nobody to ask: no pull request, or no forge."""


class CheckState(StrEnum):
    """What the automatic checks have said of a change."""

    GREEN = "green"
    """Every check has passed."""
    RED = "red"
    """A check has failed."""
    RUNNING = "running"
    """A check has not ended yet."""
    UNKNOWN = "unknown"
    """No check has run, or there is no forge to ask."""


class Change(Struct, frozen=True):
    """One merged pull request, or one commit where there is none.

    ``commit`` is where it stands on the main branch: a merge, a squash, or the commit itself.
    ``author`` is the name on the forge, else that in the commit. ``dark``: its subject begins with
    the word DARK, so it changes nothing that anybody sees, and needs no sign-off. ``paths`` are
    the files that it touches, the first of them where there are many, and ``more`` how many are
    left out. ``merged_at`` in seconds since the epoch.
    """

    commit: CommitId
    author: Text
    subject: Text
    dark: bool = False
    number: int | None = None
    url: Text = ""
    review: Review = Review.UNKNOWN
    """Whether it was reviewed."""
    tests: CheckState = CheckState.UNKNOWN
    """How its checks ended."""
    merged_at: float = 0.0
    lane: Lane = Lane.CODE
    paths: tuple[str, ...] = ()
    more: int = 0


class PickKind(StrEnum):
    """Why a commit was put onto a release's branch after it was cut."""

    HOTFIX = "hotfix"
    """It brings a change that was merged since."""
    REVERT = "revert"
    """It takes one of the release's changes back."""


class Pick(Struct, frozen=True):
    """A commit put onto the release's branch: ``change`` is what it brings, or takes back."""

    kind: PickKind
    change: Change
    commit: CommitId
    by: Text
    at: float
    reason: Text = ""


class Tag(Struct, frozen=True):
    """A state of the release that may be built: a tag's name, and its commit."""

    name: str
    commit: CommitId


class Release(Struct, frozen=True):
    """The state row of a release.

    ``base`` is the commit of the build that was live when it was cut, ``main`` the commit of the
    main branch that it was cut from. ``tags`` are oldest first, and the last is its head: what is
    to be built. ``build`` is the build of the head, once there is one. ``pushed`` is the last
    commit of the branch that the repository has taken. ``overrides`` are the sentences of what
    the gate objected to and a person overruled. ``why`` is that of the last decision.
    """

    id: str
    app: Name
    number: int
    lane: Lane
    branch: str
    base: CommitId | None
    main: CommitId
    tags: tuple[Tag, ...]
    changes: tuple[Change, ...]
    by: Text
    at: float
    why: str
    reason: Text = ""
    picks: tuple[Pick, ...] = ()
    """What was put onto the branch after it was cut."""
    build: BuildId | None = None
    pushed: CommitId | None = None
    overrides: tuple[str, ...] = ()

    @property
    def head(self) -> CommitId:
        """The commit that is to be built."""
        return self.tags[-1].commit


class Cut(Struct, frozen=True, tag="cut"):
    """A person, or the clock, makes a release of what was merged since the live one."""

    release: Release
    override: Text = ""


class Picked(Struct, frozen=True, tag="picked"):
    """Commits were put onto the branch, in a repository of Headway's own: nobody sees them yet."""

    picks: tuple[Pick, ...]
    override: Text = ""


class Pushed(Struct, frozen=True, tag="pushed"):
    """The repository has taken the branch up to this commit, and its tag."""

    commit: CommitId


class Built(Struct, frozen=True, tag="built"):
    """A build was published from this commit."""

    build: BuildId
    commit: CommitId
    by: Text


ReleaseEvent = Cut | Picked | Pushed | Built


class PushRelease(Struct, frozen=True, tag="push-release"):
    """Bring the branch from ``expect`` (None: it is new) to ``tag``'s commit, and set the tag."""

    release: str
    branch: str
    tag: Tag
    expect: CommitId | None = None


class OpenRevert(Struct, frozen=True, tag="open-revert"):
    """Push ``commit``, which takes a change back on main, as ``branch``, and ask for its merge."""

    release: str
    branch: str
    commit: CommitId
    title: Text
    body: Text


ReleaseEffect = PushRelease | OpenRevert


class ReleaseDecision(Struct, frozen=True):
    """The next state, what to do about it, and one sentence why."""

    state: Release
    effects: tuple[ReleaseEffect, ...] = ()
    why: str = ""
