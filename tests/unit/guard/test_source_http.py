"""What odd servers answer, in the words of the port; secrets go where they belong alone."""

import http.server
import json
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from headway.errors import Denied, HeadwayError, InvalidInput, Unreachable
from headway.guard.sources import http as asking
from headway.guard.sources.graphite import Graphite
from headway.guard.sources.http import Asking, Credentials
from headway.guard.sources.opening import Secret, open_source
from headway.guard.sources.port import Span
from headway.guard.sources.prometheus import MOST_POINTS, Prometheus
from headway.model.source import GraphiteSource, PrometheusSource

pytestmark = pytest.mark.anyio
SPAN = Span(1000, 1060, 30)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Odd:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b"")
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        outer = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append((self.path, dict(self.headers), body))
                status, said = outer.answer
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", "http://127.0.0.1:9/")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def odd() -> Iterator[Odd]:
    made = Odd()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def result(*values: tuple[float, str], **more: object) -> bytes:
    series = {"metric": {"instance": "n1"}, "values": values}
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [series]}, **more}
    ).encode()


ANSWERS: list[tuple[int, bytes, type[HeadwayError], str]] = [
    (200, b"<html>login</html>", Unreachable, "not as"),
    (200, b"", Unreachable, "not as"),
    (500, b"boom", Unreachable, "answers 500: boom"),
    (503, b"", Unreachable, "answers 503"),
    (401, b"", Denied, "credentials"),
    (403, b"", Denied, "credentials"),
    (302, b"", InvalidInput, "points elsewhere"),
    (404, b"no such page", InvalidInput, "404"),
]


@pytest.mark.parametrize("kind", [Prometheus, Graphite])
@pytest.mark.parametrize(("status", "body", "error", "told"), ANSWERS)
async def test_an_odd_answer(
    odd: Odd,
    kind: type[Prometheus] | type[Graphite],
    status: int,
    body: bytes,
    error: type[HeadwayError],
    told: str,
) -> None:
    odd.answer = status, body
    source = kind(Asking(odd.url, 2.0, {}, Credentials()))
    with pytest.raises(error, match=told):
        await source.read("x", SPAN)
    await source.close()


async def test_prometheus_values_are_words_and_warnings_are_passed_on(odd: Odd) -> None:
    odd.answer = 200, result((1000, "1.5"), (1030, "NaN"), (1060, "+Inf"), warnings=["partial"])
    source = Prometheus(Asking(odd.url, 2.0, {"X-Scope-OrgID": "shop"}, Credentials(bearer="s3")))
    reading = await source.read("x", SPAN)
    (line,) = reading.lines
    assert (line.times.tolist(), line.values.tolist()) == ([1000.0], [1.5])
    assert reading.warnings == ("partial",)
    ((path, headers, body),) = odd.asked
    assert path == "/api/v1/query_range"
    assert headers["Authorization"] == "Bearer s3"
    assert headers["X-Scope-OrgID"] == "shop"
    assert b"step=30" in body
    await source.close()


async def test_prometheus_histograms_and_errors_are_refused(odd: Odd) -> None:
    source = Prometheus(Asking(odd.url, 2.0, {}, Credentials()))
    series = b'{"metric":{},"histograms":[[1,{}]]}'
    odd.answer = 200, b'{"status":"success","data":{"result":[' + series + b"]}}"
    with pytest.raises(InvalidInput, match="histograms"):
        await source.read("x", SPAN)
    odd.answer = 422, b'{"status":"error","errorType":"execution","error":"too many samples"}'
    with pytest.raises(InvalidInput, match="too many samples"):
        await source.read("x", SPAN)
    await source.close()


async def test_graphite_nulls_and_infinities_are_left_out_and_times_are_ends(odd: Odd) -> None:
    body = b'[{"target":"n1","tags":{"name":"x"},"datapoints":[[1,970],[null,1000],[1e9999,1030]]}]'
    odd.answer = 200, body
    source = Graphite(Asking(odd.url, 2.0, {}, Credentials(user="g", password="p")))
    (line,) = (await source.read("x", SPAN)).lines
    assert (line.times.tolist(), line.values.tolist()) == ([1000.0], [1.0])
    assert line.labels == {"name": "x", "target": "n1"}
    assert odd.asked[0][1]["Authorization"].startswith("Basic ")
    await source.close()


async def test_an_answer_without_end_is_refused(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_BYTES", 1024)
    odd.answer = 200, b"x" * 5000
    source = Prometheus(Asking(odd.url, 2.0, {}, Credentials()))
    with pytest.raises(InvalidInput, match="sum the query up by node"):
        await source.read("x", SPAN)
    await source.close()


def test_long_spans_are_asked_for_in_parts_without_gap_or_overlap() -> None:
    span = Span(0, 5 * 30_000, 5)
    parts = span.parts(MOST_POINTS)
    times = [
        part.begin + 5 * index
        for part in parts
        for index in range(int((part.end - part.begin) / 5) + 1)
    ]
    assert times == [5 * i for i in range(30_001)]
    assert all((part.end - part.begin) / part.step < MOST_POINTS for part in parts)
    assert Span(10, 5, 5).parts(MOST_POINTS) == ()


SECRETS = {"prom": Secret("https://prom.example/team", Credentials(bearer="s3"))}


@pytest.mark.parametrize(
    ("url", "name", "told"),
    [
        ("https://prom.example/team", "other", "the server's configuration has prom"),
        ("https://evil.example/team", "prom", "are for https://prom.example/team, not for"),
        ("https://prom.example/teams", "prom", "not for"),
        ("http://prom.example/team", "prom", "not for"),
        ("https://prom.example.evil/team", "prom", "not for"),
    ],
)
async def test_credentials_are_for_their_address_alone(url: str, name: str, told: str) -> None:
    config = GraphiteSource(name="g", url=url, counts={"x": "x"}, credentials=name)
    with pytest.raises(InvalidInput, match=told):
        open_source(config, SECRETS)


async def test_credentials_reach_their_address() -> None:
    for url in (
        "https://prom.example/team",
        "https://prom.example/team/",
        "https://prom.example/team/x",
    ):
        config = PrometheusSource(name="p", url=url, totals={"x": "x"}, credentials="prom")
        source = open_source(config, SECRETS)
        assert isinstance(source, Prometheus)
        assert np.char.equal(source._asking._client.headers["authorization"], "Bearer s3")
        await source.close()
