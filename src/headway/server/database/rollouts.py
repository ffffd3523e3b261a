"""The state rows of rollouts."""

from sqlalchemy import Connection, func, insert, select, update

from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.database.tables import rollouts


def put(connection: Connection, state: Rollout) -> None:
    """Write the state of a rollout, new or known."""
    values = {"phase": state.phase.value, "epoch": state.epoch, "state": state}
    changed = connection.execute(update(rollouts).where(rollouts.c.id == state.id).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(rollouts).values(id=state.id, app=state.app, **values))


def get(connection: Connection, rollout: str) -> Rollout | None:
    """The state of a rollout, or None."""
    state: Rollout | None = connection.scalar(
        select(rollouts.c.state).where(rollouts.c.id == rollout)
    )
    return state


def newest(connection: Connection, app: str, limit: int) -> tuple[Rollout, ...]:
    """The app's last rollouts, newest first."""
    return tuple(one for _, one in numbered(connection, app, limit))


def numbered(
    connection: Connection, app: str, limit: int, before: int | None = None
) -> tuple[tuple[int, Rollout], ...]:
    """The app's last rollouts, newest first, each with its number; those ``before`` a number."""
    query = select(rollouts.c.seq, rollouts.c.state).where(rollouts.c.app == app)
    if before is not None:
        query = query.where(rollouts.c.seq < before)
    rows = connection.execute(query.order_by(rollouts.c.seq.desc()).limit(limit))
    return tuple((row.seq, row.state) for row in rows)


def live(connection: Connection) -> tuple[Rollout, ...]:
    """Every rollout that has not ended."""
    return tuple(
        connection.scalars(select(rollouts.c.state).where(rollouts.c.phase.in_(sorted(LIVE))))
    )


def last_succeeded(connection: Connection, app: str) -> Rollout | None:
    """The latest rollout of the app that succeeded and was not reverted since."""
    query = select(rollouts.c.state).where(
        rollouts.c.app == app, rollouts.c.phase == Phase.SUCCEEDED.value
    )
    state: Rollout | None = connection.scalar(query.order_by(rollouts.c.seq.desc()).limit(1))
    return state


def last_epoch(connection: Connection, app: str) -> int:
    """The highest epoch that any rollout of the app has reached; 0 before the first."""
    highest = select(func.max(rollouts.c.epoch)).where(rollouts.c.app == app)
    return connection.scalar(highest) or 0
