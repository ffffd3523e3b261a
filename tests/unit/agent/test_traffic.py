"""Drain files and URLs: idempotent both ways, and plain about what goes wrong."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headway.agent.strategies import FileTraffic, UrlTraffic
from headway.agent.traffic.door import door
from headway.errors import HookFailed


def test_a_drain_file_is_there_while_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "web.drain"
    gate = door(FileTraffic(path, wait=0), None)
    gate.release()
    for _ in range(2):
        assert gate.close() == ""
        assert path.exists()
    for _ in range(2):
        gate.open()
        assert not path.exists()


def test_a_drain_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    gate = door(FileTraffic(tmp_path / "none" / "web.drain", wait=0), None)
    with pytest.raises(HookFailed, match=r"web\.drain cannot be made: No such file"):
        gate.close()
    (tmp_path / "full" / "x").mkdir(parents=True)
    with pytest.raises(HookFailed, match="cannot be removed: Is a directory"):
        door(FileTraffic(tmp_path / "full", wait=0), None).open()


@contextmanager
def balancer(status: int, asked: list[str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(f"{self.command} {self.path} {self.headers['Content-Length']}")
            self.send_response(status)
            self.end_headers()

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_urls_are_asked(method: str) -> None:
    asked: list[str] = []
    with balancer(202, asked) as url:
        gate = door(UrlTraffic(f"{url}/out?n=1", f"{url}/in", method, wait=0), None)  # type: ignore[arg-type]
        gate.close()
        gate.open()
        gate.release()
    assert asked == [f"{method} /out?n=1 0", f"{method} /in 0", f"{method} /in 0"]


def test_only_success_counts() -> None:
    with balancer(302, []) as url:
        gate = door(UrlTraffic(f"{url}/out", f"{url}/in", wait=0), None)
        with pytest.raises(HookFailed, match=r"POST .*/out answers 302, expected a 2xx"):
            gate.close()
    with pytest.raises(HookFailed, match="does not answer"):
        gate.open()
