"""Effects that were decided and are still to be run."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from headway.model.release import ReleaseEffect
from headway.model.rollout import Effect
from headway.server.database.tables import outbox


class Queue(StrEnum):
    """What is run in order; one queue never waits for the other."""

    ROLLOUT = "rollout"
    """What rollouts ask of the signal store."""
    RELEASE = "release"
    """What releases ask of a repository and its forge."""


class Pending(Struct, frozen=True):
    """An effect that is still to be run, of the rollout, or the release, that it names."""

    id: int
    app: str
    rollout: str
    effect: Effect | ReleaseEffect


def add(
    connection: Connection,
    app: str,
    rollout: str,
    effects: Iterable[Effect | ReleaseEffect],
    queue: Queue = Queue.ROLLOUT,
) -> None:
    """Note effects, in the transaction that decides them."""
    for effect in effects:
        row = {"app": app, "rollout": rollout, "effect": effect, "queue": queue.value}
        connection.execute(insert(outbox).values(row))


def pending(
    connection: Connection, app: str | None = None, queue: Queue = Queue.ROLLOUT
) -> tuple[Pending, ...]:
    """What is still to be run, of one app or of all, in the order in which it was decided."""
    query = select(outbox.c.id, outbox.c.app, outbox.c.rollout, outbox.c.effect)
    query = query.where(outbox.c.done_at.is_(None), outbox.c.queue == queue.value)
    query = query.order_by(outbox.c.id)
    if app is not None:
        query = query.where(outbox.c.app == app)
    return tuple(Pending(**row._mapping) for row in connection.execute(query))


def waiting(connection: Connection) -> int:
    """How much is still to be run, in all queues."""
    query = select(func.count()).select_from(outbox).where(outbox.c.done_at.is_(None))
    return connection.scalar(query) or 0


def done(connection: Connection, effect: int, now: float) -> None:
    """Mark an effect as run."""
    connection.execute(update(outbox).where(outbox.c.id == effect).values(done_at=now))
