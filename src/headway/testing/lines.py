"""The sockets of a fake fleet: watches, one for each node, and lines that requests are sent on."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import cast

Answered = Callable[[int, bytes], None]
"""Called with an answer's status and body; status 0 when the line broke."""


class Watch(asyncio.Protocol):
    """A held connection.

    ``begun`` is called when it stands, ``heard`` with the data of each update, ``ended`` with what
    the server did wrong, or nothing when the connection broke.
    """

    __slots__ = (
        "_begun",
        "_ended",
        "_head",
        "_heard",
        "_received",
        "_request",
        "alive",
        "spoke",
        "transport",
    )

    def __init__(
        self,
        request: bytes,
        begun: Callable[[], None],
        heard: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        self._request = request
        self._begun = begun
        self._heard = heard
        self._ended = ended
        self._received = b""
        self._head = True
        self.alive = False
        self.spoke = time.monotonic()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the watch."""
        self.transport = cast(asyncio.Transport, transport)
        self.spoke = time.monotonic()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take in whole events; what is not one is kept until the rest of it comes."""
        self.spoke = time.monotonic()
        if self._received:
            data = self._received + data
        if self._head:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._received = data
                return
            if data[9:12] != b"200":
                self._end(f"the watch was answered with {data[:end].splitlines()[0].decode()}")
                return
            self._head, data = False, data[end + 4 :]
            self.alive = True
            self._begun()
        *events, self._received = data.split(b"\n\n")
        for event in events:
            if event.startswith(b"event: update\ndata: "):
                self._heard(event[20:])

    def connection_lost(self, error: Exception | None) -> None:
        """The other side has gone."""
        ended, self._ended = self._ended, _nobody
        ended("")

    def close(self) -> None:
        """End the watch from this side; nobody is told."""
        self._ended = _nobody
        if self.transport is not None:
            self.transport.abort()

    def _end(self, why: str) -> None:
        ended, self._ended = self._ended, _nobody
        if self.transport is not None:
            self.transport.abort()
        ended(why)


class Lines:
    """A few kept connections that requests of all nodes are sent on, one at a time on each.

    ``connect`` opens one more; it is given the protocol.
    """

    def __init__(self, most: int, connect: Callable[["Line"], None]) -> None:
        self._most = most
        self._connect = connect
        self._all: set[Line] = set()
        self._idle: list[Line] = []
        self._waiting: deque[tuple[bytes, Answered]] = deque()

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a request as soon as a line is free."""
        if self._idle:
            self._idle.pop().send(request, answered)
            return
        self._waiting.append((request, answered))
        if len(self._all) < self._most:
            line = Line(self._free, self._gone)
            self._all.add(line)
            self._connect(line)

    def lost(self, line: "Line") -> None:
        """A line could not be opened; whoever waits is told so."""
        self._gone(line)

    def close(self) -> None:
        """Close every line."""
        self._waiting.clear()
        for line in tuple(self._all):
            line.close()

    def _free(self, line: "Line") -> None:
        if self._waiting:
            line.send(*self._waiting.popleft())
        else:
            self._idle.append(line)

    def _gone(self, line: "Line") -> None:
        self._all.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        if not self._all:
            waiting, self._waiting = self._waiting, deque()
            for _, answered in waiting:
                answered(0, b"")


class Line(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, free: Callable[["Line"], None], gone: Callable[["Line"], None]) -> None:
        self._free = free
        self._gone = gone
        self._received = b""
        self._answered: Answered | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready."""
        self._transport = cast(asyncio.Transport, transport)
        self._free(self)

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a request."""
        assert self._transport is not None  # noqa: S101 - it is given only to whoever is connected
        self._answered = answered
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take in an answer."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end].lower()
        _, _, length = head.partition(b"content-length:")
        whole = end + 4 + int(length.split(b"\r\n")[0] or 0)
        if len(self._received) < whole:
            return
        status, body = int(head[9:12]), self._received[end + 4 : whole]
        self._received = self._received[whole:]
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, body)
        self._free(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The line has broken."""
        answered, self._answered = self._answered, None
        self._gone(self)
        if answered is not None:
            answered(0, b"")

    def close(self) -> None:
        """Hang up."""
        self._answered = None
        if self._transport is not None:
            self._transport.abort()


def _nobody(_: str) -> None:
    """Whoever had asked to be told has gone."""
