"""One release: its changes, who looked at them, who signed it off, and what can be done with it."""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from headway.errors import NotFound
from headway.model.build import Build
from headway.model.journal import JournalEntry
from headway.model.names import BuildId
from headway.model.release_views import ReleaseView, SuspectsView
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.cockpit.pages.courses import RolloutLine, rollout_lines
from headway.server.cockpit.pages.named import Named, named
from headway.server.cockpit.pages.releases import LOOKED_AT, ChangeLine, brought, change_line
from headway.server.database import builds, journal, rollouts
from headway.server.database.journal import Search
from headway.server.plane import ControlPlane
from headway.server.situation import look

SIGNED = ("sign-off", "train-good", "train-uhoh")
"""The kinds of journal entries with which people answer for what they see."""

MOST_ENTRIES = 500


class Facts(Struct, frozen=True):
    """What the page is made from. ``entries`` are the release's, ``signed`` its rollouts'."""

    view: ReleaseView
    blame: SuspectsView
    builds: Mapping[BuildId, Build] = {}
    rollouts: tuple[Rollout, ...] = ()
    entries: tuple[JournalEntry, ...] = ()
    signed: tuple[JournalEntry, ...] = ()
    latest: str = ""
    under_way: str = ""


class PickLine(Struct, frozen=True):
    """A commit that was put onto the branch."""

    kind: str
    name: str
    subject: str
    by: str
    at: float
    reason: str


class Suspected(Struct, frozen=True):
    """A change that may be to blame; ``pointed`` if something points at it."""

    change: ChangeLine
    why: str
    pointed: bool


class Page(Struct, frozen=True):
    """Everything that the page shows; ``deploys`` is whether there is something to deploy."""

    app: str
    release: str
    tag: str
    branch: str
    head: str
    base: str
    lane: str
    by: str
    at: float
    reason: str
    why: str
    live: bool
    dark: bool
    next: str
    next_why: str
    trouble: str
    build: Named | None
    changes: tuple[ChangeLine, ...]
    picks: tuple[PickLine, ...]
    overrides: tuple[str, ...]
    rollouts: tuple[RolloutLine, ...]
    failing: bool
    blame: str
    suspects: tuple[Suspected, ...]
    signed: tuple[JournalEntry, ...]
    entries: tuple[JournalEntry, ...]
    deploys: bool
    latest: str
    under_way: str


def make_release(facts: Facts) -> Page:
    """The page."""
    view, state = facts.view, facts.view.release
    failing = any(
        one.phase in (Phase.REVERTED, Phase.REVERTING, Phase.PAUSED) for one in facts.rollouts[:1]
    )
    return Page(
        app=state.app,
        release=state.id,
        tag=state.tags[-1].name,
        branch=state.branch,
        head=state.head,
        base=state.base or "",
        lane=state.lane.value,
        by=state.by,
        at=state.at,
        reason=state.reason,
        why=state.why,
        live=view.live,
        dark=view.dark,
        next=view.next,
        next_why=view.next_why,
        trouble=view.trouble,
        build=named(facts.builds, state.build, "live" if view.live else "other")
        if state.build
        else None,
        changes=brought(state),
        picks=tuple(
            PickLine(
                pick.kind.value,
                f"#{pick.change.number}" if pick.change.number else pick.change.commit[:12],
                pick.change.subject,
                pick.by,
                pick.at,
                pick.reason,
            )
            for pick in state.picks
        ),
        overrides=state.overrides,
        rollouts=rollout_lines(facts.rollouts),
        failing=failing,
        blame=facts.blame.sentence,
        suspects=tuple(
            Suspected(change_line(one.change), one.why, one.weight > 0)
            for one in facts.blame.suspects
        ),
        signed=facts.signed,
        entries=facts.entries,
        deploys=state.build is not None and not view.live and not facts.under_way,
        latest=facts.latest,
        under_way=facts.under_way,
    )


async def gather(plane: ControlPlane, app: str, release: str) -> Facts:
    """A release of an app. Raises NotFound."""
    view = await plane.releases.view(release)
    state, now = view.release, plane.clock()
    if state.app != app:
        raise NotFound(f"{app[:80]} has no release {release[:80]}; its releases are listed")
    blame = await plane.releases.blame(release)

    def read(connection: Connection) -> Facts:
        known = look(connection, app, now)
        recent = rollouts.newest(connection, app, LOOKED_AT)
        mine = tuple(one for one in recent if one.release == state.id)
        signed = [entry for one in mine for entry in _signed(connection, one)]
        latest = known.latest
        return Facts(
            view=view,
            blame=blame,
            builds=builds.named(connection, app, {state.build} if state.build else set()),
            rollouts=mine,
            entries=journal.entries(connection, release=state.id, limit=MOST_ENTRIES, told=True),
            signed=tuple(signed),
            latest=latest.id if latest else "",
            under_way=latest.id if latest and latest.phase in LIVE else "",
        )

    return await plane.database.read(read)


def _signed(connection: Connection, rollout: Rollout) -> list[JournalEntry]:
    """What people answered for while a rollout was under way, by its own step or by the train."""
    found: list[JournalEntry] = []
    for kind in SIGNED:
        wanted = Search(
            app=rollout.app, kind=kind, since=rollout.started_at, until=rollout.ended_at
        )
        found += journal.search(connection, wanted, MOST_ENTRIES)
    return sorted(found, key=lambda entry: entry.seq)
