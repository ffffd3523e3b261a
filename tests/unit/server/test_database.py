import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from headway.errors import Refused, StorageFailed
from headway.model.access import Role
from headway.model.build import Build, Failure
from headway.model.hold import Hold, Scope
from headway.model.plan import DEFAULT_PLAN, AppConfig
from headway.model.report import Activity, Report
from headway.model.rollout import Alert, Phase, Rollout, WriteSignal
from headway.model.signal import NodeHold, NodeRecord, Seat, Signal
from headway.server.database import (
    apps,
    builds,
    holds,
    journal,
    nodes,
    outbox,
    reports,
    rollouts,
    tokens,
)
from headway.server.database.connection import Database
from headway.server.database.tables import metadata

pytestmark = pytest.mark.anyio

TARGET = "ab" * 32


def rollout(number: int = 1, **changes: Any) -> Rollout:
    state = Rollout(
        id=f"r{number}",
        app="web",
        base=None,
        target=TARGET,
        plan=DEFAULT_PLAN,
        by="alice",
        started_at=1.5,
        phase=Phase.ROLLING,
        step=0,
        since=1.5,
        step_since=1.5,
        epoch=number,
        attempt=1,
        fractions={"staging": 0.5},
        why="because 'quotes' and \N{SNOWMAN}",
    )
    return msgspec.structs.replace(state, **changes)


def report(node: str = "n1", seq: int = 1) -> Report:
    return Report(
        node=node,
        app="web",
        boot="b",
        seq=seq,
        epoch=3,
        activity=Activity.FLIPPING_BACK,
        running=TARGET,
        prepared=None,
        why="'); DROP TABLE reports; --",
        at=4.25,
        failed=Failure(TARGET, 2),
        counters={"requests": 1e9},
    )


def build(id_: str, app: str = "web") -> Build:
    return Build(id_, app, "c0ffee", 1.0, "ci", 10, 1000, 10)


def web(connection: Connection) -> None:
    apps.put(connection, AppConfig(name="web"), 1.0)


async def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert await database.read(differences) == []


async def test_opening_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    await database.write(web)
    again = Database(f"sqlite:///{tmp_path / 'headway.db'}")
    assert [app.name for app in await again.read(apps.every)] == ["web"]
    await again.close()


async def test_a_database_of_a_later_version_is_refused(database: Database, tmp_path: Path) -> None:
    await database.write(
        lambda c: c.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    )
    with pytest.raises(StorageFailed, match="later Headway"):
        Database(f"sqlite:///{tmp_path / 'headway.db'}")


async def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        Database(f"sqlite:///{tmp_path / 'nowhere' / 'headway.db'}")


