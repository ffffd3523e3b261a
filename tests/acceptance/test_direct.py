"""Agents that watch a real store and report in it, with the control plane and without."""

import asyncio
import os
from pathlib import Path

import pytest

from headway.model.plan import Checks, Gate, Step
from headway.model.report import presence_key
from headway.model.rollout import NodeState, Phase
from headway.model.views import ActionRequest
from headway.signals.stores import open_store
from tests.acceptance.fleet import RealFleet, real_fleet
from tests.contract.store_servers import start

PLAN = (
    Step("production", share=0.5, soak=0, checks=Checks.NONE, concurrency="100%"),
    Step("production", soak=0, gate=Gate.MANUAL, checks=Checks.NONE, concurrency="100%"),
)


# Every kind passes the contract tests; here the fleet as a whole runs over one, or over all.
KINDS = ["consul", "etcd", "zookeeper"] if os.environ.get("HEADWAY_FAULTS") else ["zookeeper"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_to_agents_that_watch_the_store_themselves(
    kind: str, tmp_path: Path, program
) -> None:
    with (
        start(kind, tmp_path / "store", program) as cluster,
        real_fleet(tmp_path, cluster.url("direct")) as fleet,
    ):
        fleet.apply(*PLAN)
        for name in ("n1", "n2"):
            fleet.start_agent(name)
        fleet.enrolled(2)
        rollout = fleet.deploy(fleet.publish(release="1"))
        with fleet.client() as client:
            fleet.wait("the gate", lambda: fleet.view(rollout).rollout.phase is Phase.WAITING)
            assert sorted(len(fleet.tree(name)) for name in ("n1", "n2")) == [0, 1]
            client.act(rollout, "advance", ActionRequest())
        assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED
        assert [fleet.tree(name) for name in ("n1", "n2")] == [{"release": "1"}] * 2
        assert present(cluster.url("direct")) == {presence_key("n1"), presence_key("n2")}


def test_presence_is_what_counts_and_the_control_plane_may_be_away(tmp_path: Path, program) -> None:
    with (
        start("etcd", tmp_path / "store", program) as cluster,
        real_fleet(tmp_path, cluster.url("direct")) as fleet,
    ):
        fleet.apply(silent_after=5.0)
        for name in ("n1", "n2"):
            fleet.start_agent(name)
        fleet.enrolled(2)
        assert fleet.finish(fleet.deploy(fleet.publish(release="1"))).rollout.phase is (
            Phase.SUCCEEDED
        )
        fleet.stop_agent("n2")
        state(fleet, "n2", NodeState.UNKNOWN)
        # Longer than its app may be silent, the other one has had nothing to say.
        assert fleet.state_of("n1").state is NodeState.DONE
        fleet.kill("server")
        fleet.start_agent("n2")
        fleet.start_server()
        state(fleet, "n2", NodeState.DONE)
        state(fleet, "n1", NodeState.DONE)
        assert fleet.finish(fleet.deploy(fleet.publish(release="2"))).rollout.phase is (
            Phase.SUCCEEDED
        )
        assert [fleet.tree(name) for name in ("n1", "n2")] == [{"release": "2"}] * 2


def state(fleet: RealFleet, name: str, wanted: NodeState) -> None:
    fleet.wait(f"{name} to be {wanted}", lambda: fleet.state_of(name).state is wanted)


def present(url: str) -> set[str]:
    async def read() -> set[str]:
        store = open_store(url)
        try:
            return set(await store.list("presence/"))
        finally:
            await store.close()

    return asyncio.run(read())
