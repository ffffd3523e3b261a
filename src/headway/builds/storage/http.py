"""An artifact store over HTTP: the control plane's, or any static server for reading."""

import http.client
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import IO
from urllib.parse import quote, urlsplit

import msgspec

from headway.builds.storage.patience import ATTEMPTS, Later, Pace, Patience
from headway.builds.storage.port import CHUNK_BYTES, check_range, plain, room_for_a_copy
from headway.errors import (
    Busy,
    Denied,
    HeadwayError,
    InvalidInput,
    NotFound,
    Refused,
    StorageFailed,
    Unauthenticated,
    Unreachable,
)
from headway.model.views import Problem

CONNECTIONS = 8
"""How many requests one store has under way at its server at a time."""

_IN_MEMORY_BYTES = 1024 * 1024
_MAX_PROBLEM_BYTES = 16 * 1024
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class HttpStorage:
    """Objects at ``{url}/{path}``, over connections that are kept and shared between threads.

    A read that breaks off is carried on from where it stopped, and one that trickles is given up.
    No more than ``connections`` requests are under way at a time. Redirects are not followed, so
    that the token goes nowhere else.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        connections: int = CONNECTIONS,
    ) -> None:
        parts = urlsplit(url)
        try:
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            self._host = ""
        if parts.scheme not in {"http", "https"} or not self._host or parts.query or parts.fragment:
            raise InvalidInput("the store's URL must look like https://HOST:PORT/PATH")
        if parts.username is not None or parts.password is not None:
            raise InvalidInput("the store's URL holds a password; give a token instead")
        self._base = quote(parts.path.rstrip("/"), safe="/%")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {"User-Agent": "headway", "Accept-Encoding": "identity"}
        if token is not None:
            if not token.isascii() or not token.isprintable():
                raise InvalidInput("the token holds characters that no token has")
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._attempts = attempts
        self._sleep = sleep
        self._clock = clock
        self._under_way = threading.BoundedSemaphore(connections)
        self._idle: deque[http.client.HTTPConnection] = deque()

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The object's bytes from ``offset``, at most ``length`` of them."""
        plain(path)
        check_range(offset, length)
        return self._read(path, offset, length)

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None where there is none."""
        plain(path)
        patience = Patience(self._attempts, self._sleep)
        while True:
            with patience.tried(self._host, path), self._answer("HEAD", path) as answer:
                if answer.status in {404, 410}:
                    return None
                self._raise_for(answer, path)
                length = answer.getheader("Content-Length", "")
                if not length.isascii() or not length.isdigit():
                    raise Unreachable(f"{self._host} does not tell the size of {path}")
                return int(length)

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Create the object, whole. Raises Refused when there is other content."""
        plain(path)
        patience = Patience(self._attempts, self._sleep)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            for chunk in chunks:
                with room_for_a_copy():
                    body.write(chunk)
            headers = {
                "Content-Length": str(body.tell()),
                "Content-Type": "application/octet-stream",
            }
            while True:
                with (
                    patience.tried(self._host, path),
                    self._answer("PUT", path, headers, body) as answer,
                ):
                    self._raise_for(answer, path)
                    return

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _read(self, path: str, offset: int, length: int | None) -> Iterator[bytes]:
        patience = Patience(self._attempts, self._sleep)
        end = None if length is None else offset + length
        at = offset
        while end is None or at < end:
            with patience.tried(self._host, path):
                for piece in self._pieces(path, at, end):
                    at += len(piece)
                    patience.renew()
                    yield piece
                return

    def _pieces(self, path: str, at: int, end: int | None) -> Iterator[bytes]:
        """One request's worth of ``path``; raises a broken connection's error when cut short."""
        ranged = at > 0 or end is not None
        last = "" if end is None else end - 1
        headers = {"Range": f"bytes={at}-{last}"} if ranged else {}
        with self._answer("GET", path, headers) as answer:
            if ranged and answer.status == 416:
                return
            self._raise_for(answer, path)
            skip = at
            if answer.status == 206:
                if not answer.getheader("Content-Range", "").startswith(f"bytes {at}-"):
                    raise Unreachable(f"{self._host} answered with another range of {path}")
                skip = 0
            left = None if end is None else end - at
            pace = Pace(self._clock)
            while left is None or left > 0:
                with pace.waiting():
                    piece = answer.read1(CHUNK_BYTES)
                if not pace.keeps(len(piece)):
                    raise Unreachable(f"{self._host} sends {path} too slowly")
                if not piece:
                    if answer.length:
                        raise http.client.IncompleteRead(b"", answer.length)
                    return
                kept = piece[skip:] if left is None else piece[skip : skip + left]
                skip = max(0, skip - len(piece))
                if left is not None:
                    left -= len(kept)
                if kept:
                    yield kept

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: IO[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """A response; its connection is kept if it was read to the end, and closed otherwise."""
        with self._under_way, self._exchange(method, path, headers, body) as answer:
            yield answer

    @contextmanager
    def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        body: IO[bytes] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        try:
            connection, fresh = self._idle.pop(), False
        except IndexError:
            connection, fresh = self._connect(), True
        target = f"{self._base}/{quote(path)}"
        everything = {**self._headers, **(headers or {})}
        try:
            try:
                answer = _send(connection, method, target, everything, body)
            except (ConnectionError, http.client.BadStatusLine):
                connection.close()
                if fresh:
                    raise
                # A kept connection may have been closed by the server meanwhile.
                connection = self._connect()
                answer = _send(connection, method, target, everything, body)
            yield answer
            answer.read(_MAX_PROBLEM_BYTES)
            reusable = answer.isclosed() and not answer.will_close
        except BaseException:
            connection.close()
            raise
        if reusable:
            self._idle.append(connection)
        else:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(
                self._host, self._port, timeout=self._timeout, blocksize=CHUNK_BYTES
            )
        return http.client.HTTPSConnection(
            self._host,
            self._port,
            timeout=self._timeout,
            blocksize=CHUNK_BYTES,
            context=self._tls,
        )

    def _raise_for(self, answer: http.client.HTTPResponse, path: str) -> None:
        """Raise what an answer other than success means; passing ones are raised as Later."""
        status = answer.status
        if 200 <= status < 300:
            if answer.getheader("Content-Encoding", "identity") != "identity":
                raise Unreachable(f"{self._host} answers with {path} encoded; it must be as it is")
            return
        said = _said(answer) or f"{self._host} answered {status} {_phrase(status)} to {path}"
        if status in _TRANSIENT:
            raise Later(_wait_asked(answer), Busy(said) if status == 429 else Unreachable(said))
        raise _ERRORS.get(status, Unreachable)(said)


_ERRORS: Mapping[int, type[HeadwayError]] = {
    400: InvalidInput,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    405: Refused,
    409: Refused,
    410: NotFound,
    412: Refused,
    413: Refused,
    507: StorageFailed,
}


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: IO[bytes] | None,
) -> http.client.HTTPResponse:
    if body is not None:
        body.seek(0)
    try:
        connection.request(method, target, body=body, headers=dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses an upload may answer and hang up before it has read all.
        return connection.getresponse()
    return connection.getresponse()


def _said(answer: http.client.HTTPResponse) -> str:
    """The sentence of a Problem, or nothing when the server does not speak so."""
    body = answer.read(_MAX_PROBLEM_BYTES)
    try:
        return msgspec.json.decode(body, type=Problem).sentence[:2000]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _wait_asked(answer: http.client.HTTPResponse) -> float | None:
    asked = answer.getheader("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
