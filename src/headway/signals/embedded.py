"""The signal store that needs nothing installed: one SQLite file, one writing thread.

Every write is on the disk before it is answered (WAL, ``synchronous=FULL``). Writes that come
within a few milliseconds of each other share one transaction and so one fsync; each of them
still wins or loses its compare-and-set alone. Reads and watches are answered from memory.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic

from msgspec import Struct

from headway.errors import Conflict, Indeterminate, StorageFailed, StoreError, Unavailable
from headway.signals.changes import Changes
from headway.signals.lease import KeptLease, LocalLeases
from headway.signals.memory import check_expected, check_size
from headway.signals.port import Entry, Lease, Revision

GATHER_SECONDS = 0.005
MAX_BATCH = 512


class _Write(Struct):
    key: str
    value: bytes
    expect: Revision | None
    done: asyncio.Future[Revision]


_Outcome = Entry | StoreError
_Batch = Sequence[_Write]


class EmbeddedSignals:
    """A signal store in the file ``path``; make it, and use it, inside one event loop.

    Raises StorageFailed when the file cannot be opened as a signal store.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        try:
            self._connection = _open(path)
            rows = self._connection.execute("SELECT key, value, revision FROM entries")
            self._entries = {key: Entry(value, str(revision)) for key, value, revision in rows}
        except sqlite3.Error as error:
            raise StorageFailed(f"the signal store {path} cannot be opened: {error}") from None
        self._changes = Changes()
        self._leases = LocalLeases(self._drop)
        self._leased = 0
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._trouble = ""
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="signal-writer", daemon=True)
        self._writer.start()

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none."""
        self._check()
        return self._entries.get(key)

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value`` durably if the key is at ``expect``; under a lease, in memory only.

        Raises Conflict, LeaseLost, TooLarge, Unavailable, or Indeterminate when the commit
        itself failed.
        """
        self._check()
        check_size(key, value)
        if lease is not None or self._leases.holds(key):
            return self._put_leased(key, value, expect, lease)
        write = _Write(key, value, expect, self._loop.create_future())
        self._queue.put(write)
        return await write.done

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry, then the entry after each change."""
        return self._changes.watch(key, lambda: self._entries.get(key))

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""
        self._check()
        return {key: entry for key, entry in self._entries.items() if key.startswith(prefix)}

    def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """All entries under ``prefix``, then those that changed."""
        return self._changes.follow(prefix, self._entries)

    async def lease(self, ttl: float) -> KeptLease:
        """A lease that lasts until it is released, or this process is paused for ``ttl``."""
        self._check()
        return self._leases.grant(ttl)

    async def health(self) -> str:
        """An empty string when the last write succeeded, else what went wrong with it."""
        return "the signal store is closed" if self._closed else self._trouble

    async def close(self) -> None:
        """Finish the writes that were accepted, then end all leases and watches."""
        if self._closed:
            return
        self._closed = True
        await self._leases.close()
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self._changes.close()

    def _put_leased(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None
    ) -> Revision:
        """What vanishes with this process need not survive it."""
        found = self._entries.get(key)
        check_expected(key, found, expect)
        self._leases.bind(key, lease, new=found is None)
        self._leased += 1
        self._entries[key] = Entry(value, f"leased-{self._leased}")
        self._changes.announce(key)
        return self._entries[key].revision

    def _drop(self, key: str) -> None:
        del self._entries[key]
        self._changes.announce(key)

    def _check(self) -> None:
        if self._closed:
            raise Unavailable("the signal store is closed")

    def _write(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                outcomes = self._commit(batch)
                self._loop.call_soon_threadsafe(self._settle, batch, outcomes)
        self._connection.close()

    def _gather(self) -> tuple[_Batch, bool]:
        """Wait for a write and for those that follow closely; False with the last ones."""
        batch: deque[_Write] = deque()
        until = float("inf")
        while len(batch) < MAX_BATCH:
            try:
                write = self._queue.get(timeout=max(0.0, until - monotonic()) if batch else None)
            except Empty:
                break
            if write is None:
                return batch, False
            if not batch:
                until = monotonic() + GATHER_SECONDS
            batch.append(write)
        return batch, True

    def _commit(self, batch: _Batch) -> Sequence[_Outcome]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._apply(write) for write in batch]
        except sqlite3.Error as error:
            self._roll_back()
            return [Unavailable(f"the signal store {self._path} failed: {error}")] * len(batch)
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            return [Indeterminate(f"the signal store {self._path} failed: {error}")] * len(batch)
        return outcomes

    def _apply(self, write: _Write) -> _Outcome:
        row = self._connection.execute(
            "SELECT value, revision FROM entries WHERE key = ?", (write.key,)
        ).fetchone()
        try:
            found = Entry(row[0], str(row[1])) if row else None
            check_expected(write.key, found, write.expect)
        except Conflict as conflict:
            return conflict
        revision = int(found.revision) + 1 if found else 1
        self._connection.execute(
            "INSERT INTO entries (key, value, revision) VALUES (?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
            (write.key, write.value, revision),
        )
        return Entry(write.value, str(revision))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _settle(self, batch: _Batch, outcomes: Sequence[_Outcome]) -> None:
        """Back in the event loop: first make the batch visible, then answer each writer."""
        for write, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Entry):
                self._entries[write.key] = outcome
                self._changes.announce(write.key)
        self._trouble = next(
            (o.sentence for o in outcomes if isinstance(o, Unavailable | Indeterminate)), ""
        )
        for write, outcome in zip(batch, outcomes, strict=True):
            if write.done.done():
                continue
            if isinstance(outcome, Entry):
                write.done.set_result(outcome.revision)
            else:
                write.done.set_exception(outcome)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL,"
        " revision INTEGER NOT NULL) WITHOUT ROWID"
    )
    return connection
