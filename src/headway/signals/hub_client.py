"""A node's link to the hub of a control plane, over its HTTP API: watch by server-sent events.

Blocking, for the threads of an agent; nothing but the standard library's HTTP.
"""

import base64
import binascii
import contextlib
import http.client
import random
import socket
import threading
from collections.abc import Iterator, Sequence
from itertools import cycle
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from headway.errors import Busy, Denied, HeadwayError, InvalidInput, Refused, Unreachable
from headway.model.peers import PeerAnswer, PeerAsk
from headway.model.report import Enrolment, Report
from headway.signals.patience import pause
from headway.signals.port import Update

HEARTBEAT = 15.0
"""After so many seconds of silence a connection is taken for dead."""

_MAX_LINE = 256 * 1024
_BROKEN = (OSError, http.client.HTTPException)
_ERRORS: dict[int, type[HeadwayError]] = {
    400: InvalidInput,
    401: Denied,
    403: Denied,
    409: Refused,
    429: Busy,
}


class _Problem(Struct):
    sentence: str


class _Event(Struct):
    key: str
    value: str


class _Server:
    """One server's address, taken apart. Raises InvalidInput."""

    def __init__(self, url: str) -> None:
        wrong = InvalidInput(f"{url!r} is no server; write one like https://headway.example")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise wrong
        self.url = url
        self.prefix = parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, port

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is opened by the first request."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout)


