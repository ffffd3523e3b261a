"""The response that carries Server-Sent Events."""

from collections.abc import AsyncIterator

from litestar.response import Stream


def stream(frames: AsyncIterator[bytes]) -> Stream:
    """Carries frames until either side ends it."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(frames, media_type="text/event-stream", headers=headers)
