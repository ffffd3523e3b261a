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


class Clock:
    """Time that passes only while ``verify`` waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("headway.agent.probe.time", self)

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_a_break_starts_the_minimum_healthy_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    statuses = itertools.chain([200] * 5, [500], itertools.repeat(200))
    with answering(statuses) as url:
        verify(Verify(url, minimum_healthy=5, timeout=60, interval=1), {}, clock.wait)
    assert clock.now == 6 + 5


def test_no_break_is_needed_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    with answering(itertools.repeat(200)) as url:
        verify(Verify(url, minimum_healthy=5, timeout=60, interval=1), {}, clock.wait)
    assert clock.now == 5


def test_a_build_that_dies_before_its_time_is_not_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    how = {"minimum_healthy": 5, "timeout": 20, "interval": 1}
    with (
        answering(itertools.chain([200] * 5, itertools.repeat(503))) as url,
        pytest.raises(HookFailed, match=r"not healthy within 20 s: .* answers 503, expected 200"),
    ):
        verify(Verify(url, **how), {}, clock.wait)  # type: ignore[arg-type]
    assert clock.now <= 20


def test_waiting_for_an_answer_is_no_time_in_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """What restarts again and again may answer once each time, after a wait."""
    clock = Clock(monkeypatch)

    def slow_then_gone() -> Iterator[int]:
        while True:
            clock.wait(6)
            yield 200
            yield 503

    how = {"minimum_healthy": 5, "timeout": 30, "interval": 1}
    with answering(slow_then_gone()) as url, pytest.raises(HookFailed, match="not healthy"):
        verify(Verify(url, **how), {}, clock.wait)  # type: ignore[arg-type]


def test_one_that_recovers_too_late_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    how = {"minimum_healthy": 5, "timeout": 8, "interval": 1}
    with (
        answering(itertools.chain([500] * 5, itertools.repeat(200))) as url,
        pytest.raises(HookFailed, match="not for 5 s without a break"),
    ):
        verify(Verify(url, **how), {}, clock.wait)  # type: ignore[arg-type]
