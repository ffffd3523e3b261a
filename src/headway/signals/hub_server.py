"""The hub's end of nodes' connections, of which ten thousand are held at a time.

A protocol of asyncio's, without a framework: about a kilobyte for a connection that waits. It
speaks as much of HTTP/1.1 as agents do, on the three routes below ``/v1/node/``. Whatever it does
not know (another route, chunks, an upgrade) it hands over, with the connection, to the protocol
that serves everything else; where there is none it answers with the reason and closes.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Protocol, cast

import msgspec
import structlog

from headway.errors import HeadwayError, InvalidInput, NotFound, TooLarge
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment
from headway.model.signal import record_key, signal_key
from headway.signals.frames import HEARTBEAT, HEARTBEAT_SECONDS
from headway.signals.hub import Hub
from headway.signals.requests import NODE_ROUTES, Request, decode, is_foreign, parse, problem

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 1024 * 1024
MAX_WATCHES = 4
"""How many watches one node may hold; the oldest gives way."""
BACKLOG = 4096
"""How many connections may wait to be accepted: a whole fleet comes back at once."""
IDLE_SECONDS = 60.0
"""After so long without a request, or within one, a connection is closed."""
STUCK_SECONDS = 30.0
"""After so long without reading anything a watcher is cut off."""

_SLICES = 10
_SEND_BUFFER = 64 * 1024
_LOST_MILLISECONDS = 15_000
_WATCHING = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n" + HEARTBEAT
)
_DONE = b"HTTP/1.1 204 No Content\r\n\r\n"

log = structlog.get_logger()


class Door(Protocol):
    """What stands behind the connections: a control plane, or a hub before one."""

    async def admit(self, secret: str, node: str) -> str:
        """The name of the node whose token this is. ``node`` is who it says it is, or empty.

        Raises Denied, Unauthenticated or Unreachable.
        """

    async def enrol(self, secret: str, enrolment: Enrolment) -> None:
        """Present a node."""

    def report(self, secret: str, body: bytes) -> Awaitable[None]:
        """Take in reports, as JSON; done when they are durable."""

    def peers(self, secret: str, ask: PeerAsk) -> PeerAnswer:
        """Where a node is to get a build. Raises NotFound where that is not known."""


class NodeServer:
    """What all connections share. Make it, and use it, inside one event loop.

    ``came`` and ``left`` are called with a node's name at its first watch and after its last.
    """

    def __init__(
        self,
        hub: Hub,
        door: Door,
        tell_health: Callable[[], bytes] | None = None,
        came: Callable[[str], None] | None = None,
        left: Callable[[str], None] | None = None,
    ) -> None:
        self._came = came
        self._left = left
        self.hub = hub
        self.door = door
        self.tell_health = tell_health
        self.tasks: set[asyncio.Task[None]] = set()
        self._watches: dict[str, list[NodeConnection]] = {}
        self._slices: list[set[NodeConnection]] = [set() for _ in range(_SLICES)]
        self._turn = cycle(self._slices)
        self._beating: asyncio.Task[None] | None = None

    @property
    def held(self) -> int:
        """How many watches are held."""
        return sum(map(len, self._watches.values()))

    def start(self) -> None:
        """Begin to send heartbeats, and to close what is idle."""
        self._beating = asyncio.create_task(self._beat())

    async def close(self) -> None:
        """End every connection."""
        tasks = {*self.tasks, *([self._beating] if self._beating else [])}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connections in self._slices:
            for connection in tuple(connections):
                connection.close()

    def enter(self, connection: "NodeConnection") -> set["NodeConnection"]:
        """Count a connection in; it leaves the set that is returned when it ends."""
        place = next(self._turn)
        place.add(connection)
        return place

    def watch(self, connection: "NodeConnection", node: str) -> None:
        """Note a node's watch; its oldest is closed when there are too many."""
        mine = self._watches.setdefault(node, [])
        mine.append(connection)
        if len(mine) == 1 and self._came is not None:
            self._came(node)
        if len(mine) > MAX_WATCHES:
            mine[0].close()

    def unwatch(self, connection: "NodeConnection", node: str) -> None:
        """Note that a watch has ended."""
        mine = self._watches.get(node, [])
        if connection in mine:
            mine.remove(connection)
        if not mine and self._watches.pop(node, None) is not None and self._left is not None:
            self._left(node)

    def cut(self, node: str) -> None:
        """End a node's watches: its token is not valid any more."""
        for connection in tuple(self._watches.get(node, ())):
            connection.close()

    async def _beat(self) -> None:
        """A tenth of the connections at a time, so that there is never much to do at once."""
        for connections in cycle(self._slices):
            await asyncio.sleep(HEARTBEAT_SECONDS / _SLICES)
            for connection in tuple(connections):
                connection.beat()


