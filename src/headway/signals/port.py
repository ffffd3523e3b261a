"""The port of a signal store, and of a node's link to one.

Every adapter passes ``tests/contract/test_signal_store.py``. Errors are those under
``headway.errors.StoreError``; an adapter raises nothing else.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Protocol

from msgspec import Struct

from headway.model.report import Enrolment, Report

Revision = str
"""Opaque; compare for equality only. Order comes from the epoch inside a value."""


class Entry(Struct, frozen=True):
    """A value and the revision at which it was written."""

    value: bytes
    revision: Revision


class Lease(Protocol):
    """A claim to be alive, renewed by the store's adapter until it is released or lost.

    What was put under it vanishes with it. Whoever holds it knows first: by the holder's own
    clock a lease ends no later than the store lets another one in.
    """

    id: str
    ttl: float
    """How long, in seconds, the store keeps it after its holder fell silent; at least."""

    @property
    def lost(self) -> bool:
        """Whether it has ended, or cannot be proven any more."""

    def check(self) -> None:
        """Raise LeaseLost if it is lost."""

    async def ended(self) -> None:
        """Return once it is lost or released."""

    async def release(self) -> None:
        """End it now, and with it what was put under it. Raises nothing."""


class SignalStore(Protocol):
    """A small, consistent, watchable key-value store."""

    async def get(self, key: str) -> Entry | None:
        """The key's entry, or None where there is none."""

    async def put(
        self, key: str, value: bytes, expect: Revision | None, lease: Lease | None = None
    ) -> Revision:
        """Write ``value``, which is not empty, if the key is at ``expect`` (None: not there).

        With a ``lease`` the key vanishes when that ends. A key is bound to its lease, or to
        none, from its first write to its last; any other is a conflict.

        Raises Conflict, Unavailable, Indeterminate, LeaseLost, TooLarge or StoreDenied.
        """

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry at once, then the entry after each change.

        Changes coalesce: an entry may be skipped when a later one is there, and may repeat.
        Raises Unavailable or StoreDenied when the store is lost sight of: watch again.
        """

    async def list(self, prefix: str) -> dict[str, Entry]:
        """All entries whose key begins with ``prefix``."""

    def follow(self, prefix: str) -> AsyncGenerator[dict[str, Entry | None], None]:
        """All entries under ``prefix``, which ends with a slash; then those that changed.

        None stands for an entry that is gone. Otherwise as ``watch``.
        """

    async def lease(self, ttl: float) -> Lease:
        """A new lease of ``ttl`` seconds, or of the least that the store allows.

        Raises Unavailable or StoreDenied.
        """

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
