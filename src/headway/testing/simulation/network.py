"""The virtual network and the virtual signal store."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from headway.errors import Conflict, Indeterminate, Unavailable
from headway.model.report import Report
from headway.model.signal import NodeRecord, Signal

MOST_IN_FLIGHT = 96
"""Beyond this the oldest messages are lost, as in any queue."""

Value = Signal | NodeRecord


class Message(NamedTuple):
    """What is on its way: a value to the node, or the node's report to the control plane."""

    node: str
    content: Value | Report


class Network:
    """Messages in flight. Each is delivered whenever the schedule says so: late, twice, never."""

    def __init__(self) -> None:
        self.flight: list[Message] = []
        self.cut: set[str] = set()
        """Nodes behind a partition: what reaches its border is lost."""

    def send(self, node: str, content: Value | Report) -> None:
        """Put a message on its way."""
        if len(self.flight) >= MOST_IN_FLIGHT:
            del self.flight[: MOST_IN_FLIGHT // 4]
        self.flight.append(Message(node, content))

    def take(self, choice: int) -> Message | None:
        """The message that arrives next, out of order; None where it is lost, or there is none."""
        if not self.flight:
            return None
        index = choice % len(self.flight)
        message = self.flight[index]
        self.flight[index] = self.flight[-1]
        self.flight.pop()
        return None if message.node in self.cut else message

    def duplicate(self, choice: int) -> None:
        """One message will arrive twice."""
        if self.flight:
            self.flight.append(self.flight[choice % len(self.flight)])


class Fault(Enum):
    """How the store fails at its next operation."""

    UNAVAILABLE = auto()
    LOST_BEFORE = auto()
    """The write was not applied, and nobody can tell."""
    LOST_AFTER = auto()
    """The write was applied, and nobody can tell."""


class Entry(NamedTuple):
    """A value with its revision, as in ``headway.signals.port``; signed, and opened by whoever
    reads it: a simulation does without the envelopes."""

    value: Any
    revision: int


class Store:
    """Compare-and-set on keys, with the errors of the port; ``written`` is told of each write."""

    def __init__(self, written: Callable[[Value], None]) -> None:
        self._written = written
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self.fault: Fault | None = None

    def get(self, key: str) -> Entry | None:
        """The key's entry. Raises Unavailable."""
        if self._fault() is not None:
            raise Unavailable("the store does not answer")
        return self._entries.get(key)

    def glimpse(self, key: str) -> Value | None:
        """What a watch tells of a key, at its next connection."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def put(self, key: str, value: Value, expect: int | None) -> int:
        """Write if the key is at ``expect``. Raises Conflict, Unavailable or Indeterminate."""
        fault = self._fault()
        if fault is Fault.UNAVAILABLE:
            raise Unavailable("the store does not answer")
        if fault is Fault.LOST_BEFORE:
            raise Indeterminate("no answer came")
        if not self._is_at(key, expect):
            raise Conflict(f"{key} has moved on")
        self._revision += 1
        self._entries[key] = Entry(value, self._revision)
        self._written(value)
        if fault is Fault.LOST_AFTER:
            raise Indeterminate("no answer came")
        return self._revision

    def _is_at(self, key: str, expect: int | None) -> bool:
        entry = self._entries.get(key)
        return (entry.revision if entry else None) == expect

    def _fault(self) -> Fault | None:
        fault, self.fault = self.fault, None
        return fault
