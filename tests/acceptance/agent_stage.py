"""A node as it is in life, and a control plane small enough to be made to misbehave.

The agent and the example application are processes of their own; the control plane speaks the
node's part of the HTTP API from this process.
"""

import base64
import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from headway.agent.state import State
from headway.builds import storage
from headway.builds.publish import publish
from headway.demo.site import free_ports
from headway.model.report import Enrolment, Report
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeRecord,
    Seat,
    Signal,
    record_key,
    signal_key,
)
from headway.signing import Signer

EXAMPLE = Path(__file__).parents[2] / "examples" / "webapp"
TOKEN = "a-token-for-tests"


def until(condition: Callable[[], object], within: float = 30.0) -> None:
    """Poll until ``condition`` holds; a generous deadline, never a measurement."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


class ControlPlane:
    """Signals, reports and a store. ``gate`` holds back packs while it is clear."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.build_key, self.release_key = Signer.generate(), Signer.generate()
        self.store = place / "artifacts"
        self.store.mkdir()
        self.values: dict[str, bytes] = {}
        self.changed = threading.Condition()
        self.reports: dict[str, Report] = {}
        self.enrolled: list[Enrolment] = []
        self.gate = threading.Event()
        self.gate.set()
        self.blocked = threading.Event()
        self.epoch = 0
        [self.port] = free_ports(1)
        self._server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        plane = self

        class Handler(_Handler):
            control = plane

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._open = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        if self._server is not None:
            self._open = False
            self.gate.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def is_open(self) -> bool:
        return self._open

    def publish(self, release: str, change: Callable[[Path], object] = lambda tree: None) -> str:
        """Build and publish the example, stamped with ``release``; returns the build's id."""
        source = self.place / f"source-{release}"
        shutil.copytree(EXAMPLE / "src", source)
        for name in ("templates", "static"):
            (source / name / "release.txt").write_text(f"{release}\n")
        change(source)
        made, _ = publish(
            source,
            app="web",
            commit=release,
            by="tests",
            subject="",
            signer=self.build_key,
            storage=storage.open(self.store),
            earlier=[],
            now=0.0,
        )
        return made.id

    def seat(self, position: float = 0.5, serial: int = 1) -> None:
        record = NodeRecord("n1", serial, "a", {"web": Seat("production", position)})
        self._put(record_key("n1"), self.release_key.seal(msgspec.json.encode(record), RECORD_TYPE))

    def signal(
        self, target: str, base: str | None = None, fraction: float = 1.0, attempt: int = 1
    ) -> int:
        self.epoch += 1
        value = Signal(
            app="web",
            epoch=self.epoch,
            rollout="r1",
            base=base,
            target=target,
            fractions={"production": fraction},
            attempt=attempt,
            retry={"production": 1.0},
            prepare=True,
            issued_at=0.0,
            by="tests",
            why="a test",
        )
        self._put(signal_key("web"), self.release_key.seal(msgspec.json.encode(value), SIGNAL_TYPE))
        return self.epoch

    def report(self) -> Report | None:
        return self.reports.get("web")

    def reported(self, running: str | None, epoch: int | None = None) -> bool:
        report = self.report()
        return (
            report is not None
            and report.running == running
            and report.activity == "idle"
            and report.epoch == (self.epoch if epoch is None else epoch)
        )

    def _put(self, key: str, value: bytes) -> None:
        with self.changed:
            self.values[key] = value
            self.changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    control: ControlPlane

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._reply(401, b'{"code":"unauthenticated","sentence":"no such token","status":401}')
        elif self.path.startswith("/v1/node/watch?apps=web"):
            self._watch()
        else:
            self._file(self.path.removeprefix("/v1/store/"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/node/enrol":
            self.control.enrolled.append(msgspec.json.decode(body, type=Enrolment))
        else:
            for report in msgspec.json.decode(body, type=list[Report]):
                self.control.reports[report.app] = report
        self._reply(204)

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        sent: dict[str, bytes] = {}
        while self.control.is_open():
            with self.control.changed:
                fresh = {k: v for k, v in self.control.values.items() if sent.get(k) != v}
                if not fresh:
                    self.control.changed.wait(0.1)
            for key, value in fresh.items():
                data = json.dumps({"key": key, "value": base64.b64encode(value).decode()})
                self.wfile.write(f"event: update\ndata: {data}\n\n".encode())
            self.wfile.write(b": beat\n")
            sent |= fresh

    def _file(self, name: str) -> None:
        path = self.control.store / name
        if not path.is_file():
            self._reply(404)
            return
        if "/packs/" in f"/{name}" and not self.control.gate.is_set():
            self.control.blocked.set()
            self.control.gate.wait(30)
        content = path.read_bytes()
        wanted = self.headers["Range"]
        if not wanted:
            self._reply(200, content)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, len(content)) if last else len(content)
        more = {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}"}
        self._reply(206, content[int(first) : end], more)

    def _reply(self, status: int, body: bytes = b"", more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(more or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass


class Node:
    """One server: its agent, which may be killed and started again, and its web server."""

    def __init__(self, place: Path, control: ControlPlane) -> None:
        self.place = place
        self.app = place / "root" / "web"
        self.app.mkdir(parents=True)
        self.control = control
        (place / "token").write_text(TOKEN)
        (place / "build.pub").write_bytes(control.build_key.public_pem)
        (place / "release.pub").write_bytes(control.release_key.public_pem)
        [self.port] = free_ports(1)
        self.agent: subprocess.Popen[bytes] | None = None
        self.server: subprocess.Popen[bytes] | None = None

    def configure(self, more: str = "", minimum_healthy: float = 0.3) -> Path:
        path = self.place / "agent.toml"
        path.write_text(f"""
node = "n1"
zone = "a"
server = "http://127.0.0.1:{self.control.port}"
token_file = "token"
root = "root"
report_every = 0.3
[trust]
build = ["build.pub"]
release = ["release.pub"]
[[apps]]
name = "web"
tier = "production"
[apps.restart]
strategy = "signal"
pidfile = "web.pid"
[apps.verify]
url = "http://127.0.0.1:{self.port}/healthz"
contains = "{{tree}}"
minimum_healthy = {minimum_healthy}
timeout = 4
interval = 0.05
[apps.metrics]
url = "http://127.0.0.1:{self.port}/metrics"
{more}
""")
        return path

    def start_server(self) -> None:
        self.server = subprocess.Popen(
            [
                *(sys.executable, str(EXAMPLE / "server.py"), "--root", str(self.app)),
                *("--port", str(self.port), "--pidfile", str(self.place / "web.pid")),
            ],
        )
        until((self.place / "web.pid").exists)

    def start_agent(self) -> None:
        path = self.place / "agent.toml"
        if not path.exists():
            self.configure()
        code = "import sys, pathlib, headway.agent.main as m; m.run(pathlib.Path(sys.argv[1]))"
        with (self.place / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen([sys.executable, "-c", code, str(path)], stderr=log)

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def stop(self) -> None:
        for process in (self.agent, self.server):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(40)

    def state(self) -> State:
        return msgspec.json.decode((self.app / "state").read_bytes(), type=State)

    def log(self) -> str:
        return (self.place / "agent.log").read_text()

    def get(self, path: str = "/") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def serves(self) -> str:
        """The release that answers, both halves of it; empty when nothing listens."""
        try:
            status, body = self.get()
        except OSError:
            return ""
        page = json.loads(body)
        assert status == 200
        assert page["build_template"] == page["build_static"]
        return str(page["build_template"])

    def trees(self) -> dict[str, dict[str, str]]:
        """The text of every file in every slot that counts as ready."""
        found = {}
        for name, slot in self.state().slots.items():
            tree = self.app / "slots" / name
            if slot.build is not None:
                found[slot.build] = {
                    str(path.relative_to(tree)): path.read_text()
                    for path in sorted(tree.rglob("*"))
                    if path.is_file()
                }
        return found


class Load:
    """Clients that ask all the time, some on connections that they keep."""

    def __init__(self, node: Node, clients: int = 4) -> None:
        self._node = node
        self._stop = threading.Event()
        self.requests = 0
        self.failed: list[str] = []
        self.torn = 0
        self.releases: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(clients)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keep: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._node.port, timeout=20)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/")
                response = connection.getresponse()
                page = json.loads(response.read())
                self.requests += 1
                if response.status != 200:
                    self.failed.append(f"status {response.status}")
                if page["build_template"] != page["build_static"]:
                    self.torn += 1
                if self.releases[-1:] != [page["build_template"]]:
                    self.releases.append(page["build_template"])
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed.append(repr(error))
                connection.close()
            if not keep:
                connection.close()
            self._stop.wait(0.005)
        connection.close()


def memory(process: int) -> int:
    """Resident memory in kilobytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the process has no memory")


def children(process: int) -> list[int]:
    """The processes whose parent this is."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == process and fields[0] != "Z":
                    found.append(int(entry.name))
    return found
