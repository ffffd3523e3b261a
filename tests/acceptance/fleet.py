"""A real control plane and real agents as processes, for tests that kill and starve them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from headway.client.api import Client
from headway.demo.site import free_ports
from headway.errors import HeadwayError
from headway.model.plan import AppConfig, Checks, Step
from headway.model.rollout import LIVE
from headway.model.views import DeployRequest, NodeStatus, RolloutView, TokenRequest

APP = "web"
PATIENCE = 60.0


class RealFleet:
    """Everything lies in ``home``; every process is stopped by ``stop``."""

    def __init__(self, home: Path, store: str = "", server: str = "") -> None:
        self.home = home
        self.store = store
        self.server = server
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = home / "control"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    # The control plane.

    def start_server(self) -> None:
        listen = f"127.0.0.1:{self.port}"
        arguments = ["--data", str(self.data), "--listen", listen]
        if self.store or self.server:
            config = self.home / "server.toml"
            stored = f'store = "{self.store}"\ndirect = true\n' if self.store else ""
            config.write_text(f'data = "{self.data}"\n{stored}{self.server}')
            arguments += ["--config", str(config)]
        self._start("server", "server", *arguments)

        def answers() -> bool:
            try:
                with Client(self.url, "") as client:
                    client.health()
            except HeadwayError:
                return False
            return True

        self.wait("the server to answer", answers)

    @property
    def token(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    def client(self) -> Client:
        return Client(self.url, self.token)

    def apply(self, *steps: Step, **facts: Any) -> None:
        plan = steps or (Step("production", soak=0, checks=Checks.NONE, concurrency="100%"),)
        with self.client() as client:
            client.apply_app(AppConfig(APP, plans={"default": plan}, metrics=(), **facts))

    # Agents.

    def start_agent(self, name: str, tier: str = "production", extra: str = "") -> None:
        home = self.home / name
        if not (home / "agent.toml").exists():
            home.mkdir(exist_ok=True)
            with self.client() as client:
                token = client.create_token(TokenRequest(name, "node")).token
            (home / "token").touch(0o600)
            (home / "token").write_text(token)
            keys = self.data / "keys"
            (home / "agent.toml").write_text(
                f"""
node = "{name}"
zone = "east"
server = "{self.url}"
token_file = "token"
root = "root"
report_every = 0.5
{f'store = "{self.store}"' if self.store else ""}
[trust]
build = [{json.dumps(str(keys / "build.key.pub"))}]
release = [{json.dumps(str(keys / "release.key.pub"))}]
[[apps]]
name = "{APP}"
tier = "{tier}"
{extra}
"""
            )
        self._start(name, "agent", "--config", str(home / "agent.toml"))

    def enrolled(self, count: int) -> None:
        with self.client() as client:
            self.wait(f"{count} nodes", lambda: len(client.nodes(APP)) == count)

    def tree(self, name: str) -> dict[str, str]:
        """What the node's ``current`` leads to: file → text."""
        current = self.home / name / "root" / APP / "current"
        if not current.exists():
            return {}
        hot = current.resolve()
        return {
            str(path.relative_to(hot)): path.read_text()
            for path in sorted(hot.rglob("*"))
            if path.is_file()
        }

    def state_of(self, name: str) -> NodeStatus:
        with self.client() as client:
            return client.node(name)[0]

    # Builds and rollouts.

    def headway(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        env = os.environ | {
            "HEADWAY_SERVER": self.url,
            "HEADWAY_TOKEN_FILE": str(self.data / "admin.token"),
            "HEADWAY_BUILD_KEY": str(self.data / "keys" / "build.key"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "headway", *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not ok or done.returncode == 0, done.stderr
        return done

    def publish(self, **files: str) -> str:
        """Publish a build of these files (name → text); its id."""
        tree = self.home / f"tree-{time.monotonic_ns()}"
        tree.mkdir()
        for name, text in files.items():
            (tree / name).write_text(text)
        done = self.headway(
            "build", "publish", str(tree), "--app", APP, "--commit", "abc123", "--json"
        )
        return str(json.loads(done.stdout)["id"])

    def deploy(self, build: str) -> str:
        with self.client() as client:
            return client.deploy(APP, DeployRequest(build)).rollout.id

    def view(self, rollout: str) -> RolloutView:
        with self.client() as client:
            return client.rollout(rollout)

    def finish(self, rollout: str) -> RolloutView:
        """Wait until the rollout has ended."""
        self.wait(
            "the rollout to end",
            lambda: self.view(rollout).rollout.phase not in LIVE,
            lambda: self.view(rollout).rollout.why,
        )
        return self.view(rollout)

    # Processes.

    def kill(self, name: str) -> None:
        """SIGKILL a process, and nothing else."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop_agent(self, name: str) -> None:
        """SIGTERM, as an operator does."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(15)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()

    def wait(
        self,
        what: str,
        done: Callable[[], bool],
        story: Callable[[], str] = lambda: "",
    ) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {what}: {story()}"
            time.sleep(0.05)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "headway", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextlib.contextmanager
def real_fleet(home: Path, store: str = "", server: str = "") -> Iterator[RealFleet]:
    """A running control plane; with the URL of a ``store``, agents watch and report there.

    ``server`` is more of its configuration file.
    """
    fleet = RealFleet(home, store, server)
    try:
        fleet.start_server()
        yield fleet
    finally:
        fleet.stop()
