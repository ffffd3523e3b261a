"""A control plane as a process of its own, with a fleet's tokens, an app and two builds."""

import asyncio
import gc
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from msgspec import structs
from sqlalchemy import Connection

from headway.client.api import Client
from headway.model.access import Role
from headway.model.build import Build
from headway.model.plan import AppConfig, Checks, Gate, Step
from headway.server import premises
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.config import ServerConfig
from headway.server.database import apps, builds, tokens
from headway.server.database.connection import Database
from headway.server.database.tokens import Token
from headway.signing import Trust
from headway.testing import Place

APP = "web"
OLD, NEW = "a" * 64, "b" * 64
_ALL = Step("production", soak=0, checks=Checks.NONE, concurrency="100%", gate=Gate.MANUAL)
_CANARY = Step("canary", soak=0, checks=Checks.NONE, concurrency="100%")
READY_SECONDS = 60.0


class Stage:
    """Everything lies in ``home``; ``running`` has the server's process while there is one."""

    def __init__(self, home: Path, size: int, concurrency: str = "100%") -> None:
        self.home = home
        self._plan = (_CANARY, structs.replace(_ALL, concurrency=concurrency))
        self.url = ""
        self.running: subprocess.Popen[str] | None = None
        config = ServerConfig(home / "control")
        with premises.occupied(config.data):
            self.trust = Trust.of(premises.keys(config).release.public_pem)
            self.places = self._fill(config.data, size)

    def _fill(self, data: Path, size: int) -> list[Place]:
        places = [
            Place(f"node-{i:06}", new_secret(), "production" if i else "canary", f"zone-{i % 3}")
            for i in range(size)
        ]

        def write(connection: Connection) -> None:
            config = AppConfig(APP, plans={"default": self._plan}, metrics=())
            apps.put(connection, config, time.time())
            for build in (OLD, NEW):
                described = Build(build, APP, "c0ffee", time.time(), "bench", 1, 1, 1)
                builds.add(connection, described, time.time())
            for place in places:
                hashed = fingerprint(place.token)
                tokens.add(connection, Token(place.node, Role.NODE, hashed, time.time()))

        async def fill() -> None:
            database = Database(f"sqlite:///{data / 'headway.db'}")
            await database.write(write)
            await database.close()

        asyncio.new_event_loop().run_until_complete(fill())
        return places

    def start(self) -> None:
        """Start the server, at the address that it had before."""
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        log = (self.home / "server.log").open("ab")
        argv = [sys.executable, "-m", "headway", "server", "--data", str(self.home / "control")]
        with log:
            self.running = subprocess.Popen(
                [*argv, "--listen", listen], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        if "ready at" not in line:
            raise SystemExit(f"the server did not start; see {self.home / 'server.log'}")
        self.url = line.split()[-1]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server."""
        if self.running is not None:
            self.running.send_signal(how)
            self.running.wait()
            self.running = None

    def client(self) -> Client:
        """An admin's client."""
        return Client(self.url, (self.home / "control" / "admin.token").read_text().strip())

    def memory(self) -> int:
        """Bytes of memory that the server holds for itself (RssAnon)."""
        assert self.running is not None
        status = Path(f"/proc/{self.running.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024


def make_room() -> int:
    """Let this process open as many files as it may; how many that is.

    Collecting garbage among the state of ten thousand agents would be measured as the server's.
    """
    gc.set_threshold(200_000, 50, 100)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
