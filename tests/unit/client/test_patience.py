"""A server that asks for patience is asked again after what it says, and not for ever."""

import httpx2
import msgspec
import pytest

from headway.client.api import Client
from headway.client.wire import TRIES
from headway.errors import Busy
from headway.model.views import HoldRequest, Problem

BUSY = msgspec.json.encode(Problem("busy", "too many requests", 429))


class Server:
    """Answers 429 so many times, and says when to come back."""

    def __init__(self, refusals: int, after: str | None = "2") -> None:
        self.refusals, self.asked, self.slept = refusals, 0, []
        self.bodies: list[bytes] = []
        self._headers = {} if after is None else {"Retry-After": after}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        self.bodies.append(request.read())
        if self.asked <= self.refusals:
            return httpx2.Response(429, headers=self._headers, content=BUSY)
        return httpx2.Response(204)

    def client(self) -> Client:
        transport = httpx2.MockTransport(self)
        return Client("http://server", transport=transport, sleep=self.slept.append)


def test_it_waits_as_long_as_it_is_told_and_a_little_more() -> None:
    server = Server(2)
    server.client().revoke_token("x")
    assert server.asked == 3
    assert all(2.0 <= pause <= 3.0 for pause in server.slept)
    assert server.slept[0] != server.slept[1]


def test_it_does_not_ask_for_ever() -> None:
    server = Server(99)
    with pytest.raises(Busy, match="too many requests"):
        server.client().revoke_token("x")
    assert (server.asked, len(server.slept)) == (TRIES, TRIES - 1)


@pytest.mark.parametrize("after", [None, "", "0", "61", "999999999999", "soon", "-1", "²"])
def test_it_does_not_wait_for_what_it_is_not_told_or_for_too_long(after: str | None) -> None:
    headers = {} if after is None else {"Retry-After": after.encode("utf-8")}
    slept: list[float] = []
    answer = httpx2.Response(429, headers=headers, content=BUSY)
    transport = httpx2.MockTransport(lambda _: answer)
    client = Client("http://server", transport=transport, sleep=slept.append)
    with pytest.raises(Busy):
        client.revoke_token("x")
    assert slept == []


def test_a_body_is_sent_again_whole() -> None:
    server = Server(1)
    server.client().send("POST", "/v1/holds", body=HoldRequest("app", "web", "x"))  # type: ignore[arg-type]
    assert server.bodies[0] == server.bodies[1] != b""


def test_what_can_be_sent_once_only_is_sent_once() -> None:
    server = Server(1)
    with pytest.raises(Busy):
        server.client().write_artifact("web/x", iter([b"a", b"b"]))
    assert (server.asked, server.slept) == (1, [])