class NodeConnection(asyncio.Protocol):
    """One connection. It is the ``Reader`` of its watch itself."""

    __slots__ = (
        "_answering",
        "_beats",
        "_keys",
        "_mailbox",
        "_node",
        "_otherwise",
        "_paused",
        "_place",
        "_received",
        "_server",
        "_transport",
    )

    def __init__(
        self, server: NodeServer, otherwise: Callable[[], asyncio.Protocol] | None = None
    ) -> None:
        self._server = server
        self._otherwise = otherwise
        self._received = b""
        self._answering = False
        self._paused = False
        self._beats = 0
        self._node = ""
        self._keys: tuple[str, ...] = ()
        self._mailbox: dict[str, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._place = self._server.enter(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._leave()

    def eof_received(self) -> bool:
        """Nobody who only listens ends the sending half first; take it for the end."""
        return False

    def data_received(self, data: bytes) -> None:
        """Serve what has come in; a watcher has nothing more to say."""
        if self._keys:
            return
        self._beats = 0
        self._received = self._received + data if self._received else data
        if not self._answering:
            self._next()
        elif len(self._received) > MAX_HEAD_BYTES + MAX_BODY_BYTES:
            self.close()

    def pause_writing(self) -> None:
        """The other side does not read."""
        self._paused = True
        self._beats = 0

    def resume_writing(self) -> None:
        """The other side has read: what came in meanwhile, the newest of each key."""
        self._paused = False
        self._beats = 0
        if self._mailbox is not None:
            waiting, self._mailbox = b"".join(self._mailbox.values()), None
            self._transport.write(waiting)

    def deliver(self, key: str, encoded: bytes) -> None:
        """Send a new value, or keep it, over an older one, until the other side reads."""
        if not self._paused:
            self._transport.write(encoded)
        elif self._mailbox is None:
            self._mailbox = {key: encoded}
        else:
            self._mailbox[key] = encoded

    def close(self) -> None:
        """End the connection, without waiting for one who does not read."""
        if self._paused:
            self._transport.abort()
        else:
            self._transport.close()

    def beat(self) -> None:
        """``HEARTBEAT_SECONDS`` have passed: a watcher is told so, and an idle one must go."""
        self._beats += 1
        passed = self._beats * HEARTBEAT_SECONDS
        if self._paused:
            if passed > STUCK_SECONDS:
                self._transport.abort()
        elif self._keys:
            self._transport.write(HEARTBEAT)
        elif passed > IDLE_SECONDS and not self._answering:
            self._transport.close()

    def _next(self) -> None:
        """Serve the next request, if it is there."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > MAX_HEAD_BYTES or is_foreign(self._received):
                self._hand_over()
            return
        request = parse(self._received[:end])
        if request is None or (
            self._otherwise is not None and not request.path.startswith(NODE_ROUTES)
        ):
            self._hand_over()
            return
        if request.length > MAX_BODY_BYTES:
            self._refuse(TooLarge("the body of the request is too large"), last=True)
            return
        whole = end + 4 + request.length
        if len(self._received) < whole:
            return
        body, self._received = self._received[end + 4 : whole], self._received[whole:]
        self._answering = True
        try:
            self._serve(request, body)
        except HeadwayError as error:
            self._refuse(error)

    def _serve(self, request: "Request", body: bytes) -> None:
        match request.method, request.path:
            case "POST", "/v1/node/reports":
                done = asyncio.ensure_future(self._server.door.report(request.secret(), body))
                done.add_done_callback(self._settled)
            case "POST", "/v1/node/enrol":
                self._begin(self._enrol(request.secret(), body))
            case "POST", "/v1/node/peers":
                self._tell(self._server.door.peers(request.secret(), decode(body, PeerAsk)))
            case "GET", "/v1/node/watch":
                self._begin(self._watch(request))
            case "GET", "/v1/health" if self._server.tell_health is not None:
                self._answer(self._server.tell_health())
            case _:
                raise NotFound(f"there is no {request.method} {request.path[:200]} here")

    def _begin(self, work: "Awaitable[None]") -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)  # noqa: S101 - for the type checker
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        task.add_done_callback(self._settled)

    async def _enrol(self, secret: str, body: bytes) -> None:
        await self._server.door.enrol(secret, decode(body, Enrolment))

    async def _watch(self, request: "Request") -> None:
        apps, claimed = request.watched()
        node = await self._server.door.admit(request.secret(), claimed)
        if self._transport.is_closing():
            return
        _tune(self._transport)
        self._node, self._received = node, b""
        self._keys = (record_key(node), *map(signal_key, apps))
        self._transport.write(_WATCHING)
        self._server.watch(self, node)
        self._server.hub.attach(self, self._keys)

    def _settled(self, done: "asyncio.Future[None]") -> None:
        """A request has been dealt with."""
        if done.cancelled():
            return
        error = done.exception()
        if self._transport.is_closing():
            return
        if error is None:
            if not self._keys:
                self._answer(_DONE)
        elif isinstance(error, HeadwayError):
            self._refuse(error)
        else:
            log.error("a defect", exc_info=error)
            self._refuse(HeadwayError("something went wrong here; the log says what"))

    def _tell(self, answer: PeerAnswer) -> None:
        told = msgspec.json.encode(answer)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(told)}"
        self._answer(head.encode() + b"\r\n\r\n" + told)

    def _refuse(self, error: HeadwayError, last: bool = False) -> None:
        self._answer(problem(error, last))
        if last:
            self._transport.close()

    def _answer(self, response: bytes) -> None:
        self._transport.write(response)
        self._answering = False
        if self._received:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        """Serve what was sent before its predecessor was answered."""
        if not self._answering and self._received and not self._transport.is_closing():
            self._next()

    def _hand_over(self) -> None:
        """Let the other protocol have the connection, and what has come in on it."""
        if self._otherwise is None:
            wrong = InvalidInput("this is a hub, for agents: it takes plain HTTP/1.1 of theirs")
            self._refuse(wrong, last=True)
            return
        received, self._received = self._received, b""
        self._leave()
        other = self._otherwise()
        self._transport.set_protocol(other)
        other.connection_made(self._transport)
        other.data_received(received)

    def _leave(self) -> None:
        self._place.discard(self)
        if self._keys:
            self._server.unwatch(self, self._node)
            self._server.hub.detach(self, self._keys)
            self._keys = ()


def _tune(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps for a watcher, and how long it believes in a lost one."""
    # Only beyond this is a reader paused: what is written at once is a few values of 2 kB.
    transport.set_write_buffer_limits(high=_SEND_BUFFER)
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _LOST_MILLISECONDS)
