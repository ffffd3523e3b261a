"""What a virtual machine has: a clock that is moved by hand, and a disk that can lose power."""

from typing import Any

SECONDS_A_STEP = 0.03
"""How far the clock goes with each step of a simulation."""


class Clock:
    """The one clock of a simulation, in seconds. Nobody but the world moves it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time, as the control plane and the agents read it."""
        return self.now


class Disk:
    """Files by name. What was written is there for readers; only what was synced survives.

    A file is replaced whole (a write and a rename), so a power cut leaves the old or the new one.
    """

    def __init__(self, files: dict[str, Any]) -> None:
        self._durable = dict(files)
        self._written: dict[str, Any] = {}

    def read(self, name: str) -> Any:
        """The last content that was written, or None."""
        return self._written[name] if name in self._written else self._durable.get(name)

    def write(self, name: str, content: Any) -> None:
        """Replace a file, in the page cache."""
        self._written[name] = content

    def sync(self, directory: str = "") -> None:
        """Return when what was written in the directory will survive a power cut."""
        for name in [name for name in self._written if name.rpartition("/")[0] == directory]:
            self._durable[name] = self._written.pop(name)

    def cut_power(self, survivors: int) -> None:
        """Forget what was not synced, but for the files whose bit is set: it may have got there."""
        for bit, (name, content) in enumerate(self._written.items()):
            if survivors >> bit & 1:
                self._durable[name] = content
        self._written.clear()
