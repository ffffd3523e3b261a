"""A real HAProxy in front of a node's instances."""

import csv
import socket
import subprocess
from pathlib import Path

from headway.demo.site import free_ports
from tests.acceptance.agent_stage import until
from tests.acceptance.graceful_stage import Instances


class Balancer:
    """HAProxy, which tries nothing twice, so that a request lost by a server is lost."""

    def __init__(self, program: str, place: Path, node: Instances) -> None:
        self.socket = place / "haproxy.sock"
        self.port, admin = free_ports(2)
        self.address = f"127.0.0.1:{admin}"
        servers = "\n".join(
            f"  server web-{name} 127.0.0.1:{port} check inter 200ms fall 3 rise 1"
            for name, port in node.ports.items()
        )
        (place / "haproxy.cfg").write_text(f"""
global
  stats socket {self.socket} mode 600 level admin
  stats socket {self.address} level admin
  maxconn 200
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout check 5s
frontend all
  bind 127.0.0.1:{self.port}
  default_backend web
backend web
  option httpchk GET /healthz
{servers}
""")
        with (place / "haproxy.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-db", "-f", str(place / "haproxy.cfg")], stdout=log, stderr=log
            )
        until(lambda: self.socket.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, (place / "haproxy.log").read_text()

    def traffic(self, deadline: float = 10) -> str:
        return (
            f'[apps.traffic]\nby = "haproxy"\nsocket = "{self.socket}"\n'
            f'server = "web/web-{{instance}}"\ndeadline = {deadline}\n'
        )

    def statuses(self) -> list[str]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(b"show stat web 4 -1\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return [row["status"] for row in rows]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def all_up(balancer: Balancer) -> bool:
    return balancer.statuses() == ["UP", "UP"]
