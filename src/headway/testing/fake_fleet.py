"""Thousands of agents in one process, that speak the real protocol with a real server.

Each node holds its own watch, checks signatures, decides with the agent's own ``core.goal``, and
reports. What is not real is the disk and the application: a fetch and a restart take as long as
was declared. A value that several nodes receive is verified once for all of them, and reports go
out on a few kept connections that the nodes share, as through a proxy, since one process may not
open two sockets for each of ten thousand nodes.
"""

import asyncio
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from headway.errors import InvalidInput, Untrusted
from headway.model.signal import RECORD_TYPE, SIGNAL_TYPE, NodeRecord, Signal, signal_key
from headway.signing import Trust
from headway.testing.fake_node import FakeNode, Place
from headway.testing.lines import Answered, Line, Lines

SILENCE_SECONDS = 15.0
"""After so long without a word from the server a watch is taken for dead, as agents do."""

_REMEMBERED = 64
_AT_ONCE = 256


class Tally(Struct):
    """How many nodes did something, and when the first and the last did (monotonic seconds)."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0

    def add(self) -> None:
        """One more."""
        self.last = time.monotonic()
        if not self.count:
            self.first = self.last
        self.count += 1


class FakeFleet:
    """Agents of one ``app`` at ``places``; use it inside an event loop, with ``async with``.

    ``servers`` are URLs of control planes or hubs (http only). ``fetch`` and ``restart`` are how
    long these take, in seconds, for a node and a build; ``fails`` says where a build does not
    come up after its restart. ``report_every`` is how often a node reports that has no news.
    ``lines`` is how many connections are shared for reports, ``sources`` the local addresses
    that connections are made from, in turn, where one has too few ports.

    ``heard`` and ``attested`` count, for each epoch, the nodes that have received it or a later
    one, and those whose report on such a one, at rest, the server has acknowledged; ``taken``
    counts all acknowledged reports. ``errors`` counts what went wrong by its sentence, but for
    connections that could not be made or broke (``breaks``). ``connected`` is how many watches
    are up.
    """

    def __init__(
        self,
        servers: Sequence[str],
        app: str,
        places: Iterable[Place],
        trust: Trust,
        *,
        fetch: Callable[[str, str], float] = lambda node, build: 0.0,
        restart: Callable[[str, str], float] = lambda node, build: 0.0,
        fails: Callable[[str, str], bool] = lambda node, build: False,
        report_every: float = 5.0,
        lines: int = 256,
        sources: Sequence[str] = (),
    ) -> None:
        self.app = app
        self.addresses = [_address(server) for server in servers]
        self.fetch, self.restart, self.fails = fetch, restart, fails
        self.nodes = {place.node: FakeNode(self, place) for place in places}
        self.heard: dict[int, Tally] = {}
        self.attested: dict[int, Tally] = {}
        self.errors: Counter[str] = Counter()
        self.breaks = self.taken = self.connected = 0
        self._trust = trust
        self._known: OrderedDict[bytes, Signal | NodeRecord | None] = OrderedDict()
        self._report_every = report_every
        self._sources = sources
        self._lines = Lines(lines, self._open_line)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> "FakeFleet":
        """Enrol every node, connect it, and let it live."""
        await self.enrol()
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let every node vanish."""
        await self.close()

    async def enrol(self) -> None:
        """Present every node. Raises InvalidInput with the server's answer if one is refused."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def present(node: FakeNode) -> None:
            async with gate:
                status, body = await self._ask("/v1/node/enrol", node.place.token, node.enrolment())
            if status != 204:
                told = body.decode("utf-8", "replace")
                raise InvalidInput(f"{node.place.node} cannot enrol: {status} {told}")

        await asyncio.gather(*map(present, self.nodes.values()))

    async def connect(self) -> None:
        """Open every node's watch, and begin to report."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def open_one(node: FakeNode) -> None:
            async with gate:
                await node.connect()

        await asyncio.gather(*map(open_one, self.nodes.values()))
        self.start(self._pulse())
        self.start(self._mind_silence())

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for node in self.nodes.values():
            node.close()
        self._lines.close()
        await asyncio.sleep(0)

    def running(self, build: str | None) -> int:
        """How many nodes run ``build``."""
        return sum(node.running == build for node in self.nodes.values())

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Return as soon as ``condition`` holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what it looks at is anybody's
                await asyncio.sleep(0.002)

    # What its nodes use.

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run something beside, until the fleet is closed."""
        if self._closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def dial(self, protocol: asyncio.Protocol, place: int) -> None:
        """Connect ``protocol`` with a server, chosen by ``place``. Raises OSError."""
        host, port = self.addresses[place % len(self.addresses)][:2]
        sources = self._sources
        source = (sources[place % len(sources)], 0) if sources else None
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: protocol, host, port, local_addr=source)

    def note_heard(self, before: int, epoch: int) -> None:
        """A node has received an epoch after ``before``; what it skipped, it has passed as well."""
        for passed in range(before + 1, epoch + 1):
            self.heard.setdefault(passed, Tally()).add()

    def note_attested(self, before: int, epoch: int) -> None:
        """The server has a node's report on an epoch; the one before was on ``before``."""
        for passed in range(before + 1, epoch + 1):
            self.attested.setdefault(passed, Tally()).add()

    def request(self, method: str, path: str, token: str, body: bytes = b"") -> bytes:
        """A request as agents send it."""
        host, _, prefix = self.addresses[0]
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" * bool(body)
        head = f"{method} {prefix}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}"
        return f"{head}\r\n{length}\r\n".encode() + body

    def post(self, path: str, token: str, body: bytes, answered: Answered) -> None:
        """Send a request on one of the shared lines."""
        self._lines.send(self.request("POST", path, token, body), answered)

    def understand(self, data: bytes) -> Signal | NodeRecord | None:
        """The verified value of an update's data; None for what is not genuine."""
        if data not in self._known:
            self._known[data] = self._open(data)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[data]

    def _open(self, data: bytes) -> Signal | NodeRecord | None:
        try:
            update = msgspec.json.decode(data, type=_Update)
            if update.key == signal_key(self.app):
                return msgspec.json.decode(self._trust.open(update.value, SIGNAL_TYPE), type=Signal)
            return msgspec.json.decode(self._trust.open(update.value, RECORD_TYPE), type=NodeRecord)
        except (Untrusted, msgspec.MsgspecError) as error:
            self.errors[f"an update is not genuine: {error}"] += 1
            return None

    async def _ask(self, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        done: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

        def answered(status: int, answer: bytes) -> None:
            if not done.done():
                done.set_result((status, answer))

        self.post(path, token, body, answered)
        return await done

    def _open_line(self, line: Line) -> None:
        async def connect() -> None:
            try:
                await self.dial(line, random.randrange(1 << 16))  # noqa: S311
            except OSError:
                self.breaks += 1
                self._lines.lost(line)

        self.start(connect())

    async def _pulse(self) -> None:
        """Every node reports every few seconds, a hundredth of them at a time."""
        nodes = list(self.nodes.values())
        while True:
            for share in range(100):
                await asyncio.sleep(self._report_every / 100)
                for node in nodes[share::100]:
                    node.tell()

    async def _mind_silence(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for node in self.nodes.values():
                if node.mind(SILENCE_SECONDS):
                    self.errors["a server fell silent"] += 1


class _Update(Struct):
    key: str
    value: bytes


def _address(server: str) -> tuple[str, int, str]:
    parts = urlsplit(server)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise InvalidInput(f"a fake fleet needs a server like http://127.0.0.1:8700, not {server}")
    return parts.hostname, parts.port, parts.path.rstrip("/")
