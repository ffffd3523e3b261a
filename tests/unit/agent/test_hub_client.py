"""The link to a hub, against small servers that behave and misbehave."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from headway.errors import Denied, InvalidInput, Refused, Unreachable
from headway.model.report import Activity, Enrolment, Report
from headway.signals.hub_client import HubClient
from headway.signals.port import Update

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def serving(answer: Answer, persistent: bool = False) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if persistent else "HTTP/1.0"

        def do_GET(self) -> None:
            answer(self, b"")

        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/under/here/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"") -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def event(key: str, value: bytes) -> bytes:
    data = msgspec.json.encode({"key": key, "value": base64.b64encode(value).decode()})
    return b"event: update\ndata: " + data + b"\n\n"


def stream(*pieces: bytes, stay: threading.Event | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        for piece in pieces:
            handler.wfile.write(piece)
            handler.wfile.flush()
        if stay is not None:
            stay.wait(20)

    return answer


def values(link: HubClient, count: int) -> list[tuple[str, bytes]]:
    found = []
    for update in link.watch(("a", "b")):
        if update.key:
            found.append((update.key, update.value))
        if len(found) == count:
            break
    return found


def test_enrol_and_report() -> None:
    heard = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        heard.append((handler.path, handler.headers["Authorization"], body))
        reply(handler, 204)

    enrolment = Enrolment("n1", "a", {"web": "canary"})
    report = Report("n1", "web", "b", 1, 2, Activity.IDLE, None, None, "why", 0.0)
    with serving(answer) as url:
        link = HubClient(url, "secret")
        link.enrol(enrolment)
        link.report((report,))
    assert [item[:2] for item in heard] == [
        ("/under/here/v1/node/enrol", "Bearer secret"),
        ("/under/here/v1/node/reports", "Bearer secret"),
    ]
    assert msgspec.json.decode(heard[0][2], type=Enrolment) == enrolment
    assert msgspec.json.decode(heard[1][2], type=tuple[Report, ...]) == (report,)


def test_posts_share_a_connection_and_survive_its_end() -> None:
    clients = []

    def answer(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        clients.append(handler.client_address)
        reply(handler, 204)
        # Without a word to the client, as a proxy does that has waited long enough.
        handler.close_connection = len(clients) == 3

    with serving(answer, persistent=True) as url:
        link = HubClient(url, "t")
        for _ in range(5):
            link.enrol(Enrolment("n1", "a", {}))
        link.close()
    assert len(set(clients[:3])) == 1
    assert len(set(clients)) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Denied), (403, Denied), (409, Refused), (500, Unreachable), (503, Unreachable)],
)
def test_the_servers_sentence_is_passed_on(status: int, error: type[Exception]) -> None:
    body = b'{"code": "x", "sentence": "because of the moon", "status": 400}'
    with (
        serving(lambda handler, _: reply(handler, status, body)) as url,
        pytest.raises(error, match="because of the moon"),
    ):
        HubClient(url, "t").enrol(Enrolment("n1", "a", {}))


def test_updates_arrive_in_pieces_between_heartbeats() -> None:
    first, second = event("signals/a", b"1"), event("nodes/n", b"\x00\xff")
    pieces = (b": hello\n", first[:9], first[9:], b": beat\n", b": beat\n\n", second)
    stay = threading.Event()
    with serving(stream(*pieces, stay=stay)) as url:
        assert values(HubClient(url, "t"), 2) == [("signals/a", b"1"), ("nodes/n", b"\x00\xff")]
        stay.set()


def test_other_events_are_passed_over() -> None:
    other = event("signals/a", b"no").replace(b"update", b"journal")
    with serving(stream(other, event("signals/a", b"yes"))) as url:
        assert values(HubClient(url, "t"), 1) == [("signals/a", b"yes")]


@pytest.mark.parametrize(
    "broken",
    [
        (b"event: update\ndata: {}\n\n"),
        (b'event: update\ndata: {"key": "k", "value": "not base64!"}\n\n'),
        (b"data: " + b"x" * 600_000),
        (event("k", b"v")[:-5]),
        (b""),
    ],
)
def test_a_broken_stream_is_told_and_begun_again(broken: bytes) -> None:
    connections = iter([stream(broken), stream(event("signals/a", b"1"))])
    updates: list[Update] = []

    def one_after_another(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        next(connections)(handler, body)

    with serving(one_after_another) as url:
        for update in HubClient(url, "t").watch(("a",)):
            updates.append(update)
            if update.key:
                break
    assert [update.connected for update in updates] == [True, False, True, True]
    assert updates[1].why
    assert updates[-1] == Update("signals/a", b"1")


def test_silence_counts_as_a_broken_connection() -> None:
    stay = threading.Event()
    with serving(stream(event("signals/a", b"1"), stay=stay)) as url:
        watch = HubClient(url, "t", heartbeat=0.2).watch(("a",))
        assert [next(watch).connected for _ in range(3)] == [True, True, False]
        stay.set()


def test_close_wakes_a_silent_watch() -> None:
    stay = threading.Event()
    with serving(stream(event("signals/a", b"1"), stay=stay)) as url:
        link = HubClient(url, "t", heartbeat=600)
        watch = link.watch(("a",))
        next(watch), next(watch)
        rest: list[Update] = []
        reader = threading.Thread(target=lambda: rest.extend(watch))
        reader.start()
        link.close()
        reader.join(20)
        stay.set()
        assert not reader.is_alive()
        assert rest == []


def test_an_unreachable_server_is_told() -> None:
    with serving(lambda handler, _: reply(handler, 204)) as url:
        pass
    link = HubClient(url, "t")
    update = next(link.watch(("a",)))
    assert not update.connected
    assert "does not answer" in update.why
    with pytest.raises(Unreachable, match="does not answer"):
        link.enrol(Enrolment("n1", "a", {}))


def test_what_is_no_server_is_refused() -> None:
    with pytest.raises(InvalidInput, match="write one like"):
        HubClient("headway.example", "t")
    with pytest.raises(InvalidInput, match="write one like"):
        HubClient("http://headway.example:port", "t")


def test_a_link_goes_on_to_the_next_server_and_reports_there() -> None:
    heard: list[str] = []
    stay = threading.Event()

    def refuse(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        reply(handler, 503)

    def serve(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        heard.append(handler.path)
        if handler.command == "GET":
            stream(event("signals/a", b"1"), stay=stay)(handler, body)
        else:
            reply(handler, 204)

    with serving(refuse) as bad, serving(serve) as good:
        gone = "http://127.0.0.1:1"
        link = HubClient([gone, bad, good], "t", node="n1")
        found = next(update for update in link.watch(("a",)) if update.key)
        assert found == Update("signals/a", b"1")
        link.enrol(Enrolment("n1", "a", {}))
        stay.set()
        again = HubClient([bad, gone, good], "t", node="n1")
        again.enrol(Enrolment("n1", "a", {}))
        link.close()
        again.close()
    assert "/under/here/v1/node/watch?apps=a&node=n1" in heard
    assert heard.count("/under/here/v1/node/enrol") == 2


def test_all_servers_gone_is_told_with_the_last_ones_name() -> None:
    link = HubClient(["http://127.0.0.1:1", "http://127.0.0.2:1"], "t")
    with pytest.raises(Unreachable, match="does not answer"):
        link.enrol(Enrolment("n1", "a", {}))
