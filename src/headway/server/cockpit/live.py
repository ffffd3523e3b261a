"""Keeps open pages up to date: rendered once per change, whoever many look at it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog
from msgspec import Struct

from headway.errors import HeadwayError
from headway.model.picture import NodeMap
from headway.server.cockpit.facts import Facts
from headway.server.cockpit.node_map import news
from headway.server.news import News
from headway.signals.frames import HEARTBEAT

PACE_SECONDS = 0.05
"""The shortest time between two renderings of a page."""

QUIET_SECONDS = 1.0
"""How long a page may stand without news: sentences that count down go stale meanwhile."""

HEARTBEAT_SECONDS = 5.0

log = structlog.get_logger()


class Picture(Struct, frozen=True):
    """A page at one moment: its parts as HTML, by name, and the map of its nodes."""

    regions: dict[str, str]
    map: NodeMap

    def since(self, before: "Picture | None") -> bytes:
        """The events that lead here from an earlier picture; empty where nothing has changed."""
        known = before.regions if before else {}
        frames = [
            frame(name, html) for name, html in self.regions.items() if known.get(name) != html
        ]
        if before is None or before.map != self.map:
            frames.append(b"event: map\ndata: %s\n\n" % news(before and before.map, self.map))
        return b"".join(frames)


class Broadcast:
    """One page for all its viewers; it is only rendered while somebody looks.

    Viewers are told of the newest state, not of every one: whoever is slow skips some.
    """

    def __init__(
        self,
        app: str,
        news: News,
        gather: Callable[[], Awaitable[Facts]],
        draw: Callable[[Facts], Picture],
    ) -> None:
        self._app = app
        self._news = news
        self._gather = gather
        self._draw = draw
        self._picture: Picture | None = None
        self._steps: dict[int, bytes] = {}
        self._viewers: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def follow(self) -> AsyncIterator[bytes]:
        """The events that bring a viewer up to date, or a sign of life where there are none.

        Ends with the control plane.
        """
        changed = asyncio.Event()
        self._viewers.add(changed)
        if self._task is None or self._task.done():
            self._picture = None
            self._task = asyncio.create_task(self._run())
        task, seen = self._task, None
        try:
            while not task.done():
                frames, seen = self._since(seen), self._picture
                yield frames or HEARTBEAT
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

    def _since(self, seen: Picture | None) -> bytes:
        """Made once for all that have seen the same picture."""
        if self._picture is None or self._picture is seen:
            return b""
        frames = self._steps.get(id(seen))
        if frames is None:
            frames = self._steps[id(seen)] = self._picture.since(seen)
        return frames

    async def _run(self) -> None:
        reader = self._news.subscribe()
        try:
            async for apps in reader.looks(QUIET_SECONDS, pace=0.0):
                if apps and self._app not in apps:
                    continue
                # However large the page, two thirds of the time are for everybody else.
                await asyncio.sleep(max(PACE_SECONDS, 2 * await self._refresh()))
        finally:
            self._news.unsubscribe(reader)
            self._wake()

    async def _refresh(self) -> float:
        """Draw the page as it is now; how many seconds the drawing took."""
        try:
            facts = await self._gather()
        except HeadwayError as error:
            log.warning("cannot show an app", app=self._app, why=error.sentence)
            return 0.0
        began = time.perf_counter()
        picture = self._draw(facts)
        if picture != self._picture:
            self._picture = picture
            self._steps = {}
            self._wake()
        return time.perf_counter() - began

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.set()


def frame(name: str, html: str) -> bytes:
    """A region as an event; every kind of line end in it stays within the event."""
    lines = html.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    data = "\n".join(f"data: {line}" for line in lines)
    return f"event: {name}\n{data}\n\n".encode()
