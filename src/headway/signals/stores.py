"""Opening the signal store that a URL names, and loading the code of no other."""

from pathlib import Path

from headway.errors import InvalidInput
from headway.signals.port import SignalStore


def open_store(url: str) -> SignalStore:
    """The store at ``url``, for one event loop.

    Raises InvalidInput, and StorageFailed for a file that cannot be opened.
    """
    if url == "memory:":
        from headway.signals.memory import MemorySignals  # noqa: PLC0415

        return MemorySignals()
    if url.startswith("embedded:"):
        from headway.signals.embedded import EmbeddedSignals  # noqa: PLC0415

        return EmbeddedSignals(Path(url.removeprefix("embedded:")))
    raise InvalidInput(f"there is no signal store {url[:100]}; write one like embedded:signals.db")
