"""A node that runs several instances of the example, each restarted the hard way, under load.

A restart kills the instance's processes with SIGKILL and starts others, so whatever was in flight
or came too early is lost: only what takes the instance out of traffic first can save it.
"""

import contextlib
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.demo.site import free_ports
from tests.acceptance.agent_stage import EXAMPLE, ControlPlane, Node, children, until

SLOW = 0.2
"""Seconds that ``/checkout`` takes."""

RESTART = """\
import os, pathlib, signal, subprocess, sys, time
server, root, place, host = sys.argv[1:]
instance, port = os.environ["HEADWAY_INSTANCE"], os.environ["HEADWAY_PORT"]
if pathlib.Path(os.environ["HEADWAY_TREE"], f"refuse-{instance}").exists():
    sys.exit(f"instance {instance} will not have it")
pidfile = pathlib.Path(place, f"web-{instance}.pid")
if pidfile.exists():
    os.kill(int(pidfile.read_text()), signal.SIGKILL)
    pidfile.unlink()
with open(pathlib.Path(place, f"web-{instance}.log"), "ab") as log:
    subprocess.Popen(
        [sys.executable, server, "--root", root, "--host", host, "--port", port,
         "--pidfile", str(pidfile)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
    )
deadline = time.monotonic() + 20
while not pidfile.exists():
    if time.monotonic() > deadline:
        sys.exit("it does not start")
    time.sleep(0.01)
"""


def missing(sentence: str) -> None:
    """This machine cannot run the test: skip it, or fail where everything is required."""
    if os.environ.get("HEADWAY_REQUIRE_SERVERS"):
        pytest.fail(sentence)
    pytest.skip(sentence)


class Instances(Node):
    """Two instances; ``within`` is put before the agent's command, to run it elsewhere."""

    def __init__(self, place: Path, control: ControlPlane, *within: str) -> None:
        super().__init__(place, control)
        self.ports = dict(zip(("1", "2"), free_ports(2), strict=True))
        self.host = "127.0.0.1"
        self.within = within
        self.restart_script = place / "restart.py"
        self.restart_script.write_text(RESTART)

    def write(self, traffic: str, restart: str = "", server: str = "127.0.0.1") -> None:
        script = [sys.executable, str(self.restart_script), str(EXAMPLE / "server.py")]
        argv = [*script, str(self.app), str(self.place), self.host]
        instances = "".join(
            f'[[apps.instances]]\nname = "{name}"\nport = {port}\n'
            for name, port in self.ports.items()
        )
        (self.place / "agent.toml").write_text(f"""
node = "n1"
zone = "a"
server = "http://{server}:{self.control.port}"
token_file = "token"
root = "root"
report_every = 0.3
[trust]
build = ["build.pub"]
release = ["release.pub"]
[[apps]]
name = "web"
tier = "production"
{instances}
[apps.restart]
{restart or f'strategy = "command"{chr(10)}argv = {json.dumps(argv)}'}
[apps.verify]
url = "http://127.0.0.1:{{port}}/healthz"
contains = "{{tree}}"
minimum_healthy = 0.1
timeout = 10
interval = 0.05
{traffic}
""")

    def start_agent(self) -> None:
        code = "import sys, pathlib, headway.agent.main as m; m.run(pathlib.Path(sys.argv[1]))"
        command = [*self.within, sys.executable, "-c", code, str(self.place / "agent.toml")]
        with (self.place / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(command, stderr=log)

    def process(self, instance: str) -> int:
        return int((self.place / f"web-{instance}.pid").read_text())

    def stop_agent(self) -> None:
        """Ask the agent to end; what runs it elsewhere does not pass signals on."""
        for process in (*children(self.agent.pid), self.agent.pid) if self.agent else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        if self.agent is not None:
            self.agent.wait(40)

    def stop(self) -> None:
        self.stop_agent()
        for name in self.ports:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                os.kill(self.process(name), signal.SIGKILL)

    def deploy(self, release: str, base: str | None) -> str:
        """Publish and signal a release with slow pages; returns its build once it runs."""
        build = self.published(release)
        self.bring(build, base)
        return build

    def bring(self, build: str, base: str | None) -> None:
        self.control.signal(build, base)
        until(lambda: self.control.reported(build), within=60)

    def published(self, release: str, *more: str) -> str:
        def change(tree: Path) -> None:
            settings = {"checkout_error_rate": 0.0, "checkout_seconds": SLOW}
            (tree / "settings.json").write_text(json.dumps(settings))
            for name in more:
                (tree / name).write_text("")

        return self.control.publish(release, change)


class Clients:
    """Clients that ask for quick and slow pages, on fresh connections and on kept ones.

    Whom the first address refuses tries the next, as what balances a load does. A kept connection
    ends after ``lasts`` requests. ``enter`` is called first on each client's thread.
    """

    def __init__(
        self,
        *addresses: tuple[str, int],
        clients: int = 8,
        lasts: int | None = None,
        enter: Callable[[], object] = lambda: None,
    ) -> None:
        self._addresses = addresses
        self._lasts = lasts
        self._enter = enter
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.releases: set[str] = set()
        self.refused = self.slow = 0
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        self._enter()
        path = "/checkout" if number % 4 < 2 else "/"
        lasts = 1 if number % 2 else self._lasts
        while not self._stop.is_set():
            try:
                connection = self._connected(number)
                with contextlib.closing(connection):
                    asked = 0
                    while not self._stop.is_set() and asked != lasts:
                        self._ask(connection, path)
                        asked += 1
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{path}: {error!r}")
                self._stop.wait(0.01)

    def _connected(self, number: int) -> http.client.HTTPConnection:
        for attempt in itertools.count(number):
            host, port = self._addresses[attempt % len(self._addresses)]
            connection = http.client.HTTPConnection(host, port, timeout=20)
            try:
                connection.connect()
            except ConnectionRefusedError:
                self.refused += 1
                if attempt == number + len(self._addresses) - 1:
                    raise
            else:
                return connection
        raise AssertionError("it never ends")

    def _ask(self, connection: http.client.HTTPConnection, path: str) -> None:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        self.slow += path == "/checkout"
        if response.status == 200:
            page = json.loads(body)
            assert page["build_template"] == page["build_static"]
            self.releases.add(page["build_template"])
        else:
            self.failed.append(f"{path}: status {response.status}")
        self._stop.wait(0.01)


@contextlib.contextmanager
def staged(place: Path, *within: str) -> Iterator[Instances]:
    """A control plane and a node with instances; all that they start ends with them."""
    (place / "plane").mkdir()
    control = ControlPlane(place / "plane")
    control.open()
    node = Instances(place, control, *within)
    try:
        yield node
    finally:
        node.stop()
        control.close()


def alternating(node: Instances, deploys: int) -> Iterator[tuple[str, str]]:
    """Pairs of builds, from one to the next; the node runs the first when this begins."""
    builds = [node.published(release) for release in "AB"]
    node.control.seat()
    node.start_agent()
    node.bring(builds[0], None)
    yield from itertools.islice(itertools.pairwise(itertools.cycle(builds)), deploys)