async def test_what_fails_midway_leaves_nothing(database: Database) -> None:
    def half(connection: Connection) -> None:
        web(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(half)
    assert await database.read(apps.every) == ()


async def test_a_cancelled_request_leaves_a_whole_transaction_or_none(database: Database) -> None:
    def both(connection: Connection) -> None:
        web(connection)
        rollouts.put(connection, rollout())

    task = asyncio.create_task(database.write(both))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    found = await database.write(lambda c: (apps.every(c), rollouts.live(c)))
    assert [len(part) for part in found] in ([0, 0], [1, 1])


async def test_an_app_is_created_then_replaced(database: Database) -> None:
    await database.write(web)
    changed = AppConfig(name="web", silent_after=3.0)
    await database.write(lambda c: apps.put(c, changed, 2.0))
    assert await database.read(lambda c: apps.get(c, "web")) == changed
    assert await database.read(lambda c: apps.get(c, "other")) is None


async def test_builds_come_newest_first_and_by_prefix(database: Database) -> None:
    first, second, third = "aa" * 32, "ab" * 32, "b0" * 32

    def publish(connection: Connection) -> list[bool]:
        web(connection)
        return [builds.add(connection, build(id_), 1.0) for id_ in (first, second, third, first)]

    assert await database.write(publish) == [True, True, True, False]
    newest = await database.read(lambda c: builds.newest(c, "web", 2))
    assert [b.id for b in newest] == [third, second]
    assert len(await database.read(lambda c: builds.find(c, "web", "a"))) == 2
    assert len(await database.read(lambda c: builds.find(c, "web", "ab"))) == 1
    assert await database.read(lambda c: builds.find(c, "web", "%")) == ()
    assert await database.read(lambda c: builds.find(c, "web", "_")) == ()
    assert await database.read(lambda c: builds.find(c, "other", "a")) == ()


async def test_nodes_and_their_last_reports(database: Database) -> None:
    record = NodeRecord("n1", 1, "eu-1", {"web": Seat("staging", 0.25)})
    held = NodeRecord("n1", 2, "eu-1", {"web": Seat("staging", 0.25)}, NodeHold("al", "disk"))

    def enrol(connection: Connection) -> None:
        nodes.add(connection, record, "0.1", 1.0)
        reports.put(connection, [(report(seq=1), 1.0)])

    await database.write(enrol)
    await database.write(lambda c: nodes.put(c, held))
    await database.write(lambda c: reports.put(c, [(report(seq=2), 2.0)]))
    assert await database.read(nodes.every) == (held,)
    assert await database.read(reports.every) == ((report(seq=2), 2.0),)
    await database.write(lambda c: nodes.forget(c, "n1"))
    assert await database.read(lambda c: (nodes.every(c), reports.every(c))) == ((), ())


async def test_a_rollout_is_kept_whole(database: Database) -> None:
    state = rollout(fractions={"staging": 1.0, "production": 0.1}, resume_to=Phase.SOAKING)
    await database.write(lambda c: (web(c), rollouts.put(c, state)))
    assert await database.read(lambda c: rollouts.get(c, "r1")) == state
    assert await database.read(rollouts.live) == (state,)
    ended = msgspec.structs.replace(state, phase=Phase.SUCCEEDED)
    await database.write(lambda c: rollouts.put(c, ended))
    assert await database.read(rollouts.live) == ()
    assert await database.read(lambda c: rollouts.last_succeeded(c, "web")) == ended
    assert await database.read(lambda c: rollouts.newest(c, "web", 5)) == (ended,)


async def test_the_database_itself_allows_one_live_rollout_per_app(database: Database) -> None:
    await database.write(lambda c: (web(c), rollouts.put(c, rollout(1))))
    with pytest.raises(IntegrityError):
        await database.write(lambda c: rollouts.put(c, rollout(2)))
    await database.write(lambda c: rollouts.put(c, rollout(3, phase=Phase.ABORTED)))


async def test_the_last_epoch_is_that_of_any_rollout(database: Database) -> None:
    assert await database.read(lambda c: rollouts.last_epoch(c, "web")) == 0
    await database.write(
        lambda c: (
            web(c),
            rollouts.put(c, rollout(9, phase=Phase.ABORTED)),
            rollouts.put(c, rollout(4)),
        )
    )
    assert await database.read(lambda c: rollouts.last_epoch(c, "web")) == 9


async def test_the_journal_is_numbered_and_filtered(database: Database) -> None:
    def write(connection: Connection) -> None:
        for number in range(6):
            journal.append(
                connection,
                at=float(number),
                app="web" if number % 2 else "",
                rollout="r1" if number == 3 else "",
                actor="alice",
                kind="test",
                why=str(number),
                changes={"step": number},
            )

    await database.write(write)

    async def why(**where: Any) -> str:
        found = await database.read(lambda c: journal.entries(c, **where))
        return "".join(entry.why for entry in found)

    assert await why(limit=3) == "345"
    assert await why(limit=2, after=1) == "12"
    assert await why(limit=10, app="web") == "135"
    assert await why(limit=10, rollout="r1") == "3"
    assert await database.read(journal.last) == 6
    (entry,) = await database.read(lambda c: journal.entries(c, limit=1))
    assert entry.changes == {"step": 5}


async def test_an_effect_is_pending_until_it_is_done(database: Database) -> None:
    signal = Signal("web", 1, "r1", None, TARGET, {}, 1, True, 1.0, "alice", "why")
    effects = (WriteSignal(signal), Alert("look"))
    await database.write(lambda c: (web(c), outbox.add(c, "web", "r1", effects)))
    first, second = await database.read(outbox.pending)
    assert (first.effect, second.effect) == effects
    await database.write(lambda c: outbox.done(c, first.id, 2.0))
    assert await database.read(lambda c: outbox.pending(c, "web")) == (second,)
    assert await database.read(lambda c: outbox.pending(c, "other")) == ()


async def test_a_hold_is_placed_once_and_lifted(database: Database) -> None:
    hold = Hold("h1", Scope.APP, "web", "alice", "freeze", 1.0, until=2.0)
    await database.write(lambda c: (holds.add(c, hold), holds.add(c, hold)))
    assert await database.read(holds.every) == (hold,)
    await database.write(lambda c: holds.lift(c, "h1"))
    assert await database.read(lambda c: holds.get(c, "h1")) is None


async def test_a_tokens_name_is_taken_once(database: Database) -> None:
    token = tokens.Token("ci", Role.DEPLOYER, "f" * 64, 1.0)
    await database.write(lambda c: tokens.add(c, token))
    with pytest.raises(Refused, match="ci"):
        await database.write(lambda c: tokens.add(c, msgspec.structs.replace(token, hash="e")))
    assert await database.read(tokens.every) == (token,)
    assert await database.write(lambda c: tokens.revoke(c, "ci"))
    assert not await database.write(lambda c: tokens.revoke(c, "ci"))
