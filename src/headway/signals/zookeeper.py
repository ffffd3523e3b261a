"""Signals in ZooKeeper. A key is a node below the root; its directories are nodes without data.

A revision names the node's creation and its version, as versions begin again at 0 when a node is
made anew. Watches go off once, so each is set again together with the next read. A lease is a
session of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError

from headway.errors import Conflict, Indeterminate, LeaseLost, StoreError, Unavailable
from headway.signals.lease import KeptLease, now
from headway.signals.location import Location
from headway.signals.memory import check_size
from headway.signals.port import Entry, Lease, Revision
from headway.signals.zookeeper_session import Session

SESSION_SECONDS = 10.0
"""The session that reads, watches, and writes what is bound to no lease."""

AT_ONCE = 128
"""How many keys of a prefix are read at a time."""

_Wake = Callable[[Any], None]


class ZooKeeperSignals:
    """Implements ``headway.signals.port.SignalStore``; make it, and use it, in one event loop."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._loop = asyncio.get_running_loop()
        self._root = f"/{location.prefix}"
        self._main = Session(location, SESSION_SECONDS)
        self._leased: dict[str, Session] = {}
        self._leases: dict[KeptLease, asyncio.Task[None]] = {}
        self._watches: set[asyncio.Event] = set()
        self._closed = False

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none. Raises Unavailable or StoreDenied."""
        await self._catch_up()
        return await self._look(self._path(key))

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value`` if the key is at ``expect``; see the port for what it raises."""
        check_size(key, value)
        if lease is not None:
            lease.check()
        session = self._session(lease)
        path = self._path(key)
        try:
            if expect is None:
                stat = await self._create(session, path, value)
            else:
                stat = await self._set(session, path, value, expect)
        except (BadVersionError, NodeExistsError, NoNodeError):
            raise Conflict(f"{key} is not at revision {expect} any more; read it again") from None
        except Indeterminate:
            self._session(lease)
            raise
        # kazoo may have begun another session meanwhile, and the key is bound to that.
        self._session(lease)
        return _revision(stat)

    async def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry, then the entry after each change."""
        changed = asyncio.Event()
        wake = self._waking(lambda _: changed.set())
        self._watches.add(changed)
        try:
            while not self._closed:
                changed.clear()
                yield await self._look(self._path(key), wake)
                await changed.wait()
        except Unavailable:
            if not self._closed:
                raise
        finally:
            self._watches.discard(changed)

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""
        await self._catch_up()
        top = self._path(prefix).rpartition("/")[0]
        found = await self._walk({top}, None)
        return {key: e for key, e in found.items() if e is not None and key.startswith(prefix)}

    async def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """All entries under ``prefix``, then those that changed."""
        top = self._path(prefix).rpartition("/")[0]
        changed, touched = asyncio.Event(), {top}
        known: dict[str, Entry | None] = {}

        def note(event: Any) -> None:
            # Without a path the news is of the connection: anything may have changed.
            touched.update({event.path} if event.path else {top, *map(self._path, known)})
            changed.set()

        wake = self._waking(note)
        self._watches.add(changed)
        first = True
        try:
            while not self._closed:
                changed.clear()
                todo = set(touched)
                touched.clear()
                seen = await self._walk(todo, wake)
                # The directory of the prefix may be a key itself, which does not count.
                seen = {key: entry for key, entry in seen.items() if key.startswith(prefix)}
                batch = {key: e for key, e in seen.items() if known.get(key) != e}
                known = {key: e for key, e in (known | seen).items() if e is not None}
                if batch or first:
                    yield batch
                first = False
                await changed.wait()
        except Unavailable:
            if not self._closed:
                raise
        finally:
            self._watches.discard(changed)

    async def lease(self, ttl: float) -> KeptLease:
        """A session of ``ttl`` seconds, or of the nearest that the servers allow."""
        asked = now()
        session = Session(self._location, ttl)
        try:
            await session.connected()
        except StoreError:
            await session.stop()
            raise
        name = f"{session.id:x}"
        self._leased[name] = session

        async def renew() -> None:
            await self._session(lease).read("exists", "/")
            self._session(lease)

        lease = KeptLease(name, session.seconds, asked, renew, end=session.stop)
        ending = asyncio.create_task(self._end(lease, session))
        self._leases[lease] = ending
        ending.add_done_callback(lambda _: self._leases.pop(lease))
        return lease

    async def health(self) -> str:
        """An empty string when ZooKeeper answers, else what is wrong."""
        try:
            await self._catch_up()
            await self._look(self._root)
        except StoreError as error:
            return error.sentence
        return ""

    async def close(self) -> None:
        """End all leases and watches."""
        self._closed = True
        for changed in self._watches:
            changed.set()
        await asyncio.gather(*(lease.release() for lease in self._leases))
        await asyncio.gather(*self._leases.values())
        await self._main.stop()

    async def _catch_up(self) -> None:
        """A server may lag behind the others until it is told not to."""
        await self._main.read("sync", self._root)

    async def _look(self, path: str, wake: _Wake | None = None) -> Entry | None:
        while True:
            try:
                return _entry(*await self._main.read("get", path, watch=wake))
            except NoNodeError:
                if wake is None or await self._main.read("exists", path, watch=wake) is None:
                    return None

    async def _walk(self, paths: set[str], wake: _Wake | None) -> dict[str, Entry | None]:
        """The entries at ``paths`` and of all that is below them; ``wake`` tells of changes."""
        found: dict[str, Entry | None] = {}
        # Of tens of thousands of requests at once the last would not be answered in time.
        gate = asyncio.Semaphore(AT_ONCE)

        async def look_below(path: str) -> tuple[Entry | None, tuple[str, ...]]:
            async with gate:
                return await self._look_below(path, wake)

        while paths:
            looked = await asyncio.gather(*map(look_below, paths))
            found |= {self._key(p): e for p, (e, _) in zip(paths, looked, strict=True)}
            paths = {below for _, belows in looked for below in belows}
        return found

    async def _look_below(
        self, path: str, wake: _Wake | None
    ) -> tuple[Entry | None, tuple[str, ...]]:
        if wake is None:
            # Who is not to be told of children needs to ask only where there are some.
            try:
                data, stat = await self._main.read("get", path)
            except NoNodeError:
                return None, ()
            if not stat.numChildren:
                return _entry(data, stat), ()
        entry = await self._look(path, wake)
        try:
            names = await self._main.read("get_children", path, watch=wake)
        except NoNodeError:
            return None, ()
        return entry, tuple(f"{path}/{name}" for name in names)

    async def _create(self, session: Session, path: str, value: bytes) -> Any:
        leased = session is not self._main
        try:
            return await _make(session, path, value, leased)
        except NoNodeError:
            await self._make_directories(path)
            return await _make(session, path, value, leased)
        except NodeExistsError:
            data, stat = await self._main.read("get", path)
            if data or leased:
                raise
            # It was made as a directory of other keys, and holds nothing yet.
            return await session.write("set", path, value, version=stat.version)

    async def _make_directories(self, path: str) -> None:
        parts = path.split("/")[1:-1]
        for depth in range(1, len(parts) + 1):
            with contextlib.suppress(NodeExistsError):
                await self._main.write("create", "/" + "/".join(parts[:depth]), b"")

    async def _set(self, session: Session, path: str, value: bytes, expect: Revision) -> Any:
        await self._catch_up()
        stat = await self._main.read("exists", path)
        owner = session.id if session is not self._main else 0
        # ZooKeeper itself compares the version only, which a node made anew may share.
        if stat is None or _revision(stat) != expect or stat.ephemeralOwner != owner:
            raise BadVersionError
        return await session.write("set", path, value, version=stat.version)

    def _session(self, lease: Lease | None) -> Session:
        """What to write through. Raises LeaseLost."""
        if lease is None:
            return self._main
        session = self._leased.get(lease.id)
        if session is None or f"{session.id:x}" != lease.id:
            raise LeaseLost("ZooKeeper has ended the session; stop acting under it")
        return session

    async def _end(self, lease: KeptLease, session: Session) -> None:
        """A session that is lost may live on in the servers, or was begun anew: end it."""
        await lease.ended()
        del self._leased[lease.id]
        await session.stop()

    def _waking(self, tell: _Wake) -> _Wake:
        """Let kazoo's threads call ``tell`` in the event loop."""

        def wake(event: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone
                self._loop.call_soon_threadsafe(tell, event)

        return wake

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _key(self, path: str) -> str:
        return path.removeprefix(f"{self._root}/")


async def _make(session: Session, path: str, value: bytes, leased: bool) -> Any:
    _, stat = await session.write("create", path, value, ephemeral=leased, include_data=True)
    return stat


def _entry(data: bytes, stat: Any) -> Entry | None:
    return Entry(data, _revision(stat)) if data else None


def _revision(stat: Any) -> Revision:
    return f"{stat.czxid:x}.{stat.version}"
