"""The terminal monitor with a large fleet on the move: ``python -m benchmarks.monitor --json``.

``redraw_ms``: the whole screen drawn anew at 120×40 when every node has changed, median, in this
process. ``input_ms_p95``: from a key to its first byte on a real terminal of 120×40, where the
monitor runs as a process of its own, in front of a server of canned answers in another one, while
every node changes four times in a second; half of the keys walk through the list of all nodes, half
open the help. ``growth`` is by how much ``redraw_ms`` and ``input_growth`` by how much the median
latency is more for 10,000 nodes than for 100; 100 would be proportional.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from tests.acceptance.terminal import Terminal
from tests.unit.monitor.samples import NOW, picture, places, status

from headway.model.access import Identity, Role
from headway.model.picture import LETTERS, Picture
from headway.model.plan import AppConfig
from headway.model.rollout import NodeState, Phase
from headway.model.views import AppView
from headway.monitor import face
from headway.monitor.face import View

SIZES = (100, 10_000)
WIDTH, HEIGHT = 120, 40
PACE = 0.25


def moving(nodes: int, turns: int) -> list[Picture]:
    """Pictures in each of which every node has another state than in the one before."""
    shown = picture(nodes, Phase.ROLLING)
    signs = [LETTERS[state, "new"] for state in NodeState]
    return [
        replace(
            shown,
            now=time.time(),
            map=replace(
                shown.map,
                letters="".join(signs[(place + turn) % len(signs)] for place in range(nodes)),
            ),
        )
        for turn in range(turns)
    ]


def redraw(nodes: int, turns: int) -> float:
    """Milliseconds for one screen, median."""
    times = []
    for shown in moving(nodes, turns):
        began = time.perf_counter()
        drawn = face.draw(View(shown, NOW, may_act=True), WIDTH, HEIGHT)
        assert len(drawn.lines) == HEIGHT
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def serve(pipe: Connection, nodes: int) -> None:
    """A control plane of canned answers, whose every picture is another one."""
    pictures = [msgspec.json.encode(one) for one in moving(nodes, 5)]
    turn = count()
    fixed = {
        "/v1/whoami": Identity("bench", Role.DEPLOYER),
        "/v1/apps": [AppView(AppConfig(name="shop"))],
        "/v1/apps/shop/places": places(picture(nodes)),
        "/v1/journal": [],
    }
    answers = {path: msgspec.json.encode(value) for path, value in fixed.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/v1/events":
                return self.stream()
            if path == "/v1/apps/shop/picture":
                return self.answer(pictures[next(turn) % len(pictures)])
            if path.startswith("/v1/nodes/"):
                return self.answer(msgspec.json.encode([status(path.rpartition("/")[2])]))
            return self.answer(answers[path])

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b'event: fleet\ndata: {"app": "shop"}\n\n')
                    self.wfile.flush()
                    time.sleep(PACE)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    pipe.send(server.server_port)
    server.serve_forever()


def press(terminal: Terminal, keys: str, appears: bytes) -> float:
    """Milliseconds from a key to what it brings."""
    terminal.read(0.0)
    before = len(terminal.raw)
    began = time.perf_counter()
    terminal.press(keys)
    while appears not in terminal.raw[before:]:
        terminal.read(0.002)
        if time.perf_counter() - began > 20:
            raise TimeoutError(f"{keys!r} did not bring {appears!r}:\n{terminal.screen}")
    return (time.perf_counter() - began) * 1000


def latencies(nodes: int, keys: int) -> list[float]:
    """Milliseconds for each of ``keys`` keys."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=serve, args=(theirs, nodes), daemon=True)
    server.start()
    environment = {
        **os.environ,
        "HEADWAY_SERVER": f"http://127.0.0.1:{ours.recv()}",
        "HEADWAY_TOKEN": "bench",
        "TERM": "xterm-256color",
    }
    argv = [sys.executable, "-m", "headway", "watch", "shop"]
    terminal = Terminal(argv, environment, WIDTH, HEIGHT)
    found = []
    try:
        terminal.shows("Journal")
        for _ in range(keys // 2):
            found.append(press(terminal, "?", b"Keys: those"))
            press(terminal, "q", b"Journal")
            terminal.read_for(0.05)
        terminal.press("\r\t")
        terminal.shows(f"of {nodes:,} nodes")
        terminal.press("\x1b[Z")
        terminal.until(lambda screen: f" {nodes:,} of {nodes:,} nodes" in screen, "all are listed")
        terminal.press("\x1b[1;5H")
        terminal.read_for(1.0)
        names = [node for tier in places(picture(nodes)).tiers for node in tier.nodes]
        for row in range(1, keys - keys // 2):
            found.append(press(terminal, "\x1b[B", f"asking for {names[row]}".encode()))
            terminal.read_for(0.3)
    finally:
        terminal.close()
        server.terminate()
        server.join()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    parser.add_argument("--keys", type=int, default=60, help="how many keys are pressed")
    parser.add_argument("--turns", type=int, default=40, help="how many screens are drawn")
    given = parser.parse_args()
    drawn = {size: redraw(size, given.turns) for size in SIZES}
    pressed = {size: sorted(latencies(size, given.keys)) for size in SIZES}
    small, large = SIZES
    p95 = {size: times[int(0.95 * (len(times) - 1))] for size, times in pressed.items()}
    middle = {size: statistics.median(times) for size, times in pressed.items()}
    if not given.json:
        for size in SIZES:
            print(
                f"{size:>6} nodes: {drawn[size]:6.2f} ms to draw; a key takes "
                f"{middle[size]:5.0f} ms, the slowest twentieth {p95[size]:5.0f} ms or more"
            )
    result = {
        "redraw_ms": round(drawn[large], 2),
        "input_ms_p95": round(p95[large], 1),
        "input_ms_median": round(middle[large], 1),
        "growth": round(drawn[large] / drawn[small], 2),
        "input_growth": round(middle[large] / middle[small], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
