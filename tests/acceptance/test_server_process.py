"""The control plane as a process: it may be killed at any moment and carries on."""

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from headway.errors import InvalidInput
from headway.model.plan import AppConfig, Checks, Gate, Step
from headway.signals.process import bound
from headway.signing import Trust
from tests.acceptance.server_process import (
    DIES_BEFORE_THE_SIGNAL,
    RUN,
    Agent,
    Server,
    until,
)

PLAN = (
    Step(tier="staging", soak=0, checks=Checks.NONE, concurrency="100%"),
    Step(tier="production", soak=0, checks=Checks.NONE, gate=Gate.MANUAL, concurrency=1),
)
CONFIG = AppConfig(name="web", plans={"default": PLAN}, metrics=(), silent_after=10.0)
NODES = {"s1": "staging", "p1": "production", "p2": "production"}


class Site:
    """A data directory, the servers that ran on it, and agents."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server = Server(data)
        self.agents: list[Agent] = []
        self.started = [self.server]

    def restart(self, sabotage: str = "") -> None:
        self.server = Server(self.data, self.server.listen, sabotage)
        self.started.append(self.server)

    def man(self) -> None:
        trust = Trust.load([self.data / "keys" / "release.key.pub"])
        for node, tier in NODES.items():
            token = self.server.node_token(node)
            self.agents.append(Agent(self.server.url, token, node, tier, trust))
            self.agents[-1].start()
        until(lambda: len(self.server.call("GET", "/v1/nodes").json()) == 3, "all are enrolled")

    def running(self) -> list[str | None]:
        return [agent.running for agent in self.agents]

    def close(self) -> None:
        for agent in self.agents:
            agent.stopped.set()
        for server in self.started:
            server.stop()
        for agent in self.agents:
            agent.join(30)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "data")
    yield site
    site.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for the tests that do not stop it."""
    site = Site(tmp_path_factory.mktemp("standing") / "data")
    yield site
    site.close()


def test_a_rollout_survives_kill_9_of_the_control_plane(site: Site) -> None:
    site.server.set_up(CONFIG)
    site.man()
    build = site.server.publish("web", b"one")
    deployed = site.server.call("POST", "/v1/apps/web/rollouts", {"build": build})
    assert deployed.status_code == 201, deployed.text
    rollout = deployed.json()["rollout"]["id"]
    until(lambda: site.server.phase(rollout) == "waiting", "staging is green")
    assert site.running() == [build, None, None]
    assert site.server.call("POST", f"/v1/rollouts/{rollout}/advance", {}).status_code == 200
    site.server.kill()
    site.restart()
    until(lambda: site.server.phase(rollout) == "succeeded", "the rollout has succeeded")
    assert site.running() == [build] * 3
    for agent in site.agents:
        assert agent.epochs == sorted(agent.epochs)


def test_kill_9_between_the_decision_and_the_signal_converges(site: Site) -> None:
    site.server.set_up(CONFIG)
    site.man()
    build = site.server.publish("web", b"one")
    site.server.stop()
    site.restart(DIES_BEFORE_THE_SIGNAL)
    with pytest.raises(httpx2.HTTPError):
        site.server.call("POST", "/v1/apps/web/rollouts", {"build": build})
    assert site.server.process.wait(30) == -9
    keys = sqlite3.connect(site.data / "signals.db")
    assert keys.execute("SELECT 1 FROM entries WHERE key = 'signals/web'").fetchall() == []
    keys.close()
    site.restart()
    (rollout,) = site.server.call("GET", "/v1/apps/web/rollouts").json()
    until(lambda: site.server.phase(rollout["id"]) == "waiting", "staging is green")
    assert site.running() == [build, None, None]


def test_with_the_database_gone_epochs_still_rise(site: Site) -> None:
    site.server.set_up(CONFIG)
    site.man()
    first = site.server.publish("web", b"one")
    rollout = site.server.call("POST", "/v1/apps/web/rollouts", {"build": first}).json()
    until(lambda: site.server.phase(rollout["rollout"]["id"]) == "waiting", "staging is green")
    for agent in site.agents:
        agent.stopped.set()
    site.server.stop()
    for agent in site.agents:
        agent.join(30)
    seen = max(epoch for agent in site.agents for epoch in agent.epochs)
    site.agents = []
    for file in site.data.glob("headway.db*"):
        file.unlink()
    site.restart()
    site.server.set_up(CONFIG)
    site.man()
    second = site.server.publish("web", b"two")
    rollout = site.server.call("POST", "/v1/apps/web/rollouts", {"build": second}).json()
    assert rollout["rollout"]["epoch"] > seen
    until(lambda: site.server.phase(rollout["rollout"]["id"]) == "waiting", "staging is green")
    assert site.agents[0].running == second


