"""What the API answers and accepts about releases, lanes and the schedule."""

from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import Name, Text
from headway.model.release import Change, CommitId, Lane, Release
from headway.model.schedule import Frozen, Moment, Schedule, Shift

Ref = Annotated[str, Meta(max_length=255)]
"""A branch, a tag, a commit, or the number of a pull request with a ``#``."""


class CutRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Cut a release from main up to ``until`` (a commit on it; empty: all of it).

    With ``override``, a reason, what the gate objects to enters and is written down.
    """

    until: Ref = ""
    reason: Text = ""
    override: Text = ""


class HotfixRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Pick ``changes`` onto the release, in this order."""

    changes: Annotated[tuple[Ref, ...], Meta(min_length=1, max_length=50)]
    reason: Text = ""
    override: Text = ""
    """Why the gate's objections do not count; empty if they do."""


class RevertRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Take changes back, on main and on the release; without any, the one that is suspected."""

    changes: Annotated[tuple[Ref, ...], Meta(max_length=50)] = ()
    reason: Text = ""


class ReleaseView(Struct, frozen=True):
    """A release with what a person needs to act on it.

    ``dark``: there is nothing in it to see, so it takes the short path. ``next`` is the one
    obvious action (``build``, ``deploy`` or empty), and ``next_why`` the sentence beside it.
    ``trouble`` says why the repository does not have it yet.
    """

    release: Release
    live: bool = False
    rollout: str = ""
    dark: bool = False
    next: str = ""
    next_why: str = ""
    trouble: str = ""


class QueueView(Struct, frozen=True):
    """What waits for the next release: the ``changes``, and what the gate says of each.

    ``objections`` has a tuple of sentences for each change. ``base`` is the commit that is live.
    """

    app: Name
    lane: Lane
    base: CommitId | None
    main: CommitId
    """The commit at the head of main."""
    changes: tuple[Change, ...]
    objections: tuple[tuple[str, ...], ...]


class SuspectView(Struct, frozen=True):
    """One change that may be to blame."""

    change: Change
    """The change."""
    why: str
    weight: float
    """How much it is suspected; what is higher stands first."""


class SuspectsView(Struct, frozen=True):
    """Who is to blame for what fails: the ranking, and it as one sentence."""

    sentence: str
    suspects: tuple[SuspectView, ...]
    """The most suspected first."""


class BisectRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is known so far: of the release's changes the first ``good`` are innocent together,
    and the fault is among the first ``bad`` (0: all of them).
    """

    good: Annotated[int, Meta(ge=0)] = 0
    bad: Annotated[int, Meta(ge=0)] = 0


class BisectView(Struct, frozen=True):
    """The commit to try next on the canary, or the change that is to blame."""

    sentence: str
    good: int
    bad: int
    probe: CommitId | None = None
    """The commit to try next; null when there is nothing left to try."""
    culprit: Change | None = None
    """The change that is to blame; null until that is known."""


class Notes(Struct, frozen=True):
    """Release notes, in Markdown."""

    text: str
    """The notes, in Markdown."""


class FreezeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Let nothing new begin from ``begin`` (empty: now) to ``end``, in the schedule's zone."""

    end: Moment
    reason: Annotated[str, Meta(min_length=1, max_length=2000)]
    begin: Moment | None = None
    hotfixes: bool = True


class ShiftRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Give the shift to ``person`` (empty: the caller) until ``until`` (None: the next turn)."""

    person: Text = ""
    reason: Text = ""
    until: float | None = None


class ScheduleView(Struct, frozen=True):
    """An app's schedule, and what it says now: ``barred`` is why nothing may begin, or empty.

    ``bot`` tells whether Headway itself drives at this time. Times in seconds since the epoch.
    """

    app: Name
    now: float
    barred: str
    bot: bool
    shift: Shift
    """Who answers for deploys now."""
    schedule: Schedule | None = None
    """The app's schedule; null if it has none."""
    freezes: tuple[Frozen, ...] = ()
    slot_begin: float | None = None
    """When the present slot began; null outside of one."""
    slot_end: float | None = None
    """When the present slot ends; null outside of one."""
    opens: float | None = None
    """When deploys may begin next; null if that is not known."""
