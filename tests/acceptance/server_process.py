"""A control plane as a real process, and agents that speak its protocol over HTTP."""

import base64
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx2
import msgspec

from headway.builds import attestation, layout, listing
from headway.builds.frames import compress
from headway.core.goal import goal
from headway.model.build import Build, Entry, Kind
from headway.model.plan import AppConfig
from headway.model.report import Activity, Enrolment, Report
from headway.model.signal import RECORD_TYPE, SIGNAL_TYPE, NodeRecord, Signal, signal_key
from headway.signing import Signer, Trust

RUN = """
import sys
from pathlib import Path
from headway.errors import HeadwayError
from headway.server.config import ServerConfig
from headway.server.main import serve
more = {{}}
{sabotage}
try:
    data, listen, store, *_ = [*sys.argv[1:], ""]
    serve(ServerConfig(data=Path(data), listen=listen, store=store or None, log="debug", **more))
except HeadwayError as error:
    sys.exit(print(error.sentence, file=sys.stderr) or error.exit_code)
"""

DIES_BEFORE_THE_SIGNAL = """
import os, signal
from headway.server.publisher import Publisher
async def put_signal(self, signal_):
    os.kill(os.getpid(), signal.SIGKILL)
Publisher.put_signal = put_signal
"""


def until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


class Server:
    """Starts at once, and is ready when the constructor returns, unless it is to stand by."""

    def __init__(
        self,
        data: Path,
        listen: str = "127.0.0.1:0",
        sabotage: str = "",
        store: str = "",
        stands_by: bool = False,
    ) -> None:
        self.data = data
        self.log = data.parent / "server.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN.format(sabotage=sabotage), str(data), listen, store],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url = f"http://{listen}"
        if not stands_by:
            self.lead()
        self.client = httpx2.Client(base_url=self.url, timeout=20, trust_env=False, verify=False)

    def lead(self) -> None:
        """Wait until it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "ready at http://" in line, self.log.read_text()
        self.url = line.split()[-1]
        self.listen = self.url.removeprefix("http://")
        self.token = (self.data / "admin.token").read_text().strip()

    def call(self, method: str, path: str, body: object = None, token: str = "") -> httpx2.Response:
        return self.client.request(
            method,
            path,
            headers={"Authorization": f"Bearer {token or self.token}"},
            content=body if isinstance(body, bytes) else msgspec.json.encode(body),
        )

    def publish(self, app: str, content: bytes) -> str:
        """Publish a build of one link, named for ``content``; its id."""
        name = sha256(content).hexdigest()
        content = listing.encode([Entry(name, Kind.LINK, target="nowhere")])
        build = Build(listing.digest(content), app, "c0ffee", 1.0, "ci", 1, 1, 1)
        frame = b"".join(compress([content], len(content)))
        path = f"/v1/store/{layout.manifest(app, build.id)}"
        assert self.call("PUT", path, frame).status_code == 204
        signer = Signer.load(self.data / "keys" / "build.key")
        envelope = attestation.seal(build, signer)
        assert self.call("POST", f"/v1/apps/{app}/builds", envelope).status_code == 201
        return build.id

    def set_up(self, config: AppConfig) -> None:
        assert self.call("PUT", f"/v1/apps/{config.name}", config).status_code == 200

    def node_token(self, node: str) -> str:
        made = self.call("POST", "/v1/tokens", {"name": node, "role": "node"})
        assert made.status_code == 201
        return str(made.json()["token"])

    def phase(self, rollout: str) -> str:
        try:
            answer = self.call("GET", f"/v1/rollouts/{rollout}")
        except httpx2.HTTPError:
            return ""
        return str(answer.json()["rollout"]["phase"]) if answer.status_code == 200 else ""

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        self.client.close()
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Agent(threading.Thread):
    """Follows its signal as a real agent does, and runs builds by name only."""

    def __init__(self, url: str, token: str, node: str, tier: str, trust: Trust) -> None:
        super().__init__(name=node, daemon=True)
        self.node, self.tier = node, tier
        self.running: str | None = None
        self.epochs: list[int] = []
        self.stopped = threading.Event()
        self._trust = trust
        self._signal: Signal | None = None
        self._record: NodeRecord | None = None
        self._seq = 0
        self._client = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
            trust_env=False,
            verify=False,
        )

    def run(self) -> None:
        with self._client:
            while not self.stopped.is_set():
                try:
                    self._follow()
                except httpx2.HTTPError:
                    self.stopped.wait(0.1)

    def _follow(self) -> None:
        enrolment = Enrolment(self.node, "z", {"web": self.tier})
        self._post("/v1/node/enrol", enrolment)
        self._act()
        with self._client.stream("GET", "/v1/node/watch?apps=web") as response:
            for line in response.iter_lines():
                if self.stopped.is_set():
                    return
                if line.startswith("data: "):
                    self._take(msgspec.json.decode(line.removeprefix("data: ")))
                    self._act()

    def _take(self, update: dict[str, str]) -> None:
        envelope = base64.b64decode(update["value"])
        if update["key"] == signal_key("web"):
            payload = self._trust.open(envelope, SIGNAL_TYPE)
            self._signal = msgspec.json.decode(payload, type=Signal)
            self.epochs.append(self._signal.epoch)
        else:
            payload = self._trust.open(envelope, RECORD_TYPE)
            self._record = msgspec.json.decode(payload, type=NodeRecord)

    def _act(self) -> None:
        wanted = goal(self._signal, self._record, None, time.time(), "web").run
        self.running = wanted or self.running
        self._seq += 1
        report = Report(
            node=self.node,
            app="web",
            boot="boot",
            seq=self._seq,
            epoch=self._signal.epoch if self._signal else 0,
            activity=Activity.IDLE,
            running=self.running,
            prepared=None,
            why="idle",
            at=time.time(),
        )
        self._post("/v1/node/reports", [report])

    def _post(self, path: str, body: object) -> None:
        self._client.post(path, content=msgspec.json.encode(body)).raise_for_status()
