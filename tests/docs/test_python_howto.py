"""The samples of "Use the API from Python" do what the page says, one after another."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.model.plan import AppConfig, Checks, Gate, Step
from headway.signing import Trust
from tests.acceptance.server_process import Agent, Server, until

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-api-from-python.md"
SAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
STEPS = {"checks": Checks.NONE, "soak": 0, "concurrency": "100%"}
PLAN = (Step("canary", gate=Gate.MANUAL, **STEPS), Step("production", gate=Gate.MANUAL, **STEPS))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    begun = Server(tmp_path / "data")
    begun.set_up(AppConfig("web", plans={"default": PLAN}, metrics=(), silent_after=60.0))
    trust = Trust.load([begun.data / "keys" / "release.key.pub"])
    tiers = {"n1": "canary", "n2": "production"}
    agents = [Agent(begun.url, begun.node_token(n), n, tier, trust) for n, tier in tiers.items()]
    for agent in agents:
        agent.start()
    until(lambda: len(begun.call("GET", "/v1/nodes").json()) == 2, "all are enrolled")
    yield begun
    for agent in agents:
        agent.stopped.set()
    begun.stop()
    for agent in agents:
        agent.join(30)


def test_the_samples_run(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = server.publish("web", b"one")
    monkeypatch.setenv("HEADWAY_SERVER", server.url)
    monkeypatch.setenv("HEADWAY_TOKEN", server.token)
    names = {"url": server.url, "token": server.token}
    for sample in SAMPLES:
        exec(compile(sample, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert "admin admin" in said
    assert "not_found there is no app no-such-app" in said
    assert "succeeded" in said
    assert f"n1 {build}" in said
    assert len(SAMPLES) == 7
