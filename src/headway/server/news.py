"""Tells open pages that something has happened; what it was, they look up themselves."""

import asyncio
from collections.abc import AsyncIterator


class Reader:
    """One page's attention: ``apps`` whose fleet has moved since it last looked."""

    def __init__(self) -> None:
        self.apps: set[str] = set()
        self._woken = asyncio.Event()
        self._closed = False

    def wake(self, app: str | None = None) -> None:
        """There is something new in the journal, or in an app's fleet."""
        if app is not None:
            self.apps.add(app)
        self._woken.set()

    def close(self) -> None:
        """End ``looks``."""
        self._closed = True
        self._woken.set()

    async def looks(self, quiet: float, pace: float) -> AsyncIterator[frozenset[str] | None]:
        """The apps to look at again, at most once in ``pace`` seconds; None after ``quiet``.

        The first look comes at once; one that names no app is for the journal.
        """
        self._woken.set()
        while True:
            try:
                async with asyncio.timeout(quiet):
                    await self._woken.wait()
            except TimeoutError:
                yield None
                continue
            if self._closed:
                return
            self._woken.clear()
            apps, self.apps = frozenset(self.apps), set()
            yield apps
            await asyncio.sleep(pace)


class News:
    """All readers."""

    def __init__(self) -> None:
        self._readers: set[Reader] = set()

    def subscribe(self) -> Reader:
        """A new reader; give it back when done."""
        reader = Reader()
        self._readers.add(reader)
        return reader

    def unsubscribe(self, reader: Reader) -> None:
        """Give a reader back."""
        reader.close()
        self._readers.discard(reader)

    def journal_grew(self) -> None:
        """There are new journal entries."""
        for reader in self._readers:
            reader.wake()

    def fleet_moved(self, app: str) -> None:
        """A node of the app has said something new."""
        for reader in self._readers:
            reader.wake(app)

    def close(self) -> None:
        """End every reader."""
        for reader in self._readers:
            reader.close()
