"""Recording a decision: the state row, a journal row and the effects, in one transaction."""

from msgspec import Struct
from sqlalchemy import Connection

from headway.core.journal import changes
from headway.model.rollout import Decision, PlaceHold, Rollout
from headway.server.database import holds, journal, outbox, rollouts


class Step(Struct, frozen=True):
    """One step of a rollout: from ``before``, as the database has it, to what was decided."""

    before: Rollout | None
    decision: Decision
    actor: str
    kind: str


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
    rest = [effect for effect in effects if not isinstance(effect, PlaceHold)]
    outbox.add(connection, state.app, state.id, rest)
