"""An app's releases, and the changes that wait for the next one."""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from headway.core.release import is_all_dark
from headway.model.release import Change, PickKind, Release, Review
from headway.model.release import CheckState as Tests
from headway.model.release_views import QueueView
from headway.model.rollout import Rollout
from headway.server.cockpit.pages import courses
from headway.server.cockpit.pages.asked import address
from headway.server.cockpit.pages.courses import Outcome
from headway.server.database import releases, rollouts
from headway.server.plane import ControlPlane
from headway.server.situation import look

ROWS = 30
LOOKED_AT = 200
"""So many of the last rollouts are looked at for what became of a release."""


class ChangeLine(Struct, frozen=True):
    """A change as people read it; ``url`` is empty unless it leads to a web page."""

    commit: str
    name: str
    subject: str
    author: str
    url: str
    dark: bool
    lane: str
    review: str
    review_state: str
    tests: str
    tests_state: str
    merged_at: float
    paths: tuple[str, ...]
    more: int
    fate: str = ""
    """What became of it after the release was cut: ``taken back``, or ``hotfix``."""


_REVIEWS = {
    Review.APPROVED: ("approved", "done"),
    Review.REFUSED: ("changes asked for", "failed"),
    Review.MISSING: ("not approved", "unknown"),
    Review.UNKNOWN: ("no review known", "done old"),
}
_TESTS = {
    Tests.GREEN: ("green", "done"),
    Tests.RED: ("red", "failed"),
    Tests.RUNNING: ("running", "moving"),
    Tests.UNKNOWN: ("no checks known", "done old"),
}


def change_line(change: Change, fate: str = "") -> ChangeLine:
    """A change as people read it."""
    review, review_state = _REVIEWS[change.review]
    tests, tests_state = _TESTS[change.tests]
    return ChangeLine(
        commit=change.commit,
        name=f"#{change.number}" if change.number else change.commit[:12],
        subject=change.subject,
        author=change.author,
        # A forge's answer is hostile: nothing but a page on the web is linked to.
        url=change.url if change.url.startswith(("https://", "http://")) else "",
        dark=change.dark,
        lane=change.lane.value,
        review=review,
        review_state=review_state,
        tests=tests,
        tests_state=tests_state,
        merged_at=change.merged_at,
        paths=change.paths[:20],
        more=change.more + max(0, len(change.paths) - 20),
        fate=fate,
    )


def brought(state: Release) -> tuple[ChangeLine, ...]:
    """What a release brings: the changes it was cut with, and what was picked onto it."""
    back = {pick.change.commit for pick in state.picks if pick.kind is PickKind.REVERT}
    fixes = [pick.change for pick in state.picks if pick.kind is PickKind.HOTFIX]
    return tuple(
        change_line(change, "taken back" if change.commit in back else fate)
        for fate, some in (("", state.changes), ("hotfix", fixes))
        for change in some
    )


class Facts(Struct, frozen=True):
    """What the page is made from: releases, newest first, and the latest rollout of each."""

    app: str
    releases: tuple[Release, ...] = ()
    rollouts: Mapping[str, Rollout] = {}
    live: str | None = None
    repository: bool = False
    more: bool = False


class Row(Struct, frozen=True):
    """One release; ``outcome`` is what became of its latest rollout."""

    release: str
    tag: str
    lane: str
    by: str
    at: float
    changes: int
    picks: int
    dark: bool
    authors: tuple[str, ...]
    subjects: tuple[str, ...]
    overruled: bool
    rollout: str
    outcome: Outcome | None
    live: bool


class Page(Struct, frozen=True):
    """Everything that the page shows."""

    app: str
    repository: bool
    rows: tuple[Row, ...]
    older: str


def make_releases(facts: Facts) -> Page:
    """The page."""
    older = ""
    if facts.more:
        older = address(facts.app, "releases", before=str(facts.releases[-1].number))
    return Page(
        app=facts.app,
        repository=facts.repository,
        rows=tuple(_row(facts, state) for state in facts.releases),
        older=older,
    )


def _row(facts: Facts, state: Release) -> Row:
    rollout = facts.rollouts.get(state.id)
    brought = [*state.changes, *(pick.change for pick in state.picks)]
    return Row(
        release=state.id,
        tag=state.tags[-1].name,
        lane=state.lane.value,
        by=state.by,
        at=state.at,
        changes=len(state.changes),
        picks=len(state.picks),
        dark=is_all_dark(state),
        authors=tuple(dict.fromkeys(change.author for change in brought)),
        subjects=tuple(change.subject for change in state.changes[:3]),
        overruled=bool(state.overrides),
        rollout=rollout.id if rollout else "",
        outcome=courses.outcome(rollout) if rollout else None,
        live=state.build is not None and state.build == facts.live,
    )


async def gather(plane: ControlPlane, app: str, before: int | None = None) -> Facts:
    """An app's releases. Raises NotFound."""
    now = plane.clock()

    def read(connection: Connection) -> Facts:
        known = look(connection, app, now)
        found = releases.newest(connection, app, ROWS + 1, before)
        recent = rollouts.newest(connection, app, LOOKED_AT)
        return Facts(
            app=app,
            releases=found[:ROWS],
            rollouts={one.release: one for one in reversed(recent) if one.release},
            live=known.live_build,
            repository=known.home is not None,
            more=len(found) > ROWS,
        )

    return await plane.database.read(read)


class Waiting(Struct, frozen=True):
    """A change that waits, and what the gate objects to."""

    change: ChangeLine
    objections: tuple[str, ...]


class QueuePage(Struct, frozen=True):
    """What waits for the next release; ``main`` is up to where it was looked at."""

    app: str
    main: str
    base: str
    changes: tuple[Waiting, ...]
    objections: int
    fit: int


def make_queue(view: QueueView) -> QueuePage:
    """The page."""
    waiting = tuple(
        Waiting(change_line(change), found)
        for change, found in zip(view.changes, view.objections, strict=True)
    )
    against = sum(bool(one.objections) for one in waiting)
    return QueuePage(
        app=view.app,
        main=view.main,
        base=view.base or "",
        changes=waiting,
        objections=against,
        fit=len(waiting) - against,
    )
