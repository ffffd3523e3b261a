"""Frames of Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import base64

import msgspec

HEARTBEAT_SECONDS = 5.0
"""After so many seconds of nothing else a comment tells that the line is up."""

HEARTBEAT = b": still here\n\n"


def frame(event: str, data: object, number: int | None = None) -> bytes:
    """An event with JSON data; ``number`` is what the reader gives back when it reconnects."""
    identified = b"" if number is None else b"id: %d\n" % number
    return b"%bevent: %b\ndata: %b\n\n" % (identified, event.encode(), msgspec.json.encode(data))


def update_frame(key: str, value: bytes) -> bytes:
    """A new value of a key in the signal store, for nodes."""
    return frame("update", {"key": key, "value": base64.b64encode(value).decode()})
