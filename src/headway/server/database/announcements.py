"""What is announced, and what of it is still on its way."""

from collections.abc import Collection, Iterable
from secrets import token_hex

from sqlalchemy import Connection, delete, func, insert, select, update

from headway.model.announcement import Announcement, Delivery, Occasion, Span
from headway.server.database.tables import announcements, dispatches


def add(
    connection: Connection,
    *,
    at: float,
    occasion: Occasion,
    app: str,
    sentence: str,
    rollout: str = "",
    metric: str = "",
    span: Span | None = None,
) -> None:
    """Announce something, in the transaction that decides it."""
    made = Announcement(token_hex(12), at, occasion, app, sentence, rollout, metric, span=span)
    connection.execute(
        insert(announcements).values(id=made.id, at=at, spread=False, announcement=made)
    )


def fresh(connection: Connection) -> tuple[Announcement, ...]:
    """What nobody was sent yet, oldest first."""
    query = select(announcements.c.announcement).where(announcements.c.spread.is_(False))
    return tuple(connection.scalars(query.order_by(announcements.c.at)))


def spread(
    connection: Connection, announcement: Announcement, targets: Iterable[str], now: float
) -> None:
    """Put it on its way to each of these places."""
    for target in targets:
        connection.execute(
            insert(dispatches).values(
                announcement=announcement.id,
                target=target,
                tries=0,
                next_at=now,
                done=False,
                dead=False,
                error="",
            )
        )
    connection.execute(
        update(announcements)
        .where(announcements.c.id == announcement.id)
        .values(spread=True, announcement=announcement)
    )


def due(connection: Connection, place: str, now: float, limit: int) -> tuple[Delivery, ...]:
    """What a place is to be told now, oldest first."""
    return _dispatches(
        connection,
        limit,
        dispatches.c.done.is_(False),
        dispatches.c.dead.is_(False),
        dispatches.c.next_at <= now,
        dispatches.c.target == place,
    )


def astray(connection: Connection, places: Collection[str], limit: int) -> tuple[Delivery, ...]:
    """What is on its way to somewhere else than one of ``places``."""
    return _dispatches(
        connection,
        limit,
        dispatches.c.done.is_(False),
        dispatches.c.dead.is_(False),
        dispatches.c.target.not_in(list(places)),
    )


def pending(connection: Connection, dead: bool, limit: int, after: int = 0) -> tuple[Delivery, ...]:
    """What has not arrived, after a number: what was given up, or what is still tried."""
    return _dispatches(
        connection,
        limit,
        dispatches.c.done.is_(False),
        dispatches.c.dead.is_(dead),
        dispatches.c.id > after,
    )


def delivered(connection: Connection, delivery: int) -> None:
    """It has arrived."""
    connection.execute(update(dispatches).where(dispatches.c.id == delivery).values(done=True))


def failed(
    connection: Connection, delivery: Delivery, error: str, next_at: float, dead: bool
) -> None:
    """It has not arrived; it is tried again at ``next_at``, or given up."""
    connection.execute(
        update(dispatches)
        .where(dispatches.c.id == delivery.id)
        .values(tries=delivery.tries + 1, next_at=next_at, dead=dead, error=error[:500])
    )


def revive(connection: Connection, delivery: int, now: float) -> bool:
    """Try again what was given up; False where there is no such thing."""
    changed = connection.execute(
        update(dispatches)
        .where(dispatches.c.id == delivery, dispatches.c.dead.is_(True))
        .values(dead=False, tries=0, next_at=now)
    )
    return changed.rowcount > 0


def forget(connection: Connection, before: float) -> None:
    """Drop what is old, arrived or not."""
    old = select(announcements.c.id).where(announcements.c.at < before)
    connection.execute(delete(dispatches).where(dispatches.c.announcement.in_(old)))
    connection.execute(delete(announcements).where(announcements.c.at < before))


def _dispatches(connection: Connection, limit: int, *which: object) -> tuple[Delivery, ...]:
    query = (
        select(dispatches, announcements.c.announcement.label("document"))
        .join(announcements, announcements.c.id == dispatches.c.announcement)
        .where(*which)  # type: ignore[arg-type]
        .order_by(dispatches.c.id)
        .limit(limit)
    )
    return tuple(
        Delivery(row.id, row.target, row.document, row.tries, row.next_at, row.dead, row.error)
        for row in connection.execute(query)
    )


def queued(connection: Connection) -> dict[tuple[str, bool], int]:
    """How much has not arrived: by place, and whether it was given up."""
    query = select(dispatches.c.target, dispatches.c.dead, func.count())
    query = query.where(dispatches.c.done.is_(False))
    query = query.group_by(dispatches.c.target, dispatches.c.dead)
    return {(target, dead): count for target, dead, count in connection.execute(query)}
