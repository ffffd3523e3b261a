"""A control plane and its agents over Consul, ZooKeeper and etcd: a rollout, and a store away."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from headway.model.plan import AppConfig, Checks, Step
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.model.views import DeployRequest
from headway.signals.stores import open_store
from headway.signing import Signer, Trust
from tests.acceptance.server_process import Agent, Server, until
from tests.contract.store_servers import start

CONFIG = AppConfig(
    name="web",
    plans={"default": (Step("production", soak=0, checks=Checks.NONE, concurrency="100%"),)},
)


def stored_signal(url: str, trust: Trust) -> Signal:
    async def read() -> bytes:
        store = open_store(url)
        try:
            entry = await store.get(signal_key("web"))
        finally:
            await store.close()
        assert entry is not None
        return entry.value

    payload = trust.open(asyncio.run(read()), SIGNAL_TYPE)
    return msgspec.json.decode(payload, type=Signal)


# Every kind passes the contract tests; here the fleet as a whole runs over one, or over all.
KINDS = ["consul", "etcd", "zookeeper"] if os.environ.get("HEADWAY_FAULTS") else ["consul"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_over_a_real_store_also_when_it_goes_away(
    kind: str, tmp_path: Path, program
) -> None:
    with start(kind, tmp_path / "store", program) as cluster:
        url = cluster.url("fleet/one")
        server = Server(tmp_path / "data", store=url)
        agents: list[Agent] = []
        try:
            trust = Trust.of(Signer.load(server.data / "keys" / "release.key").public_pem)
            server.set_up(CONFIG)
            first, second = server.publish("web", b"one"), server.publish("web", b"two")
            for node in ("n1", "n2", "n3"):
                token = server.node_token(node)
                agents.append(Agent(server.url, token, node, "production", trust))
                agents[-1].start()
            nodes = lambda: len(server.call("GET", "/v1/nodes").json())  # noqa: E731
            until(lambda: nodes() == len(agents), "all have enrolled")

            rollout = deploy(server, first)
            until(lambda: server.phase(rollout) == "succeeded", "the first build is out")
            assert {agent.running for agent in agents} == {first}
            assert stored_signal(url, trust).target == first

            cluster.servers[0].kill()
            refused = server.call("POST", "/v1/apps/web/rollouts", DeployRequest(second))
            assert refused.status_code == 503
            assert "does not answer" in refused.json()["sentence"]
            assert {agent.running for agent in agents} == {first}
            cluster.servers[0].start()
            cluster.ready()
            rollout = deploy(server, second)
            until(lambda: server.phase(rollout) == "succeeded", "the second build is out")
            assert {agent.running for agent in agents} == {second}
            assert all(agent.epochs == sorted(agent.epochs) for agent in agents)
            assert not (server.data / "signals.db").exists()
        finally:
            for agent in agents:
                agent.stopped.set()
            server.stop()


def deploy(server: Server, build: str) -> str:
    made = server.call("POST", "/v1/apps/web/rollouts", DeployRequest(build))
    assert made.status_code == 201, made.text
    return str(made.json()["rollout"]["id"])
