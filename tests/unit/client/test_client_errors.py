"""What goes wrong between client and server becomes the right class and a sentence that helps."""

import socket
from collections.abc import Callable

import httpx2
import msgspec
import pytest

from headway.client.api import Client
from headway.client.problems import error_for
from headway.errors import (
    Busy,
    HeadwayError,
    InvalidInput,
    NotFound,
    StaleView,
    Unavailable,
    Unreachable,
    family,
)
from headway.model.views import ActionRequest, Problem
from headway.signals.gateway import Closed


def client(handler: Callable[[httpx2.Request], httpx2.Response]) -> Client:
    return Client("http://server:1", "t", transport=httpx2.MockTransport(handler))


def answering(status: int, content: bytes = b"", **headers: str) -> Client:
    return client(lambda _: httpx2.Response(status, content=content, headers=headers))


@pytest.mark.parametrize("kind", list(family()), ids=lambda kind: kind.code)
def test_each_code_comes_back_as_its_own_class(kind: type[HeadwayError]) -> None:
    problem = msgspec.json.encode(Problem(kind.code, "the sentence", kind.status))
    with pytest.raises(HeadwayError) as caught:
        answering(kind.status, problem).apps()
    assert type(caught.value) is kind
    assert caught.value.sentence == "the sentence"


def test_no_two_classes_share_a_code_whatever_adapters_derive() -> None:
    assert issubclass(Closed, Unavailable)
    codes = [kind.code for kind in family()]
    assert len(codes) == len(set(codes))


def test_a_newer_servers_code_falls_back_to_its_status() -> None:
    problem = msgspec.json.encode(Problem("from-the-future", "see you", 412))
    assert type(error_for(412, problem, "http://x")) is StaleView


@pytest.mark.parametrize(
    ("status", "kind"), [(502, Unreachable), (503, Unreachable), (404, NotFound), (429, Busy)]
)
def test_a_proxys_own_error_is_told_from_headways(status: int, kind: type[HeadwayError]) -> None:
    with pytest.raises(kind, match=rf"http://server:1 answered {status}") as caught:
        answering(status, b"<html>nginx</html>").apps()
    assert type(caught.value) is kind


def test_a_status_that_nobody_knows_is_explained_too() -> None:
    with pytest.raises(HeadwayError, match="answered 799"):
        answering(799).apps()


def test_an_answer_of_another_shape_names_the_version() -> None:
    with pytest.raises(HeadwayError, match="same version"):
        answering(200, b'{"apps": 1}').apps()


def test_a_token_is_not_carried_to_where_a_redirect_points() -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(302, headers={"Location": "http://evil/"})

    with pytest.raises(InvalidInput, match="http://evil/"):
        client(answer).apps()
    assert len(asked) == 1


def test_nobody_listening_names_the_address_and_what_to_check() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with Client(url) as nobody, pytest.raises(Unreachable) as caught:
            nobody.health()
    assert caught.value.sentence.startswith(f"{url} cannot be reached (Connection refused); is ")
    assert "HEADWAY_SERVER" in caught.value.sentence


def test_a_lost_answer_to_a_change_warns_that_it_may_have_been_done() -> None:
    def cut(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("timed out")

    with pytest.raises(Unreachable, match="may have been done: look before"):
        client(cut).act("r1", "advance", ActionRequest())
    with pytest.raises(Unreachable, match="try again"):
        client(cut).apps()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "server",
        "ftp://server",
        "http://",
        "http://[",
        "http://s:x",
        "http://me:secret@server",
        "http://s/?q",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_a_secret(url: str) -> None:
    with pytest.raises(InvalidInput, match="http://host:port") as caught:
        Client(url)
    assert "secret" not in caught.value.sentence
