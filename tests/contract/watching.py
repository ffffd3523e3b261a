"""What a watch has seen, in a queue, for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from headway.signals.port import Entry, SignalStore


@asynccontextmanager
async def watching(store: SignalStore, key: str) -> AsyncIterator[asyncio.Queue[Entry | None]]:
    seen: asyncio.Queue[Entry | None] = asyncio.Queue()

    async def follow() -> None:
        async for entry in store.watch(key):
            seen.put_nowait(entry)

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
