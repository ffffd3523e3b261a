"""Signals in etcd, over the JSON gateway that every server has beside its gRPC.

Keys and values are base64, whole numbers are strings, and what is zero or false is left out.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any
from weakref import WeakSet

import msgspec
from msgspec import Meta, Struct, field

from headway.errors import (
    Conflict,
    Indeterminate,
    LeaseLost,
    StoreDenied,
    StoreError,
    TooLarge,
    Unavailable,
)
from headway.signals.gateway import Answer, Closed, Gateway
from headway.signals.lease import KeptLease, now
from headway.signals.location import Location
from headway.signals.memory import check_size
from headway.signals.port import Entry, Lease, Revision
from headway.signals.sharing import SharedWatches

SILENCE_SECONDS = 20.0
"""After so long without news a watch asks whether its server still hears the others."""

_NOT_APPLIED = (b"etcdserver: no leader", b"too many requests", b"database space exceeded")
_REFUSALS = ("authentication failed", "permission denied", "user name", "not enabled")


_Keys = Mapping[str, bytes]
"""Which keys a request is about; msgspec writes bytes as base64."""

_Number = Annotated[str, Meta(pattern=r"\A\d{1,19}\Z")]


class _Pair(Struct):
    key: bytes
    mod_revision: _Number
    value: bytes = b""


class _Header(Struct, frozen=True):
    revision: _Number = "0"


class _Range(Struct):
    header: _Header
    kvs: list[_Pair] = []


class _Event(Struct):
    kv: _Pair
    type: str = "PUT"


class _Watch(Struct):
    header: _Header
    events: list[_Event] = []
    canceled: bool = False
    compact_revision: _Number = "0"
    cancel_reason: str = ""


class _Written(Struct):
    header: _Header = _Header()
    succeeded: bool = False
    error: str = ""


class _Granted(Struct):
    id: _Number = field(name="ID")


class _Kept(Struct, frozen=True):
    ttl: _Number = field(name="TTL", default="0")


class _Keeping(Struct):
    result: _Kept = _Kept()


class _Authenticated(Struct):
    token: str


class _Line(Struct):
    result: _Watch | None = None
    error: Any = None


class EtcdSignals:
    """Implements ``headway.signals.port.SignalStore``; make it, and use it, in one event loop."""

    def __init__(self, location: Location) -> None:
        self._user, _, self._password = location.secret().partition(":")
        self._http = Gateway("etcd", location, _NOT_APPLIED, {})
        self._root = location.prefix + "/"
        self._token = ""
        self._leases: WeakSet[KeptLease] = WeakSet()
        self._shared = SharedWatches(self._watch_alone, self.follow)

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none. Raises Unavailable or StoreDenied."""
        return (await self._range(self._one(key)))[0].get(key)

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value`` if the key is at ``expect``; see the port for what it raises."""
        check_size(key, value)
        if lease is not None:
            lease.check()
        name, bound = (self._root + key).encode(), lease.id if lease else "0"
        compare: list[dict[str, bytes | str]] = [
            {"key": name, "target": "MOD", "mod_revision": expect or "0"}
        ]
        if expect is not None:
            compare.append({"key": name, "target": "LEASE", "lease": bound})
        write = {"key": name, "value": value, "lease": bound}
        answer = await self._ask(
            "kv/txn", {"compare": compare, "success": [{"request_put": write}]}, writes=True
        )
        said: _Written = _decoded(answer, _Written, otherwise=Indeterminate)
        if answer.status != 200:
            wrong = said.error
            if "lease not found" in wrong:
                raise LeaseLost(f"etcd has ended the lease under which {key} was written")
            if "too large" in wrong:
                raise TooLarge(f"etcd takes no value as large as that of {key}")
            raise Unavailable(f"etcd refuses to write {key}: {wrong}")
        if not said.succeeded:
            if lease is not None:
                await self._renew(lease.id)
            raise Conflict(f"{key} is not at revision {expect} any more; read it again")
        return said.header.revision

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry, then the entry after each change."""
        return self._shared.watch(key)

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""
        return (await self._range(self._many(prefix)))[0]

    async def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """All entries under ``prefix``, then those that changed."""
        known: set[str] = set()
        async with aclosing(self._follow(self._many(prefix))) as states:
            async for whole, batch in states:
                if whole:
                    batch.update(dict.fromkeys(known - batch.keys()))
                yield batch
                known = {key for key in known | batch.keys() if batch.get(key, key) is not None}

    async def lease(self, ttl: float) -> KeptLease:
        """A lease of ``ttl`` seconds, rounded up."""
        asked = now()
        ttl = float(-int(-ttl // 1))
        answer = await self._ask("lease/grant", {"TTL": str(int(ttl))})
        name = _well(answer, _Granted).id

        async def end() -> None:
            await self._ask("lease/revoke", {"ID": name})

        lease = KeptLease(name, ttl, asked, lambda: self._renew(name), end)
        self._leases.add(lease)
        return lease

    async def health(self) -> str:
        """An empty string when etcd's leader answers, else what is wrong."""
        try:
            await self.get("health")
        except StoreError as error:
            return error.sentence
        return ""

    async def close(self) -> None:
        """End all leases and watches."""
        await asyncio.gather(*(lease.release() for lease in self._leases))
        await self._http.close()

    async def _watch_alone(self, key: str) -> AsyncGenerator[Entry | None, None]:
        async with aclosing(self._follow(self._one(key))) as states:
            async for whole, batch in states:
                if whole or key in batch:
                    yield batch.get(key)

    async def _follow(
        self, which: _Keys
    ) -> AsyncGenerator[tuple[bool, dict[str, Entry | None]], None]:
        """Everything (True), then what changed (False); everything again after a compaction.

        Ends when the store is closed.
        """
        try:
            while True:
                entries, revision = await self._range(which)
                yield True, dict(entries)
                async with aclosing(self._changes(which, revision)) as batches:
                    async for batch in batches:
                        yield False, batch
        except Closed:
            return

    async def _changes(
        self, which: _Keys, revision: int
    ) -> AsyncGenerator[dict[str, Entry | None], None]:
        """What changed after ``revision``; ends when etcd has forgotten what did."""
        create = {**which, "start_revision": str(revision + 1)}
        body = msgspec.json.encode({"create_request": create})
        # Without this a server that is cut off from the others keeps a watch that hears nothing.
        headers = {"Grpc-Metadata-hasleader": "true", **await self._authorized()}
        async with self._http.stream("/v3/watch", body, headers) as content:
            rest = b""
            while True:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        data = await content.readany()
                except TimeoutError:
                    await self._range(which)
                    continue
                if not data:
                    raise Unavailable("etcd ended the watch")
                *lines, rest = (rest + data).split(b"\n")
                batch: dict[str, Entry | None] = {}
                for line in filter(None, lines):
                    result = _result(line)
                    if result.canceled and int(result.compact_revision):
                        return
                    if result.canceled:
                        raise Unavailable(f"etcd ended the watch: {result.cancel_reason}")
                    for event in result.events:
                        gone = event.type == "DELETE"
                        batch[self._name(event.kv)] = None if gone else _entry(event.kv)
                if batch:
                    yield batch

    async def _range(self, which: _Keys) -> tuple[dict[str, Entry], int]:
        found: _Range = _well(await self._ask("kv/range", which), _Range)
        return {self._name(pair): _entry(pair) for pair in found.kvs}, int(found.header.revision)

    async def _renew(self, lease: str) -> None:
        said: _Keeping = _well(await self._ask("lease/keepalive", {"ID": lease}), _Keeping)
        # For a lease that has ended the answer is as cheerful, but without a TTL.
        if int(said.result.ttl) <= 0:
            raise LeaseLost("etcd has ended the lease; stop acting under it")

    async def _ask(self, path: str, message: Any, *, writes: bool = False) -> Answer:
        body = msgspec.json.encode(message)
        for again in (False, True):
            headers = await self._authorized()
            try:
                answer = await self._http.ask(
                    "POST", f"/v3/{path}", body, writes=writes, headers=headers
                )
            except StoreDenied:
                # A token ends by itself, and with the server that gave it.
                if again or not self._token:
                    raise
                self._token = ""
            else:
                break
        if answer.status == 400 and any(word.encode() in answer.body for word in _REFUSALS):
            raise StoreDenied(f"etcd does not let us in: {answer.body[:200]!r}")
        return answer

    async def _authorized(self) -> dict[str, str]:
        if not self._user:
            return {}
        if not self._token:
            who = msgspec.json.encode({"name": self._user, "password": self._password})
            answer = await self._http.ask("POST", "/v3/auth/authenticate", who)
            if answer.status != 200:
                raise StoreDenied(f"etcd does not let us in: {answer.body[:200]!r}")
            self._token = _decoded(answer, _Authenticated).token
        return {"Authorization": self._token}

    def _one(self, key: str) -> _Keys:
        return {"key": (self._root + key).encode()}

    def _many(self, prefix: str) -> _Keys:
        first = (self._root + prefix).encode()
        return {"key": first, "range_end": first[:-1] + bytes([first[-1] + 1])}

    def _name(self, pair: _Pair) -> str:
        return pair.key.decode("utf-8", "replace").removeprefix(self._root)


def _entry(pair: _Pair) -> Entry:
    return Entry(pair.value, pair.mod_revision)


def _result(line: bytes) -> _Watch:
    try:
        said = msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unavailable(f"etcd's watch cannot be understood: {error}") from None
    if said.result is None:
        raise Unavailable(f"etcd ended the watch: {said.error}")
    return said.result


def _well(answer: Answer, into: Any) -> Any:
    if answer.status != 200:
        raise Unavailable(f"etcd refuses ({answer.status}): {answer.body[:200]!r}")
    return _decoded(answer, into)


def _decoded(answer: Answer, into: Any, otherwise: type[StoreError] = Unavailable) -> Any:
    try:
        return msgspec.json.decode(answer.body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise otherwise(
            f"what answers is not etcd ({answer.status}): {answer.body[:200]!r}"
        ) from None
