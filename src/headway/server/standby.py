"""What a control plane answers that does not lead: one sentence that says who does.

Agents take it for a server that does not serve them and go to the next of theirs; a load balancer
sees that this one is not to be asked.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from headway.errors import Unreachable
from headway.model.views import Problem

PATIENCE_SECONDS = 10.0
MAX_HEAD_BYTES = 16 * 1024


@asynccontextmanager
async def standing_by(
    listener: socket.socket, secure: ssl.SSLContext | None, says: Callable[[], Awaitable[str]]
) -> AsyncIterator[None]:
    """Meanwhile answer everybody at ``listener`` with what ``says`` gives. It stays open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_refusal(await says()))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    serving = await asyncio.start_server(
        answer, sock=listener.dup(), ssl=secure, limit=MAX_HEAD_BYTES
    )
    try:
        yield
    finally:
        serving.close()


def _refusal(sentence: str) -> bytes:
    body = msgspec.json.encode(Problem(Unreachable.code, sentence, Unreachable.status))
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        b"Retry-After: 5\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )
