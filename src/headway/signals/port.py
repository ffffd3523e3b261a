"""The port of a signal store, and of a node's link to one.

Every adapter passes ``tests/contract/test_signal_store.py``. Errors are those under
``headway.errors.StoreError``; an adapter raises nothing else.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from msgspec import Struct

from headway.model.report import Enrolment, Report

Revision = str
"""Opaque; compare for equality only. Order comes from the epoch inside a value."""


class Entry(Struct, frozen=True):
    """A value and the revision at which it was written."""

    value: bytes
    revision: Revision


class SignalStore(Protocol):
    """A small, consistent, watchable key-value store."""

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none."""

    async def put(self, key: str, value: bytes, expect: Revision | None) -> Revision:
        """Write ``value`` if the key is at ``expect`` (None: if it does not exist).

        Raises Conflict, Unavailable, Indeterminate, TooLarge or StoreDenied.
        """

    def watch(self, key: str) -> AsyncIterator[Entry | None]:
        """The current entry at once, then the entry after each change.

        Changes coalesce: an entry may be skipped when a later one is there, and may repeat.
        """

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""

    async def health(self) -> str:
        """An empty string when the store answers, else one sentence of what is wrong."""

    async def close(self) -> None:
        """End all watches and release what is held."""


class Update(Struct, frozen=True):
    """What a link has to say: a new value of a key, or that the link is up or down.

    ``value`` is a signed envelope, not yet verified; ``key`` is empty for news of the link.
    """

    key: str
    value: bytes
    connected: bool = True
    why: str = ""


class Link(Protocol):
    """A node's line to the signal store, direct or through a hub. Blocking; agents use threads."""

    def enrol(self, enrolment: Enrolment) -> None:
        """Present the node. Raises Unreachable, Denied or Refused."""

    def watch(self, apps: tuple[str, ...]) -> Iterator[Update]:
        """Updates of the apps' signals and of the node's record, for ever.

        Reconnects by itself with full jitter; after each connection the current values come
        first. Ends only when the link is closed.
        """

    def report(self, reports: tuple[Report, ...]) -> None:
        """Hand in reports; returns when they are durable. Raises Unreachable or Denied."""

    def close(self) -> None:
        """End the watch."""
