"""Looking again when there is news, through whatever happens to the connection."""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from headway.client import events, listening
from headway.client.listening import Listener, looks
from headway.errors import Denied, HeadwayError, Unreachable

FLEET = '{"app": "%s"}'


class Stream:
    """A control plane's event stream, which can break and be refused."""

    url = "http://fake"

    def __init__(self) -> None:
        self.sent: queue.Queue[Any] = queue.Queue()
        self.asked: list[str] = []

    def tell(self, app: str) -> None:
        self.sent.put(SimpleNamespace(event="fleet", data=FLEET % app, id=""))

    def journal(self, limit: int) -> list[Any]:
        return []

    @contextmanager
    def events(self, last: str) -> Iterator[Iterator[Any]]:
        self.asked.append(last)

        def frames() -> Iterator[Any]:
            while (frame := self.sent.get()) is not None:
                if isinstance(frame, HeadwayError):
                    raise frame
                yield frame

        yield frames()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    monkeypatch.setattr(listening, "REFUSED_SECONDS", 0.05)
    monkeypatch.setattr(events, "LONGEST_PAUSE_SECONDS", 0.05)
    made = Stream()
    yield made
    made.sent.put(None)


def listen(stream: Stream) -> Listener:
    listener = Listener(stream, "web")  # type: ignore[arg-type]
    listener.wait(5)  # It says so once it has begun.
    return listener


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def waited(listener: Listener, seconds: float) -> float:
    began = time.monotonic()
    listener.wait(seconds)
    return time.monotonic() - began


def test_news_of_the_app_ends_a_wait_and_that_of_others_does_not(stream: Stream) -> None:
    with closing(listen(stream)) as listener:
        stream.tell("web")
        assert waited(listener, 5) < 4
        stream.tell("other")
        assert waited(listener, 0.3) >= 0.3


def test_a_break_is_news_and_the_stream_is_resumed(stream: Stream) -> None:
    with closing(listen(stream)) as listener:
        until(lambda: len(stream.asked) == 1)
        stream.sent.put(Unreachable("it was cut"))
        assert waited(listener, 5) < 4
        until(lambda: len(stream.asked) == 2)
        stream.tell("web")
        assert waited(listener, 5) < 4


def test_a_stream_that_is_refused_is_asked_for_again(stream: Stream) -> None:
    with closing(listen(stream)):
        stream.sent.put(Denied("the token was revoked"))
        until(lambda: len(stream.asked) >= 2)


def test_it_looks_at_once_and_then_only_for_news(stream: Stream) -> None:
    looked: list[float] = []
    with closing(listen(stream)) as listener:
        seen = looks(listener, lambda: looked.append(time.monotonic()), quiet=5.0)
        next(seen)
        assert len(looked) == 1
        stream.tell("web")
        began = time.monotonic()
        next(seen)
        assert time.monotonic() - began < 4


def test_a_slow_look_leaves_most_of_the_time_to_others(stream: Stream) -> None:
    with closing(listen(stream)) as listener:
        seen = looks(listener, lambda: time.sleep(0.2), quiet=0.0)
        began = time.monotonic()
        next(seen)
        next(seen)
        assert time.monotonic() - began >= 0.2 + 3 * 0.2 + 0.2


def test_what_fails_is_told_and_tried_again(stream: Stream) -> None:
    answers: Iterator[Any] = iter([Unreachable("gone"), "a picture"])

    def look() -> str:
        answer = next(answers)
        if isinstance(answer, HeadwayError):
            raise answer
        return str(answer)

    with closing(listen(stream)) as listener:
        seen = looks(listener, look, quiet=0.0)
        assert isinstance(next(seen), Unreachable)
        assert next(seen) == "a picture"


def test_looking_ends_with_the_listener(stream: Stream) -> None:
    listener = listen(stream)
    seen = looks(listener, lambda: 1, quiet=5.0)
    next(seen)
    listener.close()
    assert list(seen) == []


def test_after_a_look_that_hung_the_next_is_not_long_in_coming(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_RESPITE_SECONDS", 0.1)
    with closing(listen(stream)) as listener:
        seen = looks(listener, lambda: time.sleep(1.0), quiet=0.0)
        next(seen)
        began = time.monotonic()
        next(seen)
        assert time.monotonic() - began < 2.5
