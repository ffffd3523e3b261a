"""Health is judged over time, and by the right build."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headway.agent.config import Verify
from headway.agent.probe import get, verify
from headway.errors import HookFailed, Unreachable


@contextmanager
def answering(statuses: Iterator[int], body: bytes = b"tree /srv/2") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(statuses))
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/healthz?deep=1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_healthy_after_a_while() -> None:
    with answering(itertools.chain([503, 503], itertools.repeat(200))) as url:
        verify(Verify(url, minimum_healthy=0.05, timeout=20, interval=0.01), {})


def test_now_and_then_is_not_healthy() -> None:
    with (
        answering(itertools.cycle([200, 500])) as url,
        pytest.raises(HookFailed, match=r"was not healthy within 0\.5 s"),
    ):
        verify(Verify(url, minimum_healthy=0.1, timeout=0.5, interval=0.01), {})


def test_the_wrong_build_is_not_healthy() -> None:
    how = {"contains": "tree {tree}", "minimum_healthy": 0, "timeout": 0.1, "interval": 0.01}
    with answering(itertools.repeat(200)) as url:
        verify(Verify(url, **how), {"tree": "/srv/2"})  # type: ignore[arg-type]
        with pytest.raises(HookFailed, match="does not hold 'tree /srv/3'"):
            verify(Verify(url, **how), {"tree": "/srv/3"})  # type: ignore[arg-type]


def test_a_redirect_is_not_followed() -> None:
    with answering(itertools.repeat(302)) as url:
        assert get(url)[0] == 302


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://127.0.0.1:99999/", "http://x:y/"])
def test_what_does_not_answer_is_told(url: str) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        get(url)