def test_it_stops_in_order_while_streams_are_open(site: Site) -> None:
    site.server.set_up(CONFIG)
    site.man()
    headers = {"Authorization": f"Bearer {site.server.token}"}
    with site.server.client.stream("GET", "/v1/events", headers=headers) as events:
        lines = events.iter_lines()
        assert next(lines).startswith(":")
        for agent in site.agents:
            agent.stopped.set()
        site.server.process.terminate()
        assert site.server.process.wait(30) == 0
        assert all(line == "" or line[0] in ":ed" for line in lines)
    assert '"level": "error"' not in site.server.log.read_text()


def test_events_since_the_last_one_come_first(standing: Site) -> None:
    standing.server.set_up(CONFIG)
    for reason in ("one", "two"):
        hold = {"scope": "app", "on": "web", "reason": reason}
        assert standing.server.call("POST", "/v1/holds", hold).status_code == 201
    headers = {"Authorization": f"Bearer {standing.server.token}", "Last-Event-ID": "1"}
    with standing.server.client.stream("GET", "/v1/events", headers=headers) as events:
        lines = events.iter_lines()
        seen = [line for line, _ in zip(lines, range(8), strict=False)]
        assert [line for line in seen if line.startswith("id: ")] == ["id: 2", "id: 3"]
        standing.server.call("POST", "/v1/holds", {"scope": "app", "on": "web", "reason": "three"})
        assert next(line for line in lines if line.startswith("id: ")) == "id: 4"


def test_an_artifact_goes_up_in_chunks_and_comes_down_in_ranges(standing: Site) -> None:
    content = bytes(range(256)) * 4096
    path = "/v1/store/web/packs/" + "b" * 64
    headers = {"Authorization": f"Bearer {standing.server.token}"}
    client = standing.server.client
    pieces = (content[begin : begin + 100_000] for begin in range(0, len(content), 100_000))
    assert client.put(path, content=pieces, headers=headers).status_code == 204
    assert client.head(path, headers=headers).headers["content-length"] == str(len(content))
    assert client.get(path, headers=headers).content == content
    part = client.get(path, headers=headers | {"Range": "bytes=1000-600000"})
    assert (part.status_code, part.content) == (206, content[1000:600_001])
    beyond = client.get(path, headers=headers | {"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416


def test_the_first_start_leaves_its_secrets_to_the_owner_alone(site: Site) -> None:
    for secret in ("admin.token", "keys/release.key", "keys/build.key"):
        assert stat.S_IMODE((site.data / secret).stat().st_mode) == 0o600
    assert stat.S_IMODE(site.data.stat().st_mode) == 0o700
    whoami = site.server.call("GET", "/v1/whoami")
    assert whoami.json() == {"name": "admin", "role": "admin"}
    token = site.server.token
    site.server.stop()
    site.restart()
    assert site.server.token == token
    assert token not in site.server.log.read_text()
    assert token.encode() not in (site.data / "headway.db").read_bytes()


@pytest.mark.parametrize(
    ("own_data", "own_port", "sentence"),
    [
        (False, True, "another server is running on"),
        (True, False, "cannot listen on 127.0.0.1"),
    ],
)
def test_a_second_server_is_refused_in_a_sentence(
    standing: Site, tmp_path: Path, own_data: bool, own_port: bool, sentence: str
) -> None:
    data = tmp_path / "other" if own_data else standing.data
    listen = "127.0.0.1:0" if own_port else standing.server.listen
    second = subprocess.run(
        [sys.executable, "-c", RUN.format(sabotage=""), str(data), listen],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 3
    assert sentence in second.stderr
    assert "Traceback" not in second.stderr
    assert standing.server.call("GET", "/v1/health").json()["status"] == "ok"


@pytest.mark.parametrize("listen", ["8700", "127.0.0.1:x", "127.0.0.1:70000", "no.host.invalid:1"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(InvalidInput), bound(listen):
        pass
