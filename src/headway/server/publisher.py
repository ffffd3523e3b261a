"""Puts signed values into the signal store, and never an older one over a newer."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from headway.errors import Conflict, Indeterminate, Unavailable, Untrusted
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeRecord,
    Signal,
    record_key,
    signal_key,
)
from headway.signals.port import Entry, SignalStore
from headway.signing import Signer, Trust

ATTEMPTS = 8

T = TypeVar("T")

log = structlog.get_logger()


class Publisher:
    """Seals with the release key. What the store holds counts only if a trusted key signed it.

    ``check`` raises a StoreError while this control plane must not write.
    """

    def __init__(
        self,
        store: SignalStore,
        signer: Signer,
        trust: Trust,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._signer = signer
        self._trust = trust
        self._check = check
        self._passed: dict[str, int] = {}
        self._last: dict[str, Signal | None] = {}

    def passed(self, app: str) -> int:
        """The highest epoch of the app that was seen in the store; 0 before the first."""
        return self._passed.get(app, 0)

    async def signal(self, app: str) -> Signal | None:
        """The app's signal as it is in the store. Raises StoreError."""
        return self._signal(await self._store.get(signal_key(app)))

    async def catch_up(self, app: str) -> Signal | None:
        """The app's signal, for whoever decides upon it: what is written next comes after it.

        Raises StoreError.
        """
        signal = await self.signal(app)
        self._last[app] = signal
        if signal is not None:
            self._passed[app] = max(self.passed(app), signal.epoch)
        return signal

    async def is_as_read(self, app: str) -> bool:
        """Whether the store still holds what was last caught up with, or written to it.

        Raises StoreError.
        """
        return self.is_caught_up(app) and await self.signal(app) == self._last[app]

    def is_caught_up(self, app: str) -> bool:
        """Whether it is known what the store holds, as far as this control plane can tell."""
        return app in self._last

    async def put_signal(self, signal: Signal) -> None:
        """Write the signal, unless the store has reached its epoch.

        Raises Conflict when the store does not hold what was last caught up with or written
        here: catch up, and decide upon that. Raises any other StoreError.
        """
        app = signal.app
        sealed = self._signer.seal(msgspec.json.encode(signal), SIGNAL_TYPE)

        def epoch(entry: Entry | None) -> int:
            found = self._signal(entry)
            if found != signal and (app not in self._last or found != self._last[app]):
                self._last.pop(app, None)
                raise Conflict(f"the signal of {app} was changed outside the control plane")
            return found.epoch if found else 0

        reached = await self._raise_to(signal_key(app), signal.epoch, epoch, sealed)
        if reached == signal.epoch:
            self._last[app] = signal
        self._passed[app] = max(self.passed(app), reached)

    async def records(self) -> dict[str, NodeRecord]:
        """Every node's record that is in the store. Raises StoreError."""
        entries = await self._store.list(record_key(""))
        records = (self._record(entry) for entry in entries.values())
        return {record.node: record for record in records if record is not None}

    async def put_record(self, record: NodeRecord) -> None:
        """Write a node's record, unless the store has reached its serial. Raises StoreError."""
        sealed = self._signer.seal(msgspec.json.encode(record), RECORD_TYPE)

        def serial(entry: Entry | None) -> int:
            found = self._record(entry)
            return found.serial if found else 0

        await self._raise_to(record_key(record.node), record.serial, serial, sealed)

    async def _raise_to(
        self, key: str, number: int, number_of: Callable[[Entry | None], int], sealed: bytes
    ) -> int:
        """Compare and set until the key's number is at least ``number``; the number it then has."""
        for _ in range(ATTEMPTS):
            entry = await self._store.get(key)
            if (there := number_of(entry)) >= number:
                return there
            # After reading and before writing: what a new leader has touched since is not replaced.
            self._check()
            try:
                await self._store.put(key, sealed, entry.revision if entry else None)
            except (Conflict, Indeterminate) as error:
                log.info("read again before another try", key=key, why=error.sentence)
                continue
            return number
        raise Unavailable(f"{key} changes faster than it can be written; is another server at it?")

    def _signal(self, entry: Entry | None) -> Signal | None:
        return self._open(entry, SIGNAL_TYPE, Signal)

    def _record(self, entry: Entry | None) -> NodeRecord | None:
        return self._open(entry, RECORD_TYPE, NodeRecord)

    def _open(self, entry: Entry | None, kind: str, into: type[T]) -> T | None:
        if entry is None:
            return None
        try:
            return msgspec.json.decode(self._trust.open(entry.value, kind), type=into)
        except (Untrusted, msgspec.MsgspecError) as error:
            log.warning("a value in the signal store is not ours", kind=kind, why=str(error))
            return None
