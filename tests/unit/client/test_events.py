"""The event stream: decoded, and resumed after the last thing that was heard."""

from collections.abc import Iterator

import httpx2
import msgspec
import pytest

from headway.client.api import Client
from headway.client.events import Disconnected, FleetChanged, follow
from headway.errors import Denied, HeadwayError, Unreachable
from headway.model.journal import JournalEntry
from headway.model.views import Problem


def entry(seq: int) -> JournalEntry:
    return JournalEntry(seq, 1.0, "web", "r1", "alice", "advance", "because")


def journal(seq: int) -> bytes:
    return b"id: %d\nevent: journal\ndata: %b\n\n" % (seq, msgspec.json.encode(entry(seq)))


class Script:
    """A server that plays one part of its script per connection; an error is a failed one."""

    def __init__(self, *parts: bytes | Exception | httpx2.Response) -> None:
        self.parts = list(parts)
        self.resumed: list[str | None] = []
        self.client = Client("http://server", transport=httpx2.MockTransport(self.answer))

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.resumed.append(request.headers.get("last-event-id"))
        part = self.parts.pop(0) if self.parts else httpx2.ConnectError("gone")
        if isinstance(part, Exception):
            raise part
        if isinstance(part, httpx2.Response):
            return part
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=part)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 1.0)


def heard(script: Script, after: int = 6) -> Iterator[object]:
    clock = Clock()
    return follow(script.client, after, patience=60, sleep=clock.sleep, clock=lambda: clock.now)


def test_entries_and_changes_come_in_order_and_strangers_are_passed_over() -> None:
    script = Script(
        b": heartbeat\n\n"
        + journal(7)
        + b'event: fleet\ndata: {"app": "web"}\n\nevent: weather\ndata: rain\n\n'
    )
    events = heard(script)
    assert [next(events), next(events)] == [entry(7), FleetChanged("web")]
    assert isinstance(next(events), Disconnected)


def test_after_a_break_it_goes_on_after_the_last_entry_heard() -> None:
    script = Script(journal(7), httpx2.ReadTimeout("silent"), journal(8))
    got = [event for event, _ in zip(heard(script), range(4), strict=False)]
    assert [event for event in got if isinstance(event, JournalEntry)] == [entry(7), entry(8)]
    assert script.resumed == ["6", "7", "7"]


def test_a_server_that_was_never_there_is_reported_at_once() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        next(heard(Script()))


def test_a_server_that_stays_away_is_given_up() -> None:
    script = Script(journal(7))
    with pytest.raises(Unreachable):
        for _ in heard(script):
            pass
    assert len(script.resumed) > 5


def test_a_refusal_is_not_tried_again() -> None:
    denied = msgspec.json.encode(Problem("denied", "your role is node", 403))
    script = Script(journal(7), httpx2.Response(403, content=denied))
    with pytest.raises(Denied, match="your role is node"):
        list(heard(script))
    assert len(script.resumed) == 2


def test_something_that_is_no_stream_is_not_taken_for_one() -> None:
    script = Script(httpx2.Response(200, content=b"<html>"))
    with pytest.raises(HeadwayError, match="http://server/v1/events is not a stream of events"):
        list(heard(script))
    assert len(script.resumed) == 1


def test_an_event_that_cannot_be_read_is_named() -> None:
    with pytest.raises(HeadwayError, match="journal event that cannot be read"):
        next(heard(Script(b"event: journal\ndata: {}\n\n")))


def test_a_nodes_updates_are_decoded() -> None:
    script = Script(b'event: update\ndata: {"key": "signals/web", "value": "AAH/"}\n\n')
    assert list(script.client.watch(["web"])) == [("signals/web", b"\x00\x01\xff")]
