"""Frames of Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import base64
from collections.abc import AsyncIterator

import msgspec
from litestar.response import Stream

HEARTBEAT_SECONDS = 5.0
HEARTBEAT = b": still here\n\n"


def frame(event: str, data: object, number: int | None = None) -> bytes:
    """An event with JSON data; ``number`` is what the reader gives back when it reconnects."""
    identified = b"" if number is None else b"id: %d\n" % number
    return b"%bevent: %b\ndata: %b\n\n" % (identified, event.encode(), msgspec.json.encode(data))


def update_frame(key: str, value: bytes) -> bytes:
    """A new value of a key in the signal store, for nodes."""
    return frame("update", {"key": key, "value": base64.b64encode(value).decode()})


def stream(frames: AsyncIterator[bytes]) -> Stream:
    """The response that carries frames until either side ends it."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(frames, media_type="text/event-stream", headers=headers)
