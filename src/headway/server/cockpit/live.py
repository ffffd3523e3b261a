"""Keeps open pages up to date: rendered once per change, whoever many look at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from headway.errors import HeadwayError
from headway.server.news import News

PACE_SECONDS = 0.25
"""The shortest time between two renderings of a page."""

QUIET_SECONDS = 1.0
"""How long a page may stand without news: sentences that count down go stale meanwhile."""

HEARTBEAT_SECONDS = 5.0

Regions = dict[str, str]

log = structlog.get_logger()


class Broadcast:
    """One page for all its viewers; it is only rendered while somebody looks.

    Viewers are told of the newest state, not of every one: whoever is slow skips some.
    """

    def __init__(self, app: str, news: News, render: Callable[[], Awaitable[Regions]]) -> None:
        self._app = app
        self._news = news
        self._render = render
        self._regions: Regions = {}
        self._viewers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def follow(self) -> AsyncIterator[Regions]:
        """The regions that changed since the last look; none of them as a sign of life.

        Ends with the control plane.
        """
        changed = asyncio.Event()
        self._viewers.add(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        task, seen = self._task, Regions()
        try:
            while not task.done():
                news = {
                    name: html for name, html in self._regions.items() if seen.get(name) != html
                }
                seen |= news
                yield news
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue
                changed.clear()
        finally:
            self._viewers.discard(changed)
            if not self._viewers:
                task.cancel()

    async def _run(self) -> None:
        reader = self._news.subscribe()
        loop = asyncio.get_running_loop()
        try:
            async for apps in reader.looks(QUIET_SECONDS, PACE_SECONDS):
                if apps and self._app not in apps:
                    continue
                began = loop.time()
                await self._refresh()
                # However large the page, three quarters of the time are for everybody else.
                await asyncio.sleep(3 * (loop.time() - began))
        finally:
            self._news.unsubscribe(reader)
            self._wake()

    async def _refresh(self) -> None:
        try:
            regions = await self._render()
        except HeadwayError as error:
            log.warning("cannot show an app", app=self._app, why=error.sentence)
            return
        if regions != self._regions:
            self._regions = regions
            self._wake()

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.set()


def frame(name: str, html: str) -> bytes:
    """A region as an event; every kind of line end in it stays within the event."""
    lines = html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = "\n".join(f"data: {line}" for line in lines)
    return f"event: {name}\n{data}\n\n".encode()
