"""What an application on each node would tell of its requests: more and more, as time passes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RATE = 400.0
"""Requests per second and node."""

BAD_SHARE = 0.3
"""How many of them fail where the tree's page says so."""


class Traffic:
    """Counters of nodes, whose trees lie in ``home``; a page that holds BAD fails."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._at: dict[str, float] = {}
        self._good: dict[str, float] = {}
        self._bad: dict[str, float] = {}

    def told(self, node: str) -> str:
        """The node's metrics in Prometheus' text format."""
        with self._lock:
            now = time.monotonic()
            requests = RATE * (now - self._at.get(node, now))
            self._at[node] = now
            page = self._home / node / "root" / "web" / "current" / "page"
            share = BAD_SHARE if page.exists() and "BAD" in page.read_text() else 0.0
            self._good[node] = self._good.get(node, 0.0) + requests * (1 - share)
            self._bad[node] = self._bad.get(node, 0.0) + requests * share
            return (
                f'http_requests_total{{status="200"}} {self._good[node]:.0f}\n'
                f'http_requests_total{{status="500"}} {self._bad[node]:.0f}\n'
            )


@contextmanager
def traffic(home: Path) -> Iterator[str]:
    """The address beneath which each node's metrics stand, by its name."""
    counted = Traffic(home)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = counted.told(self.path.strip("/")).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
