"""The state rows of rollouts."""

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, type_coerce, update

from headway.model.names import BuildId
from headway.model.rollout import LIVE, Phase, Rollout
from headway.server.database.tables import Document, rollouts


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


class Past(Struct, frozen=True):
    """What statistics need to know of a rollout, which is little of it."""

    id: str
    target: BuildId
    started_at: float
    phase: Phase
    ended_at: float | None = None
    hotfix: bool = False
    release: str = ""


def since(connection: Connection, app: str, moment: float) -> tuple[Past, ...]:
    """The app's rollouts that began at that moment or later, oldest first."""

    def newest() -> Iterator[Past]:
        query = select(type_coerce(rollouts.c.state, Document(Past))).where(rollouts.c.app == app)
        for past in connection.scalars(query.order_by(rollouts.c.seq.desc())):
            if past.started_at < moment:
                return
            yield past

    return tuple(newest())[::-1]


def following(connection: Connection, app: str, after: int, most: int = 500) -> tuple[Rollout, ...]:
    """Those that came after the number, oldest first, up to the first that has succeeded."""
    query = select(rollouts.c.state).where(rollouts.c.app == app, rollouts.c.seq > after)
    found: list[Rollout] = []
    for state in connection.scalars(query.order_by(rollouts.c.seq).limit(most)):
        found.append(state)
        if state.phase is Phase.SUCCEEDED:
            break
    return tuple(found)


def number(connection: Connection, rollout: str) -> int:
    """The number of a rollout that is known."""
    query = select(rollouts.c.seq).where(rollouts.c.id == rollout)
    return connection.scalar(query) or 0


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
