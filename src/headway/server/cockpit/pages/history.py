"""History: what was live when, by whom, how long, and why it was taken back."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from headway.core.lives import Life, lives
from headway.core.words import lasted
from headway.model.build import Build
from headway.model.names import BuildId
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.cockpit.pages import courses
from headway.server.cockpit.pages.asked import address
from headway.server.cockpit.pages.courses import BACK, Outcome, because, by_rollout, course
from headway.server.cockpit.pages.named import Named, named
from headway.server.database import builds, journal, rollouts
from headway.server.database.journal import Turn
from headway.server.plane import ControlPlane
from headway.server.situation import look

ROWS = 30
CHUNK = 200
MOST_SEARCHED = 2000
"""So many rollouts are gone through for one page; the next carries on from there."""

OUTCOMES = {
    "": "Every outcome",
    "live": "Went live",
    "reverted": "Reverted",
    "aborted": "Aborted",
    "superseded": "Superseded",
    "running": "Under way",
}

_PHASES = {
    "live": frozenset({Phase.SUCCEEDED}),
    "reverted": frozenset({Phase.REVERTED}),
    "aborted": frozenset({Phase.ABORTED}),
    "superseded": frozenset({Phase.SUPERSEDED}),
    "running": LIVE,
}


class Wanted(Struct, frozen=True):
    """Which rollouts: ``since`` and ``until`` as they were typed, and their moments beside them."""

    text: str = ""
    person: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""
    begin: float | None = None
    end: float | None = None

    @property
    def filters(self) -> dict[str, str]:
        """What the address of such a page holds."""
        return {
            "text": self.text,
            "person": self.person,
            "outcome": self.outcome,
            "since": self.since,
            "until": self.until,
        }


class Facts(Struct, frozen=True):
    """What the page is made from.

    ``rows`` are those to show, newest first. ``around`` are all rollouts from the oldest of them
    on, as far as it takes to tell when each ceased to be live. ``last`` is the number of the last
    one looked at, if there are older ones.
    """

    app: str
    now: float
    wanted: Wanted
    rows: tuple[Rollout, ...] = ()
    around: tuple[Rollout, ...] = ()
    turns: tuple[Turn, ...] = ()
    builds: Mapping[BuildId, Build] = {}
    live: BuildId | None = None
    last: int | None = None
    searched_to: float | None = None


class LifeLine(Struct, frozen=True):
    """From when to when a build was live, and how long that was."""

    begin: float
    end: float | None
    lasted: str


class Row(Struct, frozen=True):
    """One rollout."""

    rollout: str
    build: Named
    by: str
    begun: float
    outcome: Outcome
    because: str
    lives: tuple[LifeLine, ...]
    took: str
    plan: str
    hotfix: bool
    release: str


class Page(Struct, frozen=True):
    """Everything that the page shows; ``older`` is the address of what came before."""

    app: str
    wanted: Wanted
    filtered: bool
    outcomes: Mapping[str, str]
    rows: tuple[Row, ...]
    older: str
    searched_to: float | None


def make_history(facts: Facts) -> Page:
    """The page."""
    turns = by_rollout(facts.turns)
    spans = lives(course(state, turns.get(state.id, ())) for state in facts.around)
    filters = facts.wanted.filters
    older = (
        address(facts.app, "history", **filters, before=str(facts.last))
        if facts.last is not None
        else ""
    )
    return Page(
        app=facts.app,
        wanted=facts.wanted,
        filtered=any(filters.values()),
        outcomes=OUTCOMES,
        rows=tuple(_row(facts, state, spans.get(state.id, ()), turns) for state in facts.rows),
        older=older,
        searched_to=facts.searched_to,
    )


def _row(
    facts: Facts, state: Rollout, spans: Sequence[Life], turns: Mapping[str, Sequence[Turn]]
) -> Row:
    role = "live" if state.target == facts.live else "other"
    return Row(
        rollout=state.id,
        build=named(facts.builds, state.target, role),
        by=state.by,
        begun=state.started_at,
        outcome=courses.outcome(state),
        because=because(state, turns),
        lives=life_lines(spans, facts.now),
        took=lasted((state.ended_at or facts.now) - state.started_at),
        plan=state.plan_name,
        hotfix=state.hotfix,
        release=state.release,
    )


def life_lines(spans: Sequence[Life], now: float) -> tuple[LifeLine, ...]:
    """The lives of a build, the last one first."""
    return tuple(
        LifeLine(span.begin, span.end, lasted((span.end or now) - span.begin))
        for span in reversed(spans)
    )


def fits(state: Rollout, build: Build | None, wanted: Wanted) -> bool:
    """Whether a rollout is one of those that are looked for."""
    if wanted.outcome and state.phase not in _PHASES.get(wanted.outcome, ()):
        return False
    if wanted.person and state.by.casefold() != wanted.person.casefold():
        return False
    if wanted.begin is not None and state.started_at < wanted.begin:
        return False
    if wanted.end is not None and state.started_at >= wanted.end:
        return False
    places = [state.id, state.target, state.by, state.why, state.release, state.plan_name]
    if build is not None:
        places += [build.commit, build.subject, build.by]
    return wanted.text.casefold() in "\n".join(places).casefold()


async def gather(plane: ControlPlane, app: str, wanted: Wanted, before: int | None = None) -> Facts:
    """The rollouts of an app that are looked for. Raises NotFound."""
    now = plane.clock()
    return await plane.database.read(lambda c: _read(c, app, wanted, before, now))


def _read(
    connection: Connection, app: str, wanted: Wanted, before: int | None, now: float
) -> Facts:
    live = look(connection, app, now).live_build
    seen: list[tuple[int, Rollout]] = []
    rows: list[Rollout] = []
    known: dict[BuildId, Build] = {}
    cursor, more = before, True
    while more and len(rows) < ROWS and len(seen) < MOST_SEARCHED:
        chunk = rollouts.numbered(connection, app, CHUNK, cursor)
        more = len(chunk) == CHUNK
        known |= builds.named(connection, app, {state.target for _, state in chunk} - known.keys())
        for at, (seq, state) in enumerate(chunk):
            seen.append((seq, state))
            cursor = seq
            too_old = wanted.begin is not None and state.started_at < wanted.begin
            if fits(state, known.get(state.target), wanted):
                rows.append(state)
            if len(rows) == ROWS or too_old:
                more = not too_old and (more or at + 1 < len(chunk))
                break
        else:
            continue
        break
    later = rollouts.following(connection, app, seen[0][0]) if seen else ()
    around = (*(state for _, state in reversed(seen)), *later)
    back = [state.id for state in around if state.phase in BACK]
    return Facts(
        app=app,
        now=now,
        wanted=wanted,
        rows=tuple(rows),
        around=around,
        turns=journal.turns(connection, back),
        builds=known,
        live=live,
        last=cursor if more else None,
        searched_to=seen[-1][1].started_at if more and len(rows) < ROWS else None,
    )
