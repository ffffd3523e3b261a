"""A signal store in memory: for tests, and for whoever writes against the port."""

from collections.abc import AsyncGenerator

from headway.errors import Conflict, TooLarge, Unavailable
from headway.signals.changes import Changes
from headway.signals.lease import KeptLease, LocalLeases
from headway.signals.port import Entry, Lease, Revision

MAX_VALUE_BYTES = 64 * 1024


class MemorySignals:
    """Behaves as every signal store does and forgets everything when the process ends.

    Set ``trouble`` to a sentence, and it is unavailable for that reason until it is cleared.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._entries: dict[str, Entry] = {}
        self._written = 0
        self._changes = Changes()
        self._leases = LocalLeases(self._drop)

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none."""
        self._check()
        return self._entries.get(key)

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value`` if the key is at ``expect``.

        Raises Conflict, LeaseLost, TooLarge or Unavailable.
        """
        self._check()
        check_size(key, value)
        found = self._entries.get(key)
        check_expected(key, found, expect)
        self._leases.bind(key, lease, new=found is None)
        self._written += 1
        self._entries[key] = Entry(value, str(self._written))
        self._changes.announce(key)
        return self._entries[key].revision

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
        """An empty string, or what is wrong."""
        return self.trouble

    async def close(self) -> None:
        """End all leases and watches."""
        await self._leases.close()
        self._changes.close()
        self.trouble = "the signal store is closed"

    def _check(self) -> None:
        if self.trouble:
            raise Unavailable(self.trouble)

    def _drop(self, key: str) -> None:
        del self._entries[key]
        self._changes.announce(key)


def check_size(key: str, value: bytes) -> None:
    """Raise TooLarge for a value that no signal store should hold."""
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(f"{key} would have {len(value)} bytes, {MAX_VALUE_BYTES} are allowed")


def check_expected(key: str, found: Entry | None, expect: Revision | None) -> None:
    """Raise Conflict unless ``found`` is what was expected."""
    revision = found.revision if found else None
    if revision != expect:
        raise Conflict(f"{key} is at revision {revision}, expected {expect}; read it again")
