"""Signals in Consul's key-value store, over its HTTP API.

Watches are blocking queries, writes are transactions (they answer with the new index, where a
plain ``?cas`` answers ``true``, or ``false`` with status 200), leases are sessions.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

import msgspec
from msgspec import Struct, field

from headway.errors import Conflict, Indeterminate, LeaseLost, StoreDenied, StoreError, Unavailable
from headway.signals.gateway import Answer, Closed, Gateway
from headway.signals.lease import KeptLease, now
from headway.signals.location import Location
from headway.signals.memory import check_size
from headway.signals.port import Entry, Lease, Revision
from headway.signals.sharing import SharedWatches

WAIT_SECONDS = 55
"""How long one blocking query lasts; proxies and Consul itself cut off those above a minute."""

LEAST_TTL = 10.0
"""The shortest session that Consul grants, in seconds; it may keep one for twice its time."""

BREATH_SECONDS = 0.1
"""The pause after a query that woke for nothing, as one for a missing key does."""

BREATH_PER_ENTRY = 0.0001
"""The pause for each entry of a directory that was read whole: ten thousand in a second."""

_NOT_APPLIED = (b"No cluster leader", b"No known Consul servers")


class _Pair(Struct, rename="pascal"):
    key: str
    value: bytes | None
    modify_index: int


class _Step(Struct, rename="upper"):
    kv: _Pair


class _Wrong(Struct, rename="pascal"):
    what: str = ""


class _Outcome(Struct, rename="pascal"):
    results: list[_Step] | None = None
    errors: list[_Wrong] | None = None


class _Session(Struct):
    id: str = field(name="ID")


class ConsulSignals:
    """Implements ``headway.signals.port.SignalStore``; make it, and use it, in one event loop."""

    def __init__(self, location: Location) -> None:
        token = location.secret()
        headers = {"X-Consul-Token": token} if token else {}
        self._http = Gateway("Consul", location, _NOT_APPLIED, headers)
        self._root = location.prefix + "/"
        self._leases: WeakSet[KeptLease] = WeakSet()
        self._shared = SharedWatches(self._watch_alone, self.follow)

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none. Raises Unavailable or StoreDenied."""
        entries, _ = await self._read(key, "consistent")
        return entries.get(key)

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value`` if the key is at ``expect``; see the port for what it raises."""
        check_size(key, value)
        if lease is not None:
            lease.check()
        steps = _steps(self._root + key, value, expect, lease.id if lease else None)
        body = msgspec.json.encode([{"KV": step} for step in steps])
        answer = await self._http.ask("PUT", "/v1/txn", body, writes=True)
        said: _Outcome = _decoded(answer, _Outcome, otherwise=Indeterminate)
        if answer.status == 200 and said.results:
            return str(said.results[-1].kv.modify_index)
        wrong = "; ".join(error.what for error in said.errors or ())
        if "invalid session" in wrong:
            raise LeaseLost(f"Consul has ended the session under which {key} was written")
        if "ermission denied" in wrong or "ACL not found" in wrong:
            raise StoreDenied(f"Consul does not let us in ({wrong}); check the token file")
        if answer.status == 409:
            raise Conflict(f"{key} is not at revision {expect} any more ({wrong}); read it again")
        otherwise = Indeterminate if answer.status == 200 else Unavailable
        raise otherwise(f"Consul does not say what became of {key}: {answer.body[:200]!r}")

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry, then the entry after each change."""
        return self._shared.watch(key)

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""
        entries, _ = await self._read(prefix, "consistent&recurse")
        return entries

    async def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """All entries under ``prefix``, then those that changed.

        Each change reads the whole prefix again: keep it small.
        """
        known: dict[str, Entry] = {}
        async with contextlib.aclosing(self._poll(prefix, "recurse")) as states:
            async for entries in states:
                changed = {key: e for key, e in entries.items() if known.get(key) != e}
                gone = dict.fromkeys(known.keys() - entries.keys())
                yield {**changed, **gone}
                known = entries

    async def lease(self, ttl: float) -> KeptLease:
        """A session of ``ttl`` seconds, at least ten; its end deletes what was put under it."""
        ttl = max(ttl, LEAST_TTL)
        asked = now()
        session = {
            "Name": "headway",
            "TTL": f"{ttl:.0f}s",
            "LockDelay": "0s",
            "Behavior": "delete",
            "NodeChecks": [],
        }
        body = msgspec.json.encode(session)
        answer = await self._http.ask("PUT", "/v1/session/create", body)
        if answer.status != 200:
            raise Unavailable(f"Consul grants no session: {answer.body[:200]!r}")
        name = _decoded(answer, _Session).id

        async def renew() -> None:
            if (await self._http.ask("PUT", f"/v1/session/renew/{name}")).status == 404:
                raise LeaseLost("Consul has ended the session")

        async def end() -> None:
            await self._http.ask("PUT", f"/v1/session/destroy/{name}")

        lease = KeptLease(name, ttl, asked, renew, end)
        self._leases.add(lease)
        return lease

    async def health(self) -> str:
        """An empty string when Consul's leader answers, else what is wrong."""
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
        async with contextlib.aclosing(self._poll(key, "")) as states:
            async for entries in states:
                yield entries.get(key)

    async def _poll(self, path: str, how: str) -> AsyncGenerator[dict[str, Entry], None]:
        """What is at ``path``, now and after each change. Ends when the store is closed."""
        index, last = 0, None
        while True:
            try:
                entries, reached = await self._read(path, how, index)
            except Closed:
                return
            if entries == last:
                await asyncio.sleep(BREATH_SECONDS)
            else:
                yield entries
                if how == "recurse":
                    # While many are being changed each reading would otherwise lead to the next.
                    await asyncio.sleep(len(entries) * BREATH_PER_ENTRY)
            last = entries
            # A server that was restored, or another one, may be behind: begin again.
            index = reached if reached >= index else 0

    async def _read(self, path: str, how: str, index: int = 0) -> tuple[dict[str, Entry], int]:
        url = f"/v1/kv/{quote(self._root + path)}?{how}"
        waits = 0.0
        if index:
            url += f"&index={index}&wait={WAIT_SECONDS}s"
            # Consul adds up to a sixteenth, so that not all queries end at once.
            waits = WAIT_SECONDS * 17 / 16
        answer = await self._http.ask("GET", url, waits=waits)
        if answer.status not in {200, 404}:
            raise Unavailable(f"Consul refuses to read {path}: {answer.body[:200]!r}")
        pairs = _decoded(answer, list[_Pair]) if answer.status == 200 else []
        entries = {
            pair.key.removeprefix(self._root): Entry(pair.value or b"", str(pair.modify_index))
            for pair in pairs
        }
        header = answer.headers.get("X-Consul-Index", "")
        return entries, int(header) if header.isascii() and header.isdigit() else 0


def _steps(key: str, value: bytes, expect: Revision | None, session: str | None) -> list[Any]:
    """The operations of a transaction that writes ``key`` only where it may."""
    write: dict[str, Any] = {
        "Key": key,
        "Value": value,
        # Consul may leave a write out that changes nothing, and its index would not rise.
        "Flags": secrets.randbits(64),
    }
    index = int(expect or 0)
    bound = [{"Verb": "check-session", "Key": key, "Session": session or ""}] if expect else []
    if session is None:
        return [*bound, write | {"Verb": "cas", "Index": index}]
    fresh = {"Verb": "check-index", "Index": index} if expect else {"Verb": "check-not-exists"}
    return [*bound, fresh | {"Key": key}, write | {"Verb": "lock", "Session": session}]


def _decoded(answer: Answer, into: Any, otherwise: type[StoreError] = Unavailable) -> Any:
    try:
        return msgspec.json.decode(answer.body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise otherwise(
            f"what answers is not Consul ({answer.status}): {answer.body[:200]!r}"
        ) from None
