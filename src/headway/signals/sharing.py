"""Many watches over few connections.

A store may allow one address some hundred connections, and every watch of a single key costs one.
The first watches have their own; those beyond share one watch of the directory their key is in.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from headway.errors import StoreError
from headway.signals.changes import Changes
from headway.signals.port import Entry

ALONE = 32
"""How many watches of a store have a connection of their own."""

WatchOne = Callable[[str], AsyncGenerator[Entry | None, None]]
FollowMany = Callable[[str], AsyncGenerator[dict[str, Entry | None], None]]


class SharedWatches:
    """Watches of single keys, by ``one`` while they are few and by ``many`` beyond."""

    def __init__(self, one: WatchOne, many: FollowMany) -> None:
        self._one = one
        self._many = many
        self._alone = 0
        self._directories: dict[str, _Directory] = {}

    async def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The current entry, then the entry after each change."""
        directory = key[: key.rfind("/") + 1]
        if self._alone >= ALONE and directory:
            async with aclosing(self._share(directory, key)) as entries:
                async for entry in entries:
                    yield entry
            return
        self._alone += 1
        try:
            async with aclosing(self._one(key)) as entries:
                async for entry in entries:
                    yield entry
        finally:
            self._alone -= 1

    async def _share(self, name: str, key: str) -> AsyncGenerator[Entry | None, None]:
        directory = self._directories.get(name)
        if directory is None or directory.over:
            directory = self._directories[name] = _Directory(self._many(name))
        directory.readers += 1
        try:
            await directory.known.wait()
            async with aclosing(directory.watch(key)) as entries:
                async for entry in entries:
                    yield entry
            if directory.trouble is not None:
                raise directory.trouble
        finally:
            directory.readers -= 1
            if not directory.readers:
                if self._directories.get(name) is directory:
                    del self._directories[name]
                directory.reading.cancel()
                await asyncio.gather(directory.reading, return_exceptions=True)


class _Directory:
    """One watch of many keys, read by many."""

    def __init__(self, batches: AsyncGenerator[dict[str, Entry | None], None]) -> None:
        self.readers = 0
        self.known = asyncio.Event()
        self.trouble: StoreError | None = None
        self.reading = asyncio.create_task(self._read(batches))
        self._entries: dict[str, Entry] = {}
        self._changes = Changes()

    @property
    def over(self) -> bool:
        """Whether it has broken off."""
        return self.reading.done()

    def watch(self, key: str) -> AsyncGenerator[Entry | None, None]:
        """The entries of one key until the watch of all breaks off."""
        return self._changes.watch(key, lambda: self._entries.get(key))

    async def _read(self, batches: AsyncGenerator[dict[str, Entry | None], None]) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    for key, entry in batch.items():
                        if entry is None:
                            self._entries.pop(key, None)
                        else:
                            self._entries[key] = entry
                        self._changes.announce(key)
                    self.known.set()
        except StoreError as error:
            self.trouble = error
        finally:
            self.known.set()
            self._changes.close()