class HubClient:
    """Implements ``headway.signals.port.Link``.

    ``servers`` are URLs of control planes or hubs, each as good as the others: one is chosen at
    random, and the next one when that fails. ``node`` is who this is, which a hub must be told.
    """

    def __init__(
        self, servers: str | Sequence[str], token: str, heartbeat: float = HEARTBEAT, node: str = ""
    ) -> None:
        urls = [servers] if isinstance(servers, str) else list(servers)
        random.shuffle(urls)
        self._servers = cycle([_Server(url) for url in urls])
        self._at = next(self._servers)
        self._count = len(urls)
        self._node = node
        self._headers = {"Authorization": f"Bearer {token}"}
        self._heartbeat = heartbeat
        self._closed = threading.Event()
        self._watching: socket.socket | None = None
        self._posting = threading.Lock()
        self._posting_to = self._at
        self._poster = self._at.connection(heartbeat)

    def enrol(self, enrolment: Enrolment) -> None:
        """Present the node. Raises Unreachable, Denied or Refused."""
        self._post("/v1/node/enrol", msgspec.json.encode(enrolment))

    def report(self, reports: tuple[Report, ...]) -> None:
        """Hand in reports; returns when they are durable. Raises Unreachable or Denied."""
        self._post("/v1/node/reports", msgspec.json.encode(reports))

    def peers(self, ask: PeerAsk) -> PeerAnswer:
        """Ask where to get a build. Raises Unreachable, Denied, NotFound or Refused."""
        answer = self._post("/v1/node/peers", msgspec.json.encode(ask))
        try:
            return msgspec.json.decode(answer, type=PeerAnswer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreachable(f"the answer about peers cannot be understood: {error}") from None

    def watch(self, apps: tuple[str, ...]) -> Iterator[Update]:
        """Updates for ever, across connections; ends when the link is closed."""
        path = f"/v1/node/watch?apps={','.join(quote(app, safe='') for app in apps)}"
        if self._node:
            path += f"&node={quote(self._node, safe='')}"
        failures = 0
        while not self._closed.is_set():
            why = "the server ended the connection"
            try:
                for update in self._listen(path):
                    failures = 0
                    yield update
            except HeadwayError as error:
                why = error.sentence
            if self._closed.is_set():
                return
            yield Update("", b"", connected=False, why=why)
            failures += 1
            self._at = next(self._servers)
            # The first round of all servers goes as quickly as the first failure of one.
            self._closed.wait(pause(1 + (failures - 1) // self._count))

    def close(self) -> None:
        """End the watch, also while it waits; a last report may still be handed in."""
        self._closed.set()
        if (watching := self._watching) is not None:
            with contextlib.suppress(OSError):
                watching.shutdown(socket.SHUT_RDWR)
        if self._posting.acquire(blocking=False):
            self._poster.close()
            self._posting.release()

    def _listen(self, path: str) -> Iterator[Update]:
        """The updates of one connection."""
        server = self._at
        connection = server.connection(self._heartbeat)
        try:
            with _reaching(server):
                headers = self._headers | {"Accept": "text/event-stream"}
                connection.request("GET", server.prefix + path, headers=headers)
                self._watching = connection.sock
                # A close that came before there was a socket to shut down is seen here.
                if self._closed.is_set():
                    return
                response = connection.getresponse()
                if response.status != 200:
                    raise _problem(server, response)
                yield Update("", b"")
                yield from _updates(response)
        finally:
            self._watching = None
            connection.close()

    def _post(self, path: str, body: bytes) -> bytes:
        """Post to the server that is watched; to each of the others when it does not answer."""
        with self._posting:
            for left in reversed(range(self._count)):
                try:
                    return self._post_once(path, body)
                except Unreachable:
                    if not left or self._closed.is_set():
                        raise
                    if self._posting_to is self._at:
                        self._at = next(self._servers)
        raise Unreachable("there is no server")

    def _post_once(self, path: str, body: bytes) -> bytes:
        """Post on a connection that is kept from one time to the next."""
        if self._posting_to is not self._at:
            self._poster.close()
            self._posting_to = self._at
            self._poster = self._at.connection(self._heartbeat)
        with _reaching(self._posting_to):
            kept = self._poster.sock is not None
            try:
                response = self._exchange(path, body)
            except _BROKEN:
                if not kept:
                    raise
                # The server may have closed it meanwhile. To hear a thing twice does no harm.
                response = self._exchange(path, body)
            if response.status >= 300:
                raise _problem(self._posting_to, response)
            return response.read(_MAX_LINE)

    def _exchange(self, path: str, body: bytes) -> http.client.HTTPResponse:
        try:
            headers = self._headers | {"Content-Type": "application/json"}
            self._poster.request("POST", self._posting_to.prefix + path, body, headers)
            return self._poster.getresponse()
        except _BROKEN:
            self._poster.close()
            raise


@contextlib.contextmanager
def _reaching(server: _Server) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"{server.url} does not answer: {reason}") from None


def _problem(server: _Server, response: http.client.HTTPResponse) -> HeadwayError:
    body = response.read(_MAX_LINE)
    try:
        sentence = msgspec.json.decode(body, type=_Problem).sentence
    except (msgspec.MsgspecError, UnicodeDecodeError):
        sentence = f"{server.url} answers {response.status} {response.reason}"
    return _ERRORS.get(response.status, Unreachable)(sentence)


def _updates(stream: http.client.HTTPResponse) -> Iterator[Update]:
    """The ``update`` events of a stream (https://html.spec.whatwg.org/#event-stream-interpretation)."""
    event, data = "message", []
    while line := stream.readline(_MAX_LINE):
        if not line.endswith(b"\n"):
            raise Unreachable("the stream of updates broke off, or has an endless line")
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if line.strip(b"\r\n"):
            if field == b"event":
                event = value.decode("utf-8", "replace")
            elif field == b"data":
                data.append(value)
            continue
        if event == "update" and data:
            yield _update(b"\n".join(data))
        event, data = "message", []


def _update(data: bytes) -> Update:
    try:
        heard = msgspec.json.decode(data, type=_Event)
        return Update(heard.key, base64.b64decode(heard.value, validate=True))
    except (msgspec.MsgspecError, binascii.Error, ValueError) as error:
        raise Unreachable(f"the stream of updates cannot be understood: {error}") from None
