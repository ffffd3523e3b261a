"""The client asks for a long list page by page, and for no more of it than is wanted."""

import httpx2
import msgspec
import pytest

from headway.client.api import Client
from headway.model.journal import JournalEntry
from headway.model.rollout import NodeState
from headway.model.views import TokenView

TOKENS = [TokenView(f"t{number:04}", "viewer", 1.0) for number in range(2500)]


class Pages:
    """A server with a long list."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        query = dict(request.url.params)
        self.asked.append(query)
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
        end = begin + limit
        onward = f'</v1/tokens?limit={limit}&cursor={end}>; rel="next"'
        headers = {"Link": onward} if end < len(TOKENS) else {}
        return httpx2.Response(200, headers=headers, content=msgspec.json.encode(TOKENS[begin:end]))

    def client(self) -> Client:
        return Client("http://server", transport=httpx2.MockTransport(self))


def test_a_list_is_whole_however_many_pages_it_has() -> None:
    server = Pages()
    assert server.client().tokens() == TOKENS
    assert server.asked == [
        {"limit": "1000"},
        {"limit": "1000", "cursor": "1000"},
        {"limit": "1000", "cursor": "2000"},
    ]


@pytest.mark.parametrize("most", [0, 1, 999, 1000, 1001, 2500, 9999])
def test_no_more_is_asked_for_than_is_wanted(most: int) -> None:
    server = Pages()
    found = list(server.client().each("/v1/tokens", TokenView, most=most))
    assert found == TOKENS[:most]
    assert sum(int(query["limit"]) for query in server.asked) == min(most, 3000) or most > 2500


def test_a_page_is_asked_for_when_it_is_come_to() -> None:
    server = Pages()
    each = server.client().each("/v1/tokens", TokenView)
    assert [next(each) for _ in range(1000)] == TOKENS[:1000]
    assert len(server.asked) == 1
    assert next(each) == TOKENS[1000]
    assert len(server.asked) == 2


def test_a_link_leads_to_no_other_server_and_path() -> None:
    visited: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        visited.append(f"{request.url.host}{request.url.path}")
        away = {"Link": '<http://evil/v1/other?cursor=1>; rel="next"'} if len(visited) < 2 else {}
        return httpx2.Response(200, headers=away, content=msgspec.json.encode(TOKENS[:1]))

    client = Client("http://server", "t0ken", transport=httpx2.MockTransport(answer))
    assert len(client.tokens()) == 2
    assert visited == ["server/v1/tokens"] * 2


def test_a_page_with_nothing_on_it_is_the_last() -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"Link": '<?cursor=1>; rel="next"'}, content=b"[]")

    assert Client("http://server", transport=httpx2.MockTransport(answer)).tokens() == []


def test_nodes_are_sorted_out_by_the_server() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(dict(request.url.params))
        return httpx2.Response(200, content=b"[]")

    client = Client("http://server", transport=httpx2.MockTransport(answer))
    client.nodes("web", "canary", NodeState.FAILED)
    assert asked == [{"app": "web", "tier": "canary", "state": "failed", "limit": "1000"}]


@pytest.mark.parametrize("limit", [10, 1000, 1001, 2000, 2345, 9000])
def test_the_newest_entries_are_as_many_as_are_wanted(limit: int) -> None:
    entries = [JournalEntry(seq, 1.0, "web", "", "a", "k", "w") for seq in range(1, 2501)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        query = dict(request.url.params)
        before, most = int(query.get("before", 1e9)), int(query["limit"])
        assert most <= 1000
        shown = [entry for entry in entries if entry.seq < before][-most:]
        return httpx2.Response(200, content=msgspec.json.encode(shown))

    client = Client("http://server", transport=httpx2.MockTransport(answer))
    assert client.journal(limit=limit) == entries[-limit:]


def test_all_of_the_journal_is_read_from_its_beginning() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(dict(request.url.params))
        return httpx2.Response(200, content=b"[]")

    client = Client("http://server", transport=httpx2.MockTransport(answer))
    assert client.journal("web", limit=None) == []
    assert asked == [{"app": "web", "after": "0", "limit": "1000"}]
