"""Nodes' connections: what they are told, what is bounded, and what is handed over."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from headway.errors import Denied, Unauthenticated
from headway.model.report import Enrolment
from headway.signals import hub_server
from headway.signals.frames import update_frame
from headway.signals.hub import Hub
from headway.signals.hub_server import MAX_WATCHES, NodeConnection, NodeServer
from headway.signals.memory import MemorySignals
from headway.signals.requests import parse

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


ENROLMENT = b'{"node":"n1","zone":"z","tiers":{}}'


class OpenDoor:
    """Lets in whoever has a token that begins with ``ok-``; the rest of it is the node."""

    def __init__(self) -> None:
        self.enrolled: list[Enrolment] = []
        self.reported: list[bytes] = []
        self.durable = asyncio.Event()
        self.durable.set()

    async def admit(self, secret: str, node: str) -> str:
        if not secret.startswith("ok-"):
            raise Unauthenticated("the token is not valid")
        return secret.removeprefix("ok-")

    async def enrol(self, secret: str, enrolment: Enrolment) -> None:
        if await self.admit(secret, "") != enrolment.node:
            raise Denied("another node's token")
        self.enrolled.append(enrolment)

    def report(self, secret: str, body: bytes) -> Awaitable[None]:
        async def commit() -> None:
            await self.admit(secret, "")
            await self.durable.wait()
            self.reported.append(body)

        return commit()


class Elsewhere(asyncio.Protocol):
    """What serves everything else."""

    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.transport.write(b"elsewhere")  # type: ignore[attr-defined]


class Place:
    def __init__(self, port: int, server: NodeServer, store: MemorySignals, door: OpenDoor) -> None:
        self.port, self.server, self.store, self.door = port, server, store, door
        self.elsewhere: list[Elsewhere] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def watch(self, node: str = "n1", apps: str = "web") -> asyncio.StreamReader:
        reader, writer = await self.dial()
        writer.write(request("GET", f"/v1/node/watch?apps={apps}", f"ok-{node}"))
        assert await reader.readuntil(b"\r\n\r\n") == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n"
        )
        assert await reader.readuntil(b"\n\n") == b": still here\n\n"
        return reader

    async def put(self, key: str, value: bytes) -> None:
        entry = await self.store.get(key)
        await self.store.put(key, value, entry.revision if entry else None)


@asynccontextmanager
async def serving(alone: bool = False) -> AsyncIterator[Place]:
    store, door = MemorySignals(), OpenDoor()
    hub = Hub(store, update_frame)
    server = NodeServer(hub, door)
    place = Place(0, server, store, door)

    def elsewhere() -> Elsewhere:
        place.elsewhere.append(Elsewhere())
        return place.elsewhere[-1]

    def connection() -> NodeConnection:
        return NodeConnection(server, None if alone else elsewhere)

    listening = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    place.port = listening.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(30):
            yield place
    finally:
        listening.close()
        await server.close()
        await hub.close()
        for other in (*place.elsewhere, *place.writers):
            other.transport.close()
        await asyncio.sleep(0)


def request(method: str, path: str, token: str = "", body: bytes = b"", more: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: here\r\n{more}"
    if token:
        head += f"authorization: bearer {token}\r\n"
    if body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def heard(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    event = await reader.readuntil(b"\n\n")
    data = msgspec.json.decode(event.removeprefix(b"event: update\ndata: "))
    return data["key"], base64.b64decode(data["value"])


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
    return int(head.split()[1]), body


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_watch_has_the_current_values_first_and_then_every_change() -> None:
    async with serving() as place:
        await place.put("signals/web", b"1")
        reader = await place.watch()
        assert await heard(reader) == ("signals/web", b"1")
        await place.put("nodes/n1", b"mine")
        assert await heard(reader) == ("nodes/n1", b"mine")
        await place.put("nodes/n2", b"another's")
        await place.put("signals/web", b"2")
        assert await heard(reader) == ("signals/web", b"2")


async def test_a_reader_that_sleeps_skips_values_and_gets_the_last() -> None:
    async with serving() as place:
        reader = await place.watch()
        for number in range(400):
            await place.put("signals/web", b"%06d" % number + b"." * 30_000)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        (connection,) = (c for some in place.server._slices for c in some)
        assert connection._paused
        assert connection._mailbox is not None
        assert list(connection._mailbox) == ["signals/web"]
        count, value = 0, b""
        while not value.startswith(b"000399"):
            count, (_, value) = count + 1, await heard(reader)
        assert count < 300


async def test_a_reader_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as place:
        await place.watch()
        (connection,) = (c for some in place.server._slices for c in some)
        connection.pause_writing()
        for _ in range(7):
            connection.beat()
        await until(lambda: place.server.held == 0)


async def test_heartbeats_and_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_server, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(hub_server, "IDLE_SECONDS", 0.2)
    async with serving() as place:
        place.server.start()
        reader = await place.watch()
        idle, _ = await place.dial()
        assert await idle.read() == b""
        for _ in range(6):
            assert await reader.readuntil(b"\n\n") == b": still here\n\n"


async def test_reports_are_answered_when_they_are_durable_and_in_order() -> None:
    async with serving() as place:
        place.door.durable.clear()
        reader, writer = await place.dial()
        for number in range(3):
            writer.write(request("POST", "/v1/node/reports", "ok-n1", b"[%d]" % number))
        writer.write(request("POST", "/v1/node/reports", "wrong", b"[]"))
        await asyncio.sleep(0.05)
        assert place.door.reported == []
        place.door.durable.set()
        assert [(await answer(reader))[0] for _ in range(4)] == [204, 204, 204, 401]
        assert place.door.reported == [b"[0]", b"[1]", b"[2]"]


async def test_a_request_may_come_in_pieces() -> None:
    async with serving() as place:
        reader, writer = await place.dial()
        whole = request("POST", "/v1/node/enrol", "ok-n1", ENROLMENT)
        for index in range(len(whole)):
            writer.write(whole[index : index + 1])
            if index % 16 == 0:
                await asyncio.sleep(0.001)
        assert (await answer(reader))[0] == 204
        assert place.door.enrolled == [Enrolment("n1", "z", {})]


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        (request("GET", "/v1/node/watch?apps=web"), 401, "no token"),
        (request("GET", "/v1/node/watch?apps=web", "wrong"), 401, "not valid"),
        (request("GET", "/v1/node/watch?apps=A*", "ok-n1"), 400, "names, separated"),
        (request("GET", f"/v1/node/watch?apps={','.join('abcdefgh' * 10)}", "ok-n1"), 400, "64"),
        (request("POST", "/v1/node/enrol", "ok-n1", b"{"), 400, "the body"),
        (request("POST", "/v1/node/enrol", "ok-n1", b"[" * 9000), 400, "the body"),
        (
            request("POST", "/v1/node/enrol", "ok-n2", ENROLMENT),
            403,
            "",
        ),
        (request("GET", "/v1/node/nothing", "ok-n1"), 404, "there is no GET"),
        (request("POST", "/v1/node/enrol", "ok-n1", more="Content-Length: 9999999\r\n"), 413, ""),
    ],
)
async def test_a_refusal_is_a_problem(sent: bytes, status: int, sentence: str) -> None:
    async with serving() as place:
        reader, writer = await place.dial()
        writer.write(sent)
        told, body = await answer(reader)
        assert told == status
        assert sentence in msgspec.json.decode(body)["sentence"]
        assert place.server.held == 0


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/v1/apps", "ok-n1"),
        request("POST", "/v1/node/reports", "ok-n1", more="Transfer-Encoding: chunked\r\n"),
        request("POST", "/v1/node/reports", "ok-n1", b"[]", more="Expect: 100-continue\r\n"),
        request("POST", "/v1/node/reports", "ok-n1", b"[]", more="Content-Length: 2\r\n"),
        request("GET", "/v1/node/watch", "ok-n1").replace(b"HTTP/1.1", b"HTTP/1.0"),
        request("GET", "/v1/node/watch", more=" folded: line\r\n"),
        b"PRI * HTTP/2.0\r\n",
        b"GET /v1/no",
    ],
)
async def test_what_agents_never_send_is_handed_over_whole(sent: bytes) -> None:
    async with serving() as place:
        reader, writer = await place.dial()
        writer.write(sent)
        if sent.endswith(b"/v1/no"):
            await asyncio.sleep(0.02)
            assert not place.elsewhere
            writer.write(b"thing HTTP/1.1\r\n")
            sent += b"thing HTTP/1.1\r\n"
        assert await reader.readexactly(9) == b"elsewhere"
        writer.write(b"more")
        await until(lambda: place.elsewhere[0].received == sent + b"more")
        assert not any(place.server._slices)


async def test_a_connection_goes_on_elsewhere_after_a_report() -> None:
    async with serving() as place:
        reader, writer = await place.dial()
        other = request("GET", "/v1/health")
        writer.write(request("POST", "/v1/node/reports", "ok-n1", b"[]") + other)
        assert (await answer(reader))[0] == 204
        assert await reader.readexactly(9) == b"elsewhere"
        assert place.elsewhere[0].received == other


async def test_alone_it_says_what_it_is() -> None:
    async with serving(alone=True) as place:
        reader, writer = await place.dial()
        writer.write(b"BREW /coffee HTCPCP/1.0\r\n\r\n")
        told, body = await answer(reader)
        assert (told, await reader.read()) == (400, b"")
        assert "this is a hub" in msgspec.json.decode(body)["sentence"]


async def test_a_node_holds_a_few_watches_and_is_cut_off_them_all() -> None:
    async with serving() as place:
        readers = [await place.watch() for _ in range(MAX_WATCHES + 2)]
        assert [await reader.read() for reader in readers[:2]] == [b"", b""]
        other = await place.watch("n2")
        assert place.server.held == MAX_WATCHES + 1
        place.server.cut("n1")
        for reader in readers[2:]:
            assert await reader.read() == b""
        assert place.server.held == 1
        await place.put("nodes/n2", b"here")
        assert await heard(other) == ("nodes/n2", b"here")


async def test_nothing_is_watched_for_those_who_have_gone() -> None:
    async with serving() as place:
        await place.watch()
        assert place.server.hub.watched == 2
        place.writers[0].close()
        await until(lambda: place.server.hub.watched == 1)  # the records, followed together
        assert place.server.held == 0


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_no_head_is_too_strange_to_be_parsed(head: bytes) -> None:
    parsed = parse(head)
    assert parsed is None or parsed.length >= 0


@given(
    st.sampled_from(["GET", "POST"]),
    st.from_regex(r"\A/v1/[a-z/]{0,20}\Z"),
    st.from_regex(r"\A[!-~]{1,60}\Z"),
    st.integers(0, 10**9),
)
def test_a_plain_head_is_read_as_it_was_meant(
    method: str, path: str, token: str, length: int
) -> None:
    head = f"{method} {path}?a=b HTTP/1.1\r\nX: y\r\nAUTHORIZATION:Bearer {token}\r\n"
    parsed = parse(f"{head}content-length: {length}".encode())
    assert parsed is not None
    assert (parsed.method, parsed.path, parsed.query) == (method, path, "a=b")
    assert (parsed.secret(), parsed.length) == (token, length)
