"""A real Prometheus that scrapes real processes, and a real Graphite, on free ports.

Both also know a past that was made up: `Past` says what each node told at each time. Each process
is ended by its own id.
"""

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headway.demo.site import free_ports
from tests.contract.store_servers import Server, call, until

Past = dict[str, dict[str, dict[int, float]]]
"""name → node → time → value."""

NODE = textwrap.dedent(
    """
    import http.server, sys, time
    began, port, rate = time.time(), int(sys.argv[1]), float(sys.argv[2])
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            total = (time.time() - began) * rate
            body = f"live_requests_total {total}\\nlive_queue 7\\nlive_odd NaN\\n".encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_): pass
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()
    """
)
"""An application that counts so many requests a second, and shows it."""


@dataclass
class Metrics:
    """A metrics server that answers, and what it scrapes."""

    server: Server
    nodes: dict[str, Server] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def stop(self) -> None:
        for each in (*self.nodes.values(), self.server):
            each.kill()


@contextlib.contextmanager
def prometheus(
    room: Path,
    program: str,
    rates: dict[str, float],
    past: Past,
    password: str = "",
    jobs: str = "",
) -> Iterator[Metrics]:
    """Scrapes a process for each of ``rates`` every second, and ``jobs`` as they stand in its
    configuration; ``past`` was scraped before.

    With ``password``, a bcrypt hash, only user ``guard`` with its password may ask.
    """
    data = room / "data"
    data.mkdir(parents=True)
    if past:
        lines = ["# TYPE %s gauge\n" + _openmetrics(name, nodes) for name, nodes in past.items()]
        text = "".join(line % name for line, name in zip(lines, past, strict=True)) + "# EOF\n"
        (room / "past.txt").write_text(text)
        promtool = str(Path(program).resolve().parent / "promtool")
        argv = [promtool, "tsdb", "create-blocks-from", "openmetrics", "past.txt", str(data)]
        subprocess.run(argv, cwd=room, check=True, capture_output=True)
    port, *ports = free_ports(1 + len(rates))
    nodes = {
        name: Server([sys.executable, "-c", NODE, str(each), str(rate)], room, each, 0)
        for (name, rate), each in zip(rates.items(), ports, strict=True)
    }
    targets = "".join(
        f"  - targets: ['127.0.0.1:{node.port}']\n    labels: {{instance: '{name}:9100'}}\n"
        for name, node in nodes.items()
    )
    (room / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs:\n- job_name: web\n  static_configs:\n{targets or '    []'}\n{jobs}"
    )
    more = []
    if password:
        (room / "web.yml").write_text(f"basic_auth_users:\n  guard: {password}\n")
        more = ["--web.config.file=web.yml"]
    argv = [
        program, "--config.file=prometheus.yml", f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=60d", *more,
    ]  # fmt: skip
    made = Metrics(Server(argv, room, port, 0), nodes)
    try:
        for each in (*nodes.values(), made.server):
            each.start()
        # With a password even readiness is asked for; then the port alone has to do.
        until(lambda: _answers(port) if password else call(port, "/-/ready"), made.server)
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def graphite(room: Path, past: Past, *, events: bool = False) -> Iterator[Metrics]:
    """Graphite's web application on whisper files: ``stats.web.NODE.NAME``, every ten seconds.

    With ``events`` it has the database that its events lie in.
    """
    import whisper

    for name, nodes in past.items():
        for node, values in nodes.items():
            path = room / "whisper" / "stats" / "web" / node / f"{name}.wsp"
            path.parent.mkdir(parents=True, exist_ok=True)
            whisper.create(str(path), [(10, 8640), (300, 12_000)])
            whisper.update_many(str(path), sorted(values.items()))
    (room / "log").mkdir(parents=True)
    (room / "place.py").write_text(
        f"SECRET_KEY = 'test'\nTIME_ZONE = 'UTC'\nALLOWED_HOSTS = ['127.0.0.1']\n"
        f"STORAGE_DIR = {str(room)!r}\nWHISPER_DIR = {str(room / 'whisper')!r}\n"
        f"LOG_DIR = {str(room / 'log')!r}\nINDEX_FILE = {str(room / 'index')!r}\n"
        f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', "
        f"'NAME': {str(room / 'graphite.db')!r}}}}}\n"
    )
    (port,) = free_ports(1)
    # The web server starts a second process, which reads what it needs from its environment.
    django = [
        "/usr/bin/env", "GRAPHITE_SETTINGS_MODULE=place",
        "DJANGO_SETTINGS_MODULE=graphite.settings", f"PYTHONPATH={room}", sys.executable, "-m",
    ]  # fmt: skip
    if events:
        made_tables = [*django, "django", "migrate", "--run-syncdb"]
        subprocess.run(made_tables, cwd=room, check=True, capture_output=True)
    argv = [
        *django, "gunicorn", "--bind", f"127.0.0.1:{port}",
        "--no-control-socket", "--worker-tmp-dir", str(room), "graphite.wsgi",
    ]  # fmt: skip
    made = Metrics(Server(argv, room, port, 0))
    try:
        made.server.start()
        until(lambda: call(port, "/render?target=nothing&format=json"), made.server)
        yield made
    finally:
        if made.server.process is not None:
            made.server.process.terminate()
            made.server.process.wait(20)
        made.stop()


def _openmetrics(name: str, nodes: dict[str, dict[int, float]]) -> str:
    samples = sorted(
        (at, node, value) for node, values in nodes.items() for at, value in values.items()
    )
    return "".join(f'{name}{{instance="{node}:9100"}} {v} {at}\n' for at, node, v in samples)


def _answers(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def has_graphite() -> bool:
    return sys.version_info < (3, 13) and os.path.exists(sys.executable)
