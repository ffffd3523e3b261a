"""One rollout's whole story, and what may be done with its build."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection

from headway.core.lives import lives
from headway.core.next_step import standing
from headway.core.plan import title
from headway.core.words import lasted
from headway.errors import NotFound
from headway.model.build import Build
from headway.model.journal import JournalEntry
from headway.model.names import BuildId
from headway.model.plan import Step
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.cockpit.pages import courses
from headway.server.cockpit.pages.courses import BACK, Outcome, because, by_rollout, course
from headway.server.cockpit.pages.history import LifeLine, life_lines
from headway.server.cockpit.pages.named import Named, named
from headway.server.cockpit.panel import VERDICT_STATES
from headway.server.database import builds, guard, journal, rollouts
from headway.server.database.journal import Turn
from headway.server.plane import ControlPlane
from headway.server.situation import look

MOST_ENTRIES = 1000


class Facts(Struct, frozen=True):
    """What the page is made from; ``around`` and ``turns`` as those of the history."""

    app: str
    now: float
    state: Rollout
    latest: Rollout
    live: BuildId | None = None
    plans: tuple[str, ...] = ()
    builds: Mapping[BuildId, Build] = {}
    entries: tuple[JournalEntry, ...] = ()
    around: tuple[Rollout, ...] = ()
    turns: tuple[Turn, ...] = ()
    guarded: bool = False


class StepRow(Struct, frozen=True):
    """A step of the plan: when it began, when it was green, and how long that took."""

    title: str
    place: str
    begun: float | None
    green: float | None
    took: str


class Said(Struct, frozen=True):
    """What a metric or a check said."""

    what: str
    state: str
    outcome: str
    sentence: str
    output: str = ""


class Choice(Struct, frozen=True):
    """What a person may do: ``revert`` the latest rollout, or ``deploy`` the build once more.

    ``sentence`` tells what follows. ``supersedes`` is the rollout whose place it would take.
    """

    action: str
    label: str
    sentence: str
    rollout: str = ""
    seen: str = ""
    supersedes: str = ""
    plans: tuple[str, ...] = ()


class Page(Struct, frozen=True):
    """Everything that the page shows; ``nothing`` is why there is nothing to do."""

    app: str
    rollout: str
    outcome: Outcome
    why: str
    because: str
    build: Named
    base: Named | None
    by: str
    reason: str
    begun: float
    ended: float | None
    took: str
    plan: str
    hotfix: bool
    release: str
    lives: tuple[LifeLine, ...]
    steps: tuple[StepRow, ...]
    said: tuple[Said, ...]
    entries: tuple[JournalEntry, ...]
    choices: tuple[Choice, ...]
    nothing: str
    guarded: bool


def make_entry(facts: Facts) -> Page:
    """The page."""
    state, turns = facts.state, by_rollout(facts.turns)
    spans = lives(course(one, turns.get(one.id, ())) for one in facts.around)
    mine = spans.get(state.id, ())
    choices = _choices(facts, was_live=bool(mine))
    return Page(
        app=facts.app,
        rollout=state.id,
        outcome=courses.outcome(state),
        why=state.why,
        because=because(state, turns),
        build=named(facts.builds, state.target, "live" if state.target == facts.live else "new"),
        base=named(facts.builds, state.base, "old") if state.base else None,
        by=state.by,
        reason=facts.entries[0].why if facts.entries else "",
        begun=state.started_at,
        ended=state.ended_at,
        took=lasted((state.ended_at or facts.now) - state.started_at),
        plan=state.plan_name,
        hotfix=state.hotfix,
        release=state.release,
        lives=life_lines(mine, facts.now),
        steps=_steps(state, facts.entries),
        said=_said(state),
        entries=tuple(entry for entry in facts.entries if entry.why),
        choices=choices,
        nothing=_nothing(facts) if not choices else "",
        guarded=facts.guarded,
    )


def _choices(facts: Facts, *, was_live: bool) -> tuple[Choice, ...]:
    """The revert first where there is one: it flips back to a tree that is still on disk."""
    state, latest, found = facts.state, facts.latest, []
    may_revert = latest.phase in LIVE - {Phase.REVERTING} | {Phase.SUCCEEDED, Phase.ABORTED}
    if latest.base == state.target and may_revert:
        sentence = (
            f"Takes {latest.id} back on every node at once, and holds {facts.app} until somebody "
            "lifts the hold."
        )
        found.append(Choice("revert", "Revert to this", sentence, latest.id, seen=standing(latest)))
    under_way = latest.id if latest.phase in LIVE else ""
    if (under_way and latest.target != state.target) or (
        not under_way and state.target != facts.live
    ):
        again = "Deploy again" if found or not was_live else "Revert to this"
        sentence = f"Deploys {state.target[:12]} step by step, as the plan says."
        if under_way:
            sentence += f" It takes the place of {under_way}, which is under way."
        found.append(
            Choice(
                "deploy", again, sentence, supersedes=under_way, seen=latest.id, plans=facts.plans
            )
        )
    return tuple(found)


def _nothing(facts: Facts) -> str:
    """Why there is nothing to do with the build here."""
    target, latest = facts.state.target, facts.latest
    if latest.phase in LIVE and latest.target == target:
        return f"{latest.id} brings it; the buttons are on the page of {facts.app}"
    return f"{target[:12]} is what is live"


def _steps(state: Rollout, entries: Sequence[JournalEntry]) -> tuple[StepRow, ...]:
    """The plan, with the times at which the journal says that its steps began and were green."""
    begun: dict[int, float] = {}
    green: dict[int, float] = {}
    step = 0
    for entry in entries:
        step = int(entry.changes.get("step", step))
        begun.setdefault(step, entry.at)
        if entry.changes.get("phase") in (Phase.WAITING, Phase.SUCCEEDED):
            green.setdefault(step, entry.at)
    # Where no gate is closed, a step is green when the next one begins.
    for later, at in begun.items():
        for earlier in begun:
            if earlier < later:
                green.setdefault(earlier, at)
    return tuple(
        _step(step, index, state, begun.get(index), green.get(index))
        for index, step in enumerate(state.plan)
    )


def _step(
    step: Step, index: int, state: Rollout, begun: float | None, green: float | None
) -> StepRow:
    if begun is None:
        place = "later"
    elif green is not None:
        place = "done"
    else:
        place = "current" if state.phase in LIVE - {Phase.REVERTING} else "stopped"
    took = lasted(green - begun) if begun is not None and green is not None else ""
    return StepRow(title(step), place, begun, green, took)


def _said(state: Rollout) -> tuple[Said, ...]:
    metrics = (
        Said(one.metric, VERDICT_STATES[one.outcome], one.outcome.value, one.sentence)
        for one in state.verdicts
    )
    checks = (
        Said(
            one.check,
            "done" if one.passed else "failed",
            "pass" if one.passed else "fail",
            one.sentence,
            one.output,
        )
        for one in state.findings
    )
    return (*metrics, *checks)


async def gather(plane: ControlPlane, app: str, rollout: str) -> Facts:
    """A rollout of an app. Raises NotFound."""
    now = plane.clock()
    return await plane.database.read(lambda c: _read(c, app, rollout, now))


def _read(connection: Connection, app: str, rollout: str, now: float) -> Facts:
    known = look(connection, app, now)
    state = rollouts.get(connection, rollout)
    if state is None or state.app != app or known.latest is None:
        raise NotFound(f"{app[:80]} has no rollout {rollout[:80]}; its history lists them")
    later = rollouts.following(connection, app, rollouts.number(connection, rollout))
    around = (state, *later)
    back = {one.id for one in around if one.phase in BACK}
    wanted = {state.target, state.base} - {None}
    return Facts(
        app=app,
        now=now,
        state=state,
        latest=known.latest,
        live=known.live_build,
        plans=tuple(known.config.plans),
        builds=builds.named(connection, app, {build for build in wanted if build}),
        entries=journal.entries(connection, rollout=rollout, after=0, limit=MOST_ENTRIES),
        around=around,
        turns=journal.turns(connection, back),
        guarded=guard.is_kept(connection, rollout),
    )
