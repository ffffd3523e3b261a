"""What happens, as it happens, for people."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from litestar import Request, get
from litestar.datastructures import State
from litestar.params import HeaderParameter
from litestar.response import Stream

from headway.errors import InvalidInput
from headway.model.access import Identity
from headway.server.api.frames import stream
from headway.server.api.given import Plane
from headway.server.auth.callers import bearer
from headway.server.auth.rules import Rule
from headway.server.database import journal
from headway.server.plane import ControlPlane
from headway.signals.frames import HEARTBEAT, HEARTBEAT_SECONDS, frame

PACE_SECONDS = 0.25
PAGE = 200
"""So much of what a reader has missed is in memory at a time, however slowly it reads."""

LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="The number of the journal's entry that was seen last; what came since is sent",
    ),
]


@get(
    "/v1/events",
    opt={"role": Rule.VIEWER},
    media_type="text/event-stream",
    summary="Follow the journal and the fleet",
)
async def follow(
    plane: Plane, request: Request[Identity, None, State], last_event_id: LastEventId = None
) -> Stream:
    """Events ``journal`` with an entry, and ``fleet`` with the app whose nodes have moved.

    After a reconnection with ``Last-Event-ID`` the entries since come first. ``fleet`` comes at
    most four times in a second. It ends with the caller's token.
    """
    if last_event_id is not None and not (last_event_id.isascii() and last_event_id.isdigit()):
        raise InvalidInput("Last-Event-ID must be the number of a journal entry")
    seen = await plane.database.read(journal.last)
    if last_event_id is not None and len(last_event_id) <= 18:
        # A number beyond the last is of a journal that has been put back to an earlier state.
        seen = min(seen, int(last_event_id))
    secret = bearer(request)
    return stream(_events(plane, secret, seen))


async def _events(plane: ControlPlane, secret: str, seen: int) -> AsyncIterator[bytes]:
    reader = plane.news.subscribe()
    try:
        yield HEARTBEAT
        async for apps in reader.looks(HEARTBEAT_SECONDS, PACE_SECONDS):
            if not plane.callers.accepts(secret):
                return
            if apps is None:
                yield HEARTBEAT
                continue
            async for entry_frame, number in _entries(plane, seen):
                seen = number
                yield entry_frame
            for app in sorted(apps):
                yield frame("fleet", {"app": app})
    finally:
        plane.news.unsubscribe(reader)


async def _entries(plane: ControlPlane, seen: int) -> AsyncIterator[tuple[bytes, int]]:
    while page := await plane.database.read(partial(journal.entries, after=seen, limit=PAGE)):
        for entry in page:
            yield frame("journal", entry, entry.seq), entry.seq
        seen = page[-1].seq
