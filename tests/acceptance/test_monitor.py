"""The monitor on a real terminal, in front of a real control plane and agents that follow it."""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from headway.model.plan import AppConfig, Checks, Gate, Guarding, Importance, Metric, Step
from headway.signing import Trust
from tests.acceptance.server_process import Agent, Server, until
from tests.acceptance.terminal import Terminal

PLAN = (
    Step(tier="staging", soak=0, checks=Checks.NONE, concurrency="100%"),
    Step(tier="production", soak=8, gate=Gate.MANUAL, concurrency="100%"),
)
ERRORS = Metric(
    name="errors",
    counter="errors",
    per="requests",
    importance=Importance.CRITICAL,
    compare=False,
    above=0.02,
    min_count=10,
)
CONFIG = AppConfig(
    name="web",
    plans={"default": PLAN},
    metrics=(ERRORS,),
    guard=Guarding(warmup=0.5),
    silent_after=15.0,
)
COLOUR = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7])[;m]")
NODES = {"s1": "staging", "p1": "production", "p2": "production", "p3": "production"}


class Serving(Agent):
    """An agent whose application has traffic, and errors under the build ``bad``."""

    bad = ""

    def __init__(self, url: str, token: str, node: str, tier: str, trust: Trust) -> None:
        super().__init__(url, token, node, tier, trust)
        self._lock = threading.Lock()
        self._requests = self._errors = 0.0
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def run(self) -> None:
        self._ticker.start()
        super().run()
        self._ticker.join()

    def _tick(self) -> None:
        while not self.stopped.wait(0.5):
            with suppress(httpx2.HTTPError, RuntimeError):
                self._act()

    def _act(self) -> None:
        with self._lock:
            super()._act()

    def _post(self, path: str, body: object) -> None:
        if isinstance(body, list):
            self._requests += 100
            self._errors += 50 if self.bad and self.running == self.bad else 0
            counted = {"requests": self._requests, "errors": self._errors}
            body = [replace(report, counters=counted) for report in body]
        super()._post(path, body)


class Site:
    """A control plane and its fleet."""

    def __init__(self, data: Path) -> None:
        self.server = Server(data)
        self.server.set_up(CONFIG)
        trust = Trust.load([data / "keys" / "release.key.pub"])
        self.agents = [
            Serving(self.server.url, self.server.node_token(node), node, tier, trust)
            for node, tier in NODES.items()
        ]
        for agent in self.agents:
            agent.start()
        until(lambda: self.heard() == len(NODES), "all report")
        self.terminals: list[Terminal] = []

    def heard(self) -> int:
        nodes = self.server.call("GET", "/v1/nodes?app=web").json()
        return sum(node["last_seen"] is not None for node in nodes)

    def deploy(self, content: bytes) -> tuple[str, str]:
        """Publish and deploy a build: its id, and the rollout's once staging is green."""
        build = self.server.publish("web", content)
        answer = self.server.call("POST", "/v1/apps/web/rollouts", {"build": build})
        assert answer.status_code == 201, answer.text
        rollout = str(answer.json()["rollout"]["id"])
        until(lambda: self.server.phase(rollout) == "waiting", "staging is green")
        return build, rollout

    def act(self, rollout: str, action: str) -> None:
        answer = self.server.call("POST", f"/v1/rollouts/{rollout}/{action}", {})
        assert answer.status_code == 200, answer.text

    def terminal(self, *arguments: str, **more: str) -> Terminal:
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment = keep | {
            "HEADWAY_SERVER": self.server.url,
            "HEADWAY_TOKEN": self.server.token,
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }
        argv = [sys.executable, "-m", "headway", *arguments]
        self.terminals.append(Terminal(argv, environment | more))
        return self.terminals[-1]

    def close(self) -> None:
        for terminal in self.terminals:
            terminal.close()
        for agent in self.agents:
            agent.stopped.set()
        self.server.stop()
        for agent in self.agents:
            agent.join(30)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "data")
    yield site
    site.close()


def settled(screen: Terminal, text: str) -> str:
    """The screen once a text stands there, and has for so long that keys count."""
    screen.shows(text)
    screen.read_for(1.2)
    return screen.screen


def test_a_deploy_is_watched_and_steered(site: Site) -> None:
    build, rollout = site.deploy(b"first")
    screen = site.terminal("watch")
    shown = settled(screen, "Advance to production")
    assert build[:12] in shown
    assert "a advance" in shown.splitlines()[-1]
    screen.press("a")
    settled(screen, "Watching")
    assert site.server.phase(rollout) == "soaking"
    screen.press("p")
    settled(screen, "Paused")
    screen.press("R")
    settled(screen, "Watching")

    # What hurts asks for a reason, and without one nothing happens.
    screen.press("x")
    screen.shows("Abort, leave nodes as they are?")
    screen.press("\r")
    screen.shows("A reason first")
    assert site.server.phase(rollout) == "soaking"
    screen.press("lunch\r")
    assert "lunch" in settled(screen, "Aborted")

    # The next rollout comes up by itself, and goes on without whoever leaves.
    build, rollout = site.deploy(b"second")
    settled(screen, build[:12])
    screen.press("\r")
    screen.shows("4 of 4 nodes")
    assert "s1" in screen.shows("should run")
    screen.press("\x1b")
    settled(screen, "a advance")
    screen.press("q")
    assert screen.ended() == 0
    assert site.server.phase(rollout) == "waiting"


def test_an_automatic_revert_is_followed_to_its_end_with_its_reason(site: Site) -> None:
    good, rollout = site.deploy(b"good")
    site.act(rollout, "advance")
    until(lambda: all(agent.running == good for agent in site.agents), "all run it")
    until(lambda: site.server.phase(rollout) == "succeeded", "it is live", 90)
    Serving.bad = site.server.publish("web", b"bad")
    try:
        watching = site.terminal("watch", "web")
        watching.shows("Live everywhere")
        screen = site.terminal("deploy", "web", Serving.bad, "--wait", NO_COLOR="1")
        settled(screen, "Advance to production")
        screen.press("a")
        assert screen.ended(120) == 10
    finally:
        Serving.bad = ""
    assert "headway: the rollout of web was reverted" in screen.screen
    assert "errors" in screen.screen
    assert not COLOUR.search(screen.raw), "NO_COLOR was asked for"
    # Whoever merely watches still has the end on the screen, and why.
    shown = watching.shows("Reverted")
    assert "↺ reverted" in shown
    assert "errors on production" in shown
    assert COLOUR.search(watching.raw)
    assert all(agent.running == good for agent in site.agents)


def test_a_control_plane_that_stops_answering_is_told_with_its_age(site: Site) -> None:
    site.deploy(b"first")
    screen = site.terminal("watch", "web")
    settled(screen, "a advance")
    os.kill(site.server.process.pid, signal.SIGSTOP)
    try:
        shown = screen.shows("NOT LIVE", 40)
        assert "a advance" in shown, "the last picture stays"
        screen.press("a")
        screen.shows("Nothing was sent")
    finally:
        os.kill(site.server.process.pid, signal.SIGCONT)
    screen.until(lambda text: "NOT LIVE" not in text, "it is live again", 60)
    screen.press("q")
    assert screen.ended() == 0


def test_without_a_capable_terminal_it_writes_lines(site: Site) -> None:
    build, _ = site.deploy(b"first")
    screen = site.terminal("watch", "web", TERM="dumb")
    screen.shows(f"web {build[:12]}: step 1 of 2")
    assert b"\x1b" not in screen.raw
    screen.press("\x03")
    assert screen.ended() == 130
