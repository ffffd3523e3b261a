"""Recording a decision: the state row, a journal row and the effects, in one transaction."""

from msgspec import Struct, structs
from sqlalchemy import Connection

from headway.core import lanes
from headway.core.journal import changes
from headway.core.spans import turns
from headway.model.announcement import Kind, Occasion
from headway.model.journal import HEADWAY
from headway.model.release import Lane
from headway.model.rollout import Decision, Phase, PlaceHold, Rollout
from headway.model.verdict import Outcome
from headway.server.database import announcements, apps, builds, holds, journal, outbox, rollouts


class Step(Struct, frozen=True):
    """One step of a rollout: from ``before``, as the database has it, to what was decided."""

    before: Rollout | None
    decision: Decision
    actor: str
    kind: str


_ANNOUNCED = {Phase.PAUSED: Occasion.PAUSE, Phase.REVERTING: Occasion.REVERT}
"""What no person has asked for."""


def record(connection: Connection, step: Step, now: float) -> None:
    """Write a step down. Holds are placed at once; all other effects go into the outbox."""
    state, effects = step.decision.state, step.decision.effects
    rollouts.put(connection, state)
    journal.append(
        connection,
        at=now,
        app=state.app,
        rollout=state.id,
        actor=step.actor,
        kind=step.kind,
        why=step.decision.why,
        changes=changes(step.before, state),
    )
    for effect in effects:
        if isinstance(effect, PlaceHold):
            holds.add(connection, effect.hold)
    occasion = _ANNOUNCED.get(state.phase)
    turned = step.before is not None and step.before.phase is not state.phase
    if turned and occasion is not None and step.actor == HEADWAY:
        announcements.add(
            connection,
            at=now,
            occasion=occasion,
            app=state.app,
            sentence=step.decision.why,
            rollout=state.id,
            metric=_blamed(state),
        )
    _announce_spans(connection, step, now)
    rest = [effect for effect in effects if not isinstance(effect, PlaceHold)]
    outbox.add(connection, state.app, state.id, rest)


def _announce_spans(connection: Connection, step: Step, now: float) -> None:
    """Tell what begins and ends, with what only the database knows of it."""
    state = step.decision.state
    for turn in turns(step.before, state, step.decision.why, now):
        span, found = turn.span, builds.find(connection, state.app, turn.span.build)
        home = lanes.home(apps.every(connection), state.app)
        if span.kind is Kind.DEPLOY and home is not None and home.lane is Lane.CONFIG:
            span = structs.replace(span, kind=Kind.CONFIG)
        if found:
            span = structs.replace(span, commit=found[0].commit)
        announcements.add(
            connection,
            at=now,
            occasion=turn.occasion,
            app=state.app,
            sentence=turn.sentence,
            rollout=state.id,
            span=span,
        )


def _blamed(state: Rollout) -> str:
    """The first failing metric, if it was one."""
    return next((v.metric for v in state.verdicts if v.outcome is Outcome.FAIL), "")
