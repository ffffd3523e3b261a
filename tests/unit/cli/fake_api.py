"""A control plane of canned answers on a real port, which keeps what it was asked."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from headway.errors import HeadwayError, NotFound
from headway.model.views import Problem


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    token: str
    body: bytes
    last_event_id: str | None


@dataclass
class FakeApi:
    """Answers by (method, path): a value, an error to answer with, bytes, or a list's next item."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def on(self, method: str, path: str, *values: Any) -> None:
        """Answer with each of ``values`` in turn, and then go on with the last."""
        self.answers[method, path] = list(values)

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        values = self.answers.get((asked.method, asked.path))
        if values is None:
            values = [NotFound(f"there is no {asked.path}")]
        value = values.pop(0) if len(values) > 1 else values[0]
        if isinstance(value, HeadwayError):
            problem = Problem(value.code, value.sentence, value.status)
            return value.status, msgspec.json.encode(problem)
        if value is None:
            return 204, b""
        return 200, value if isinstance(value, bytes) else msgspec.json.encode(value)


class QuietServer(ThreadingHTTPServer):
    """Says nothing of a caller that hangs up: standard error is what the tests look at."""

    def handle_error(self, *asking: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*asking)


@contextmanager
def serving() -> Iterator[FakeApi]:
    """A FakeApi behind a free port of this machine."""
    api = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            last = self.headers.get("Last-Event-ID")
            asked = Asked(self.command, url.path, parse_qs(url.query), token, body, last)
            status, content = api.answer(asked)
            self.send_response(status)
            stream = content.startswith((b"id:", b"event:", b":"))
            kind = "text/event-stream" if stream else "application/json"
            self.send_header("Content-Type", kind)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = QuietServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
