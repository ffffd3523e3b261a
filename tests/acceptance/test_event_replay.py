"""Who follows the journal misses nothing: not when the line is cut, not after a long absence."""

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.client.api import Client
from headway.client.events import Disconnected, follow
from headway.model.journal import JournalEntry
from tests.acceptance.server_process import Server

LONG = 30_000
WORDS = "x" * 1000
"""An entry's sentence: all entries together are 30 MB."""
MAY_GROW_KB = 15_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    begun = Server(tmp_path / "data")
    yield begun
    begun.stop()


class Cutter(threading.Thread):
    """A line to the server that is cut, again and again, in the middle of what it carries."""

    def __init__(self, to: int, after: int) -> None:
        super().__init__(daemon=True)
        self.cuts = 0
        self._to, self._after = to, after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            with near, socket.create_connection(("127.0.0.1", self._to)) as far:
                far.sendall(near.recv(65536))
                left = self._after
                while left > 0 and (data := far.recv(min(left, 4096))):
                    left -= len(data)
                    near.sendall(data)
                self.cuts += 1

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def hold(server: Server, number: int) -> None:
    made = server.call("POST", "/v1/tokens", {"name": f"t{number}", "role": "viewer"})
    assert made.status_code == 201


def next_id(lines: Iterator[str], seconds: float = 30.0) -> str:
    """The next entry's number; a stream without any has heartbeats for ever."""
    deadline = time.monotonic() + seconds
    for line in lines:
        if line.startswith("id: "):
            return line
        assert time.monotonic() < deadline, "no entry has come"
    raise AssertionError("the stream has ended")


def numbers(client: Client, after: int, last: int) -> tuple[list[int], int]:
    """The numbers of the entries up to ``last``, and how often the line was cut meanwhile."""
    found, cut = [], 0
    for happening in follow(client, after, patience=60.0, sleep=lambda _: time.sleep(0.01)):
        if isinstance(happening, JournalEntry):
            found.append(happening.seq)
            if happening.seq >= last:
                break
        elif isinstance(happening, Disconnected):
            cut += 1
    return found, cut


def test_a_cut_line_repeats_and_misses_nothing(server: Server) -> None:
    for number in range(60):
        hold(server, number)
    last = server.call("GET", "/v1/journal?limit=1").json()[-1]["seq"]
    line = Cutter(int(server.url.rpartition(":")[2]), after=3000)
    line.start()
    try:
        with Client(f"http://127.0.0.1:{line.port}", server.token) as client:
            found, cut = numbers(client, 0, last)
    finally:
        line.close()
    assert found == list(range(1, last + 1))
    assert cut >= 2
    assert line.cuts >= cut


def test_what_happens_while_the_line_is_down_comes_when_it_is_up(server: Server) -> None:
    hold(server, 0)
    headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": "0"}
    with server.client.stream("GET", "/v1/events", headers=headers) as events:
        seen = next_id(events.iter_lines())
    for number in range(1, 6):
        hold(server, number)
    with Client(server.url, server.token) as client:
        found, _ = numbers(client, int(seen.removeprefix("id: ")), 6)
    assert found == [2, 3, 4, 5, 6]


def test_a_number_that_is_yet_to_come_is_taken_for_the_last(server: Server) -> None:
    hold(server, 0)
    headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": "123456"}
    with server.client.stream("GET", "/v1/events", headers=headers) as events:
        lines = events.iter_lines()
        assert next(lines).startswith(":")
        hold(server, 1)
        assert next_id(lines) == "id: 2"


def lengthen(data: Path) -> int:
    """Write a long journal; its last number."""
    with sqlite3.connect(data / "headway.db") as database:
        rows = ((1.0, "", "", "ci", "note", WORDS, "{}", "") for _ in range(LONG))
        columns = "at, app, rollout, actor, kind, why, changes, release"
        database.executemany(f"INSERT INTO journal ({columns}) VALUES (?,?,?,?,?,?,?,?)", rows)
        return int(database.execute("SELECT max(seq) FROM journal").fetchone()[0])


def resident(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])  # type: ignore[index]


def growth(server: Server) -> int:
    """How much larger the server gets while somebody far behind does not read, in kB."""
    before = resident(server)
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect((host, int(port)))
        head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n"
        line.sendall(f"{head}Last-Event-ID: 0\r\n\r\n".encode())
        assert line.recv(100).startswith(b"HTTP/1.1 200")
        most = 0
        for _ in range(30):
            asked = time.monotonic()
            assert server.call("GET", "/v1/whoami").status_code == 200
            assert time.monotonic() - asked < 10
            most = max(most, resident(server) - before)
            time.sleep(0.1)
    return most


def test_who_is_far_behind_is_given_pages_and_costs_no_memory(server: Server) -> None:
    last = lengthen(server.data)
    assert growth(server) < MAY_GROW_KB
    with httpx2.Client(trust_env=False, timeout=30) as client:
        headers = {"Authorization": f"Bearer {server.token}", "Last-Event-ID": "0"}
        expected = 0
        with client.stream("GET", f"{server.url}/v1/events", headers=headers) as events:
            for line in events.iter_lines():
                if line.startswith("id: "):
                    expected += 1
                    assert line == f"id: {expected}"
                    if expected == last:
                        break
    assert expected == last


def test_a_server_that_read_all_of_it_at_once_would_be_found(tmp_path: Path) -> None:
    greedy = "import headway.server.api.events as events\nevents.PAGE = 10**9"
    server = Server(tmp_path / "data", sabotage=greedy)
    try:
        lengthen(server.data)
        assert growth(server) > MAY_GROW_KB
    finally:
        server.kill()
