"""What a node serves to others of its fleet: contents and listings, by digest, and nothing else.

    POST /v1/APP/blobs        digests, one on a line; for each its length in 8 bytes, and itself
    POST /v1/APP/listings     the same for listings

Whoever asks shows a pass that the control plane has signed for it, for the app, and for this very
address. Nothing is listed, nothing is written; how many are served at a time, and how fast, is
bounded.
"""

import base64
import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from typing import IO, Any

import msgspec

from headway.agent.log import log
from headway.agent.peers import BATCH, LENGTH, MISSING, TIMEOUT_SECONDS
from headway.errors import Denied, HeadwayError, InvalidInput, StorageFailed, Untrusted
from headway.model.peers import PASS_HEADER, PASS_TYPE, PeerPass
from headway.signing import Trust

PIECE_BYTES = 256 * 1024
HEAD_SECONDS = 10.0
"""In so much time a request has to be there."""

LEAST_RATE = 64 * 1024
"""Whoever reads fewer bytes than this in a second, over a whole answer, is cut off."""

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_PATH = re.compile(r"/v1/([a-z0-9][a-z0-9._-]{0,63})/(blobs|listings)")
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Serving(TCPServer):
    """Serves what the apps below ``root`` hold, from ``start`` on, until ``stop``.

    ``rate`` in bytes a second counts for all together. Raises StorageFailed where ``listen``
    cannot be listened at.
    """

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        listen: str,
        root: Path,
        apps: Iterable[str],
        trust: Trust,
        *,
        connections: int,
        rate: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        host, _, port = listen.rpartition(":")
        host = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, int(port)), _Answering)
        except OSError as error:
            raise StorageFailed(f"peers cannot be served at {listen}: {error.strerror}") from None
        bound = self.server_address[1]
        self.address = f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}"
        self.throttle = Throttle(rate)
        self._root = root
        self._apps = frozenset(apps)
        self._trust = trust
        self._clock = clock
        self._places = threading.BoundedSemaphore(connections)
        self._heads: dict[Any, float] = {}
        self.admit = lru_cache(256)(self._admit)

    def start(self) -> None:
        """Serve, on threads of its own."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        log.info("serving peers", extra={"address": self.address})

    def stop(self) -> None:
        """Take nobody in any more."""
        self.shutdown()
        self.server_close()

    def check(self, ticket: str, app: str) -> None:
        """Raise Denied or Untrusted unless this pass lets its bearer read of the app, here."""
        claim = self.admit(ticket)
        if claim.app != app or claim.at != self.address:
            raise Denied("the pass is for another app or node")
        if claim.until < self._clock():
            raise Denied("the pass has lapsed")

    def find(self, app: str, what: str, digest: str) -> IO[bytes] | None:
        """An object, if it is here, open for reading."""
        if app not in self._apps:
            return None
        place = self._root / app
        for name in _names(what, digest):
            with contextlib.suppress(OSError):
                handle = os.open(place / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                return os.fdopen(handle, "rb", buffering=0)
        return None

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection in, if there is a place."""
        if not self._places.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.settimeout(0.1)
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        self.head_begins(request)
        threading.Thread(target=self._serve, args=(request, client_address), daemon=True).start()

    def head_begins(self, request: Any) -> None:
        """From now on a request has to come within its time."""
        self._heads[request] = time.monotonic() + HEAD_SECONDS

    def head_is_there(self, request: Any) -> None:
        """It has come."""
        self._heads.pop(request, None)

    def service_actions(self) -> None:
        """Cut off who sends a request too slowly; called twice a second."""
        for request, until in tuple(self._heads.items()):
            if time.monotonic() > until:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One who hung up, or a defect: not this node's trouble."""
        log.debug("a peer went away", exc_info=True)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.head_is_there(request)
            self.shutdown_request(request)
            self._places.release()

    def _admit(self, ticket: str) -> PeerPass:
        try:
            sealed = base64.b64decode(ticket, altchars=b"-_", validate=True)
            return msgspec.json.decode(self._trust.open(sealed, PASS_TYPE), type=PeerPass)
        except (ValueError, msgspec.MsgspecError) as error:
            raise Untrusted(f"the pass is none: {error}") from None


class Throttle:
    """Lets so many bytes a second pass, of all who take part."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0
        self._lock = threading.Lock()

    def pass_(self, count: int) -> None:
        """Wait until ``count`` bytes may go."""
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + count / self._rate
        if begin > now:
            time.sleep(begin - now)


class _Answering(BaseHTTPRequestHandler):
    """One connection, with one request after another."""

    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_SECONDS
    server: Serving

    def do_POST(self) -> None:
        """Serve what is asked for, as far as it is here."""
        try:
            app, what, digests = self._asked()
        except HeadwayError as error:
            self._refuse(error)
            return
        self.server.head_is_there(self.connection)
        held = [self.server.find(app, what, digest.decode()) for digest in digests]
        try:
            sizes = [os.fstat(file.fileno()).st_size if file else 0 for file in held]
            total = LENGTH * len(held) + sum(sizes)
            self.send_response_only(200)
            self.send_header("Content-Length", str(total))
            self.end_headers()
            self._until = time.monotonic() + HEAD_SECONDS + total / LEAST_RATE
            for file, size in zip(held, sizes, strict=True):
                self._send(file, size)
        finally:
            for file in held:
                if file is not None:
                    file.close()
        self.server.head_begins(self.connection)

    def _asked(self) -> tuple[str, str, list[bytes]]:
        """Raises Denied, Untrusted or InvalidInput."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > 65 * BATCH:
            raise InvalidInput(f"ask for at most {BATCH} digests at once, and say how long that is")
        body = self.rfile.read(int(length))
        path = _PATH.fullmatch(self.path)
        self.server.check(self.headers.get(PASS_HEADER, ""), path[1] if path else "")
        digests = body.split(b"\n")
        if path is None or len(digests) > BATCH or not all(map(_DIGEST.fullmatch, digests)):
            raise InvalidInput("this serves contents and listings, by their digests")
        return path[1], path[2], digests

    def _send(self, file: IO[bytes] | None, size: int) -> None:
        self.wfile.write(MISSING if file is None else size.to_bytes(LENGTH, "big"))
        while file is not None and size > 0:
            piece = file.read(min(size, PIECE_BYTES))
            if not piece or time.monotonic() > self._until:
                # It was cut short, or nobody reads: what was promised cannot be kept.
                raise ConnectionAbortedError
            size -= len(piece)
            self.server.throttle.pass_(len(piece))
            self.wfile.write(piece)

    def _refuse(self, error: HeadwayError) -> None:
        body = error.sentence.encode()
        self.send_response_only(error.status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Whoever knocks writes nothing into the log."""


def _names(what: str, digest: str) -> tuple[str, ...]:
    if what == "listings":
        return (f"listings/{digest[:2]}/{digest}",)
    # What came last has its name only once the deploy is over.
    return tuple(
        f"store/{shelf}/{digest}{kind}" for shelf in (digest[:2], "incoming") for kind in ("", "x")
    )
