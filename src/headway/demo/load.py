"""The demo's users: a steady load over all nodes, in a process of its own.

Reads a JSON list of targets from standard input, and prints one line of totals each quarter of
a second until it is terminated. A request counts as failed when it gets no answer or a server
error, and as torn when the two values of an answer belong to different builds.

Connections are kept alive. As every proxy and browser does, a request that finds its kept
connection closed before any byte of an answer is sent once more over a new one (RFC 9110, 9.2.2).
"""

import http.client
import itertools
import json
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import msgspec

PRINT_EVERY = 0.25
RENEW_AFTER = 50
"""Requests after which a connection is replaced, so that new ones are made all the time."""


class Target(msgspec.Struct, frozen=True):
    """One node's address, the paths its users ask for in turn, and how often a second."""

    url: str
    paths: tuple[str, ...]
    rate: float


class Totals(msgspec.Struct):
    """What has been seen since the beginning."""

    requests: int = 0
    failed: int = 0
    torn: int = 0
    reasons: dict[str, int] = {}


class Users:
    """One thread per target."""

    def __init__(self, targets: list[Target]) -> None:
        self._targets = targets
        self._lock = threading.Lock()
        self._totals = Totals()
        self._reasons: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to ask, each target a little after the one before."""
        for index, target in enumerate(self._targets):
            offset = index / len(self._targets) / target.rate
            threading.Thread(target=self._ask, args=(target, offset), daemon=True).start()

    def totals(self) -> Totals:
        """A copy of the totals."""
        with self._lock:
            counts = self._totals
            return Totals(counts.requests, counts.failed, counts.torn, dict(self._reasons))

    def _ask(self, target: Target, offset: float) -> None:
        due = time.monotonic() + offset
        connection = _connection(target)
        for number, path in enumerate(itertools.cycle(target.paths)):
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + 1 / target.rate, time.monotonic() - 1)
            if number % RENEW_AFTER == RENEW_AFTER - 1:
                connection.close()
            self._count(*_request(connection, path))

    def _count(self, reason: str, torn: bool) -> None:
        with self._lock:
            self._totals.requests += 1
            self._totals.torn += torn
            if reason:
                self._totals.failed += 1
                self._reasons[reason] += 1


def _connection(target: Target) -> http.client.HTTPConnection:
    address = urlsplit(target.url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)


def _request(connection: http.client.HTTPConnection, path: str) -> tuple[str, bool]:
    """(why it failed or an empty string, whether the answer was torn)."""
    kept = connection.sock is not None
    try:
        status, body = _once(connection, path)
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
        connection.close()
        if not kept:
            return type(error).__name__, False
        try:
            status, body = _once(connection, path)
        except (OSError, http.client.HTTPException) as second:
            connection.close()
            return type(second).__name__, False
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return type(error).__name__, False
    if status != 200:
        return f"status {status}", False
    page = json.loads(body)
    return "", page["build_template"] != page["build_static"]


def _once(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def main() -> None:
    """Ask until terminated."""
    users = Users(msgspec.json.decode(sys.stdin.readline(), type=list[Target]))
    users.start()
    while True:
        time.sleep(PRINT_EVERY)
        sys.stdout.write(msgspec.json.encode(users.totals()).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
