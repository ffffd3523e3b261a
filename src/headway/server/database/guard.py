"""What the guard remembers: its counters, its records of rollouts, and fires."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from sqlalchemy import Connection, Table, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from headway.guard.counters import SLOT, Arm, News, Slot
from headway.guard.evidence import Values
from headway.guard.fire import Fire
from headway.guard.record import Chunk, Record, Settings, pack, unpack
from headway.guard.season import Slots
from headway.model.verdict import Verdict
from headway.server.database.tables import (
    guard_buckets,
    guard_chunks,
    guard_fires,
    guard_records,
    guard_slots,
)

_encoder = msgspec.msgpack.Encoder()
_chunks = msgspec.msgpack.Decoder(Chunk)
_befores = msgspec.msgpack.Decoder(dict[str, bytes])


def keep(connection: Connection, news: News) -> None:
    """Keep buckets and slots that have changed."""
    buckets = [
        {"app": arm.app, "tier": arm.tier, "build": arm.build, "begin": begin, "sums": _sound(sums)}
        for (arm, begin), sums in news.buckets.items()
    ]
    slots = [
        {"app": slot.app, "tier": slot.tier, "begin": slot.begin, "sums": _sound(sums)}
        for slot, sums in news.slots.items()
    ]
    _replace(connection, guard_buckets, ("app", "tier", "build", "begin"), buckets)
    _replace(connection, guard_slots, ("app", "tier", "begin"), slots)


def forget(connection: Connection, buckets_before: float, slots_before: float) -> None:
    """Drop what is too old."""
    connection.execute(delete(guard_buckets).where(guard_buckets.c.begin < buckets_before))
    connection.execute(delete(guard_slots).where(guard_slots.c.begin < slots_before))


def buckets(connection: Connection, since: float) -> dict[tuple[Arm, float], dict[str, float]]:
    """The buckets that begin since then, oldest first."""
    query = select(guard_buckets).where(guard_buckets.c.begin >= since)
    rows = connection.execute(query.order_by(guard_buckets.c.begin))
    return {(Arm(row.app, row.tier, row.build), row.begin): row.sums for row in rows}


def slots(connection: Connection, since: float) -> dict[Slot, dict[str, float]]:
    """The slots that begin since then."""
    rows = connection.execute(select(guard_slots).where(guard_slots.c.begin >= since))
    return {Slot(row.app, row.tier, row.begin): row.sums for row in rows}


def history(
    connection: Connection, app: str, spans: Iterable[tuple[float, float]], tiers: set[str]
) -> Slots:
    """An app's slots in some spans of time, its tiers (all, if none are named) added up."""
    found: dict[float, dict[str, float]] = {}
    for begin, end in spans:
        rows = connection.execute(
            select(guard_slots).where(
                guard_slots.c.app == app,
                guard_slots.c.begin >= begin // SLOT * SLOT,
                guard_slots.c.begin < end,
            )
        )
        for row in rows:
            if tiers and row.tier not in tiers:
                continue
            into = found.setdefault(row.begin, {})
            for name, value in row.sums.items():
                into[name] = into.get(name, 0.0) + value
    return found


def begin_record(connection: Connection, settings: Settings, befores: dict[str, Values]) -> None:
    """Begin a record, in place of one with the same id."""
    connection.execute(delete(guard_chunks).where(guard_chunks.c.record == settings.id))
    connection.execute(delete(guard_records).where(guard_records.c.id == settings.id))
    packed = {tier: pack(values) for tier, values in befores.items()}
    connection.execute(
        insert(guard_records).values(
            id=settings.id,
            app=settings.app,
            began=settings.began,
            settings=settings,
            latest=(),
            befores=_encoder.encode(packed),
        )
    )


def extend_record(
    connection: Connection, record: str, chunk: Chunk, latest: Sequence[Verdict]
) -> None:
    """Add to a record what was looked at since, and what is said now; twice is once."""
    connection.execute(
        delete(guard_chunks).where(guard_chunks.c.record == record, guard_chunks.c.seq >= chunk.seq)
    )
    packed = _encoder.encode(chunk)
    connection.execute(insert(guard_chunks).values(record=record, seq=chunk.seq, chunk=packed))
    changed = guard_records.update().where(guard_records.c.id == record)
    connection.execute(changed.values(latest=tuple(latest)))


def record(connection: Connection, name: str) -> tuple[Record, tuple[Verdict, ...]] | None:
    """(a record, what it said last), or None."""
    row = connection.execute(select(guard_records).where(guard_records.c.id == name)).first()
    if row is None:
        return None
    found = Record(row.settings)
    size = len(found.settings.metrics)
    for tier, packed in _befores.decode(row.befores).items():
        table = unpack(packed, size)
        found.befores[tier] = np.array(table).reshape(-1, size, 7)
    query = select(guard_chunks.c.chunk).where(guard_chunks.c.record == name)
    for chunk in connection.scalars(query.order_by(guard_chunks.c.seq)):
        found.extend(_chunks.decode(chunk))
    return found, row.latest


def is_kept(connection: Connection, name: str) -> bool:
    """Whether there is a record of this name."""
    query = select(guard_records.c.id).where(guard_records.c.id == name)
    return connection.scalar(query) is not None


def records(connection: Connection, app: str, limit: int) -> tuple[str, ...]:
    """The ids of an app's newest records."""
    query = select(guard_records.c.id).where(guard_records.c.app == app)
    return tuple(connection.scalars(query.order_by(guard_records.c.began.desc()).limit(limit)))


def trim(connection: Connection, app: str, kept: int) -> None:
    """Keep only an app's newest records."""
    query = select(guard_records.c.id).where(guard_records.c.app == app)
    for name in connection.scalars(query.order_by(guard_records.c.began.desc()).offset(kept)).all():
        connection.execute(delete(guard_chunks).where(guard_chunks.c.record == name))
        connection.execute(delete(guard_records).where(guard_records.c.id == name))


def fires(connection: Connection) -> dict[str, Fire]:
    """Every fire that is not over, by app."""
    return {row.app: row.fire for row in connection.execute(select(guard_fires))}


def note_fire(connection: Connection, app: str, fire: Fire | None) -> None:
    """There is a fire in an app, or none any more."""
    connection.execute(delete(guard_fires).where(guard_fires.c.app == app))
    if fire is not None:
        connection.execute(insert(guard_fires).values(app=app, fire=fire))


def _replace(
    connection: Connection, table: Table, key: tuple[str, ...], rows: list[dict[str, object]]
) -> None:
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        into = dialect.insert(table)
        news = {"sums": into.excluded.sums}
        connection.execute(into.on_conflict_do_update(index_elements=list(key), set_=news), rows)


def _sound(sums: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in sums.items() if math.isfinite(value)}
