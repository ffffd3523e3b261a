"""A signal store in memory: for tests, and for whoever writes against the port."""

from collections.abc import AsyncIterator

from headway.errors import Conflict, TooLarge, Unavailable
from headway.signals.changes import Changes
from headway.signals.port import Entry, Revision

MAX_VALUE_BYTES = 64 * 1024


class MemorySignals:
    """Behaves as every signal store does and forgets everything when the process ends.

    Set ``trouble`` to a sentence, and it is unavailable for that reason until it is cleared.
    """

    def __init__(self) -> None:
        self.trouble = ""
        self._entries: dict[str, Entry] = {}
        self._changes = Changes()

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none."""
        self._check()
        return self._entries.get(key)

    async def put(self, key: str, value: bytes, expect: Revision | None) -> Revision:
        """Write ``value`` if the key is at ``expect``. Raises Conflict, TooLarge or Unavailable."""
        self._check()
        check_size(key, value)
        revision = succeed(key, self._entries.get(key), expect)
        self._entries[key] = Entry(value, revision)
        self._changes.announce(key)
        return revision

    def watch(self, key: str) -> AsyncIterator[Entry | None]:
        """The current entry, then the entry after each change."""
        return self._changes.follow(key, lambda: self._entries.get(key))

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""
        self._check()
        return {key: entry for key, entry in self._entries.items() if key.startswith(prefix)}

    async def health(self) -> str:
        """An empty string, or what is wrong."""
        return self.trouble

    async def close(self) -> None:
        """End all watches."""
        self._changes.close()
        self.trouble = "the signal store is closed"

    def _check(self) -> None:
        if self.trouble:
            raise Unavailable(self.trouble)


def check_size(key: str, value: bytes) -> None:
    """Raise TooLarge for a value that no signal store should hold."""
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(f"{key} would have {len(value)} bytes, {MAX_VALUE_BYTES} are allowed")


def succeed(key: str, found: Entry | None, expect: Revision | None) -> Revision:
    """The revision after ``found``, if that is what was expected. Raises Conflict."""
    revision = found.revision if found else None
    if revision != expect:
        raise Conflict(f"{key} is at revision {revision}, expected {expect}; read it again")
    return str(int(revision or 0) + 1)
