"""The web application: one worker process, started by ``server.py`` from a resolved tree.

It speaks with its master over one socket: it says ``ready``, starts to accept when told so, and
when told to drain accepts nothing more, says ``drained``, finishes what it has and exits.
"""

import argparse
import json
import os
import random
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer

TREE = Path(__file__).resolve().parent
KEEP_ALIVE = 5.0
"""Seconds for which a client may keep an idle connection; it is told so."""
GRACE = 2.0
"""Seconds more for which the server waits, so that it never hangs up first."""
PAGES = {"/", "/checkout"}


class Metrics:
    """What Prometheus is told; health checks and scrapes do not count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds = 0.0

    def count(self, path: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        with self._lock:
            self._requests[path if path in PAGES else "other", status] += 1
            self._seconds += seconds

    def text(self) -> str:
        """The text exposition format."""
        with self._lock:
            lines = ["# TYPE http_requests_total counter"]
            for (path, status), number in sorted(self._requests.items()):
                lines.append(f'http_requests_total{{path="{path}",status="{status}"}} {number}')
            lines += [
                "# TYPE http_request_duration_seconds summary",
                f"http_request_duration_seconds_sum {self._seconds:.6f}",
                f"http_request_duration_seconds_count {self._requests.total()}",
            ]
        return "\n".join(lines) + "\n"


class Worker(BaseServer):
    """Accepts while it may, with one thread for each connection."""

    def __init__(self, listener: socket.socket, error_rate: float, seconds: float) -> None:
        self.listener = listener
        self.error_rate = error_rate
        self.seconds = seconds
        self.metrics = Metrics()
        self.draining = False
        self._connections: set[threading.Thread] = set()

    def accept_until(self, stop: socket.socket) -> None:
        """Serve new connections until ``stop`` has something to say."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(stop, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if stop in ready:
                    return
                try:
                    connection, address = self.listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    continue
                connection.setblocking(True)
                thread = threading.Thread(target=self._serve, args=(connection, address))
                thread.daemon = True
                self._connections.add(thread)
                thread.start()

    def finish(self) -> None:
        """Wait for the connections that are open; each closes after its next answer."""
        for thread in tuple(self._connections):
            thread.join()

    def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            with connection:
                Handler(connection, address, self)
        except OSError:
            pass  # The client has gone.
        finally:
            self._connections.discard(threading.current_thread())


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Worker
    protocol_version = "HTTP/1.1"
    timeout = KEEP_ALIVE + GRACE
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer one request."""
        began = time.monotonic()
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(200, str(TREE), "text/plain")
        elif path == "/metrics":
            self._answer(200, self.server.metrics.text(), "text/plain; version=0.0.4")
        elif path in PAGES:
            if path == "/checkout":
                time.sleep(self.server.seconds)
            failing = path == "/checkout" and random.random() < self.server.error_rate
            status = 500 if failing else 200
            self.server.metrics.count(path, status, time.monotonic() - began)
            self._answer(status, json.dumps(page()), "application/json")
        else:
            self.server.metrics.count(path, 404, time.monotonic() - began)
            self._answer(404, "there is no such page\n", "text/plain")

    def _answer(self, status: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.server.draining:
            self.send_header("Connection", "close")
        else:
            self.send_header("Keep-Alive", f"timeout={KEEP_ALIVE:g}")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: the load balancer logs requests."""


def page() -> dict[str, str]:
    """Two values that must belong to the same build, each read from its own file."""
    return {
        "build_template": (TREE / "templates" / "release.txt").read_text().strip(),
        "build_static": (TREE / "static" / "release.txt").read_text().strip(),
        "tree": str(TREE),
    }


def obey(master: socket.socket, said: socket.socket, worker: Worker) -> None:
    """Carry out what the master says; without a master there is no reason to live."""
    while word := master.recv(1):
        if word == b"d":
            worker.draining = True
        said.send(word)
    os._exit(0)


def main() -> None:
    """Serve on the listening socket that the master has passed on."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=int, required=True, metavar="FD")
    parser.add_argument("--master", type=int, required=True, metavar="FD")
    arguments = parser.parse_args()
    settings = json.loads((TREE / "settings.json").read_text())
    page()
    master = socket.socket(fileno=arguments.master)
    listener = socket.socket(fileno=arguments.listen)
    rate, seconds = settings["checkout_error_rate"], settings.get("checkout_seconds", 0)
    worker = Worker(listener, float(rate), float(seconds))
    said, heard = socket.socketpair()
    threading.Thread(target=obey, args=(master, said, worker), daemon=True).start()
    master.send(b"r")
    if heard.recv(1) == b"a":
        worker.accept_until(heard)
    worker.listener.close()
    master.send(b"d")
    worker.finish()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
