"""What every contender of ``benchmarks.fanout`` measures, and in the same way."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct

PATIENCE = 60.0


class Fanout(Struct):
    """Seconds from each write to the last watcher's hearing; memory of the server by watcher."""

    seconds: list[float]
    bytes_per_agent: float


class Heard:
    """Counts the watchers that have heard of the present round."""

    def __init__(self, watchers: int) -> None:
        self._watchers = watchers
        self._count = 0
        self._last = 0.0
        self._all = asyncio.Event()

    def note(self) -> None:
        """One more watcher has the value."""
        self._count += 1
        if self._count == self._watchers:
            self._last = time.monotonic()
            self._all.set()

    async def everybody(self) -> float:
        """When the last of all watchers had it (monotonic seconds)."""
        async with asyncio.timeout(PATIENCE):
            await self._all.wait()
        self._all.clear()
        self._count = 0
        return self._last


async def rounds_of(count: int, heard: Heard, write: Callable[[], Awaitable[None]]) -> list[float]:
    """Seconds from just before each write until everybody has heard of it."""
    seconds = []
    for _ in range(count):
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await write()
        seconds.append(await heard.everybody() - began)
    return seconds


def memory(process: int) -> int:
    """Bytes that a process holds for itself (RssAnon); sockets' buffers in the kernel are not."""
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024
