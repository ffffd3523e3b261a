"""Real Consul, ZooKeeper and etcd servers: one, or a cluster of three, on free ports.

``start("etcd", room, program, 3)`` gives a ``Cluster`` that answers; its servers can be killed,
paused and started again one by one. Each is ended by its own process id.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from headway.demo.site import free_ports

ZOOKEEPER_JARS = tuple(
    f"/usr/share/java/{name}.jar" for name in ("zookeeper", "netty-codec", "netty-tcnative")
)
DEADLINE = 60.0

Program = Callable[[str], str]


@dataclass
class Server:
    """One server's process; ``port`` is the one that clients use, ``peer`` tells it from others."""

    argv: list[str]
    room: Path
    port: int
    peer: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.room / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.room,
                env={"PATH": os.environ["PATH"], "HOME": str(self.room)},
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def pause(self) -> None:
        """Stop it; returns when the last of its threads stands still."""
        self.signal(signal.SIGSTOP)
        until(self._stands_still)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def _stands_still(self) -> bool:
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None


@dataclass
class Cluster:
    """Servers of one kind that form one store."""

    kind: str
    servers: list[Server]
    scheme: str

    def url(self, prefix: str = "headway") -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers)
        return f"{self.scheme}://{hosts}/{prefix}"

    def leader(self) -> Server:
        """The server that leads, once there is one."""
        return cast("Server", until(self.who_leads))

    def who_leads(self) -> Server | None:
        """The server that leads now, if one says so."""
        return next(filter(_LEADS[self.kind], self._running()), None)

    def ready(self) -> None:
        """Return when every server answers and one leads."""
        for server in self.servers:
            until(partial(_READY[self.kind], server), server)

    def stop(self) -> None:
        for server in self.servers:
            server.kill()

    def _running(self) -> list[Server]:
        return [server for server in self.servers if server.process is not None]


@contextlib.contextmanager
def start(
    kind: str, room: Path, program: Program, size: int = 1, **options: object
) -> Iterator[Cluster]:
    """A store that answers, until the end of the block; ``options`` as its kind has them."""
    cluster = _MAKERS[kind](room, program, size, **options)
    try:
        for server in cluster.servers:
            server.start()
        cluster.ready()
        yield cluster
    finally:
        cluster.stop()


def until(look: Callable[[], object], server: Server | None = None) -> object:
    """What ``look`` gives as soon as it gives anything; with patience, and a server's log."""
    deadline = time.monotonic() + DEADLINE
    while not (seen := look()):
        if server is not None and server.process is not None:
            assert server.process.poll() is None, (server.room / "server.log").read_text()[-3000:]
        assert time.monotonic() < deadline, server and (server.room / "server.log").read_text()
        time.sleep(0.05)
    return seen


