"""The way to the database: transactions, each run whole in a thread.

A transaction is a plain function of a connection. It runs from begin to commit in one thread, so
a request that is cancelled never leaves half of one behind, and it costs one change of thread
instead of one for each statement.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from headway.errors import StorageFailed
from headway.server.database.migrate import migrate

T = TypeVar("T")


class Database:
    """The database at ``url``, brought up to date when it is opened.

    Raises StorageFailed when it cannot be opened, or was made by a later Headway.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, hide_parameters=True)
        if self._engine.dialect.name == "sqlite":
            _speak_sqlite(self._engine)
        self._writing = self._engine.execution_options(writes=True)
        self._writer = ThreadPoolExecutor(1, "database-writer")
        self._readers = ThreadPoolExecutor(2, "database-reader")
        try:
            _run(self._writing, migrate)
        except StorageFailed:
            self._release()
            raise

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` finds, in one consistent view. Raises StorageFailed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, _run, self._engine, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in one durable transaction, one after another. Raises StorageFailed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, _run, self._writing, work)

    async def close(self) -> None:
        """Finish what was begun and close every connection."""
        await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except IntegrityError:
        raise
    except DatabaseError as error:
        raise StorageFailed(f"the database failed: {error.orig}; is its disk full?") from error


def _speak_sqlite(engine: Engine) -> None:
    """All that is particular to SQLite is here."""

    def connect(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # 40 MB: with the default of 4 MB the reports of ten thousand nodes on one signal would
        # each time wait for a checkpoint.
        connection.execute("PRAGMA wal_autocheckpoint = 10000")

    def begin(connection: Connection) -> None:
        # A transaction that reads before it writes would otherwise fail instead of waiting.
        writes: Any = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)