def call(
    port: int,
    path: str,
    body: bytes | None = None,
    method: str | None = None,
    headers: dict[str, str] | None = None,
) -> str:
    """A server's answer to one HTTP request; empty while it does not answer well."""
    url = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return str(response.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def _consul(
    room: Path,
    program: Program,
    size: int,
    ttl_min: str = "",
    tls_port: int = 0,
    more: dict[str, object] | None = None,
) -> Cluster:
    argv = [program("consul"), "agent", "-config-file", "consul.json"]
    ports = [free_ports(3) for _ in range(size)]
    servers = []
    for number, (http, serf, rpc) in enumerate(ports):
        place = room / f"consul-{number}"
        place.mkdir(parents=True)
        config: dict[str, object] = {
            "server": True,
            "node_name": f"n{number}",
            "data_dir": str(place / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "bootstrap_expect": size,
            "retry_join": [f"127.0.0.1:{other[1]}" for other in ports],
            "retry_interval": "1s",
            "ports": {
                "http": http, "serf_lan": serf, "server": rpc,
                "serf_wan": -1, "dns": -1, "grpc": -1, "https": tls_port or -1,
            },
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            "leave_on_terminate": False,
            **(more or {}),
        }  # fmt: skip
        if ttl_min:
            config["session_ttl_min"] = ttl_min
        (place / "consul.json").write_text(json.dumps(config))
        servers.append(Server(argv, place, http, rpc))
    return Cluster("consul", servers, "consul")


def _etcd(
    room: Path, program: Program, size: int, tls_port: int = 0, more: tuple[str, ...] = ()
) -> Cluster:
    etcd = program("etcd")
    ports = [free_ports(2) for _ in range(size)]
    members = ",".join(f"n{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(ports))
    servers = []
    for number, (client, peer) in enumerate(ports):
        place = room / f"etcd-{number}"
        place.mkdir(parents=True)
        argv = [
            etcd, "--name", f"n{number}", "--data-dir", "data",
            "--listen-client-urls",
            f"http://127.0.0.1:{client}" + f",https://127.0.0.1:{tls_port}" * bool(tls_port),
            "--advertise-client-urls", f"http://127.0.0.1:{client}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", members,
            "--heartbeat-interval", "100", "--election-timeout", "1000",
            *more,
        ]  # fmt: skip
        servers.append(Server(argv, place, client, peer))
    return Cluster("etcd", servers, "etcd")


def _zookeeper(
    room: Path, program: Program, size: int, more: tuple[str, ...] = (), heap: str = "96m"
) -> Cluster:
    java = program("java")
    jars = ":".join(map(program, ZOOKEEPER_JARS))
    ports = [free_ports(3) for _ in range(size)]
    servers = []
    for number, (client, peer, _) in enumerate(ports):
        place = room / f"zookeeper-{number}"
        (place / "data").mkdir(parents=True)
        (place / "data" / "myid").write_text(f"{number + 1}\n")
        lines = [
            "tickTime=500", "initLimit=20", "syncLimit=10", f"dataDir={place / 'data'}",
            f"clientPort={client}", "clientPortAddress=127.0.0.1", "maxClientCnxns=0",
            "admin.enableServer=false", "4lw.commands.whitelist=srvr",
            *more,
        ]  # fmt: skip
        if size > 1:
            lines += [
                f"server.{n + 1}=127.0.0.1:{quorum}:{election}"
                for n, (_, quorum, election) in enumerate(ports)
            ]
        (place / "zoo.cfg").write_text("\n".join(lines) + "\n")
        argv = [
            java, f"-Xmx{heap}", "-XX:TieredStopAtLevel=1", "-cp", jars,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", "zoo.cfg",
        ]  # fmt: skip
        servers.append(Server(argv, place, client, peer))
    return Cluster("zookeeper", servers, "zk")


def _consul_ready(server: Server) -> bool:
    return call(server.port, "/v1/status/leader").strip() not in {"", '""'}


def _consul_leads(server: Server) -> bool:
    return call(server.port, "/v1/status/leader").strip() == f'"127.0.0.1:{server.peer}"'


def _etcd_ready(server: Server) -> bool:
    return '"true"' in call(server.port, "/health")


def _etcd_leads(server: Server) -> bool:
    said = json.loads(call(server.port, "/v3/maintenance/status", b"{}") or "{}")
    return bool(said) and said.get("leader") == said["header"]["member_id"]


def _zookeeper_mode(server: Server) -> str:
    try:
        with socket.create_connection(("127.0.0.1", server.port), 1) as line:
            line.sendall(b"srvr")
            said = b""
            while data := line.recv(4096):
                said += data
    except OSError:
        return ""
    return said.decode().partition("Mode: ")[2].partition("\n")[0]


_MAKERS: dict[str, Callable[..., Cluster]] = {
    "consul": _consul,
    "etcd": _etcd,
    "zookeeper": _zookeeper,
}
_READY = {
    "consul": _consul_ready,
    "etcd": _etcd_ready,
    "zookeeper": lambda server: bool(_zookeeper_mode(server)),
}
_LEADS = {
    "consul": _consul_leads,
    "etcd": _etcd_leads,
    "zookeeper": lambda server: _zookeeper_mode(server) == "leader",
}
