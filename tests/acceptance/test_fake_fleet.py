"""A fake fleet at a real server process: what it shows is what real agents would do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.model.rollout import NodeState, Phase
from headway.model.views import ActionRequest, TokenRequest
from headway.signing import Trust
from headway.testing import FakeFleet, Place
from tests.acceptance.fleet import APP, RealFleet, real_fleet

pytestmark = pytest.mark.anyio
SIZE = 25


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealFleet]:
    with real_fleet(tmp_path) as server:
        server.apply(silent_after=6.0)
        yield server


def places(server: RealFleet) -> list[Place]:
    with server.client() as client:
        names = [f"n{i:02}" for i in range(SIZE)]
        made = [client.create_token(TokenRequest(name, "node")) for name in names]
    return [Place(token.name, token.token, zone=f"z{i % 3}") for i, token in enumerate(made)]


def trust(server: RealFleet) -> Trust:
    return Trust.load([server.data / "keys" / "release.key.pub"])


async def ends(server: RealFleet, fleet: FakeFleet, rollout: str, phase: Phase) -> str:
    seen = server.view(rollout)

    def is_there() -> bool:
        nonlocal seen
        seen = server.view(rollout)
        return seen.rollout.phase is phase

    await fleet.until(is_there)
    return seen.rollout.why


async def test_a_deploy_a_failure_and_a_revert(server: RealFleet) -> None:
    good, bad = server.publish(page="good"), server.publish(page="bad")
    broken = {"n03", "n07"}
    async with FakeFleet(
        [server.url],
        APP,
        places(server),
        trust(server),
        fetch=lambda node, build: 0.05,
        restart=lambda node, build: 0.1,
        fails=lambda node, build: build == bad and node in broken,
        report_every=1.0,
    ) as fleet:
        first = server.deploy(good)
        await ends(server, fleet, first, Phase.SUCCEEDED)
        assert fleet.running(good) == SIZE
        second = server.deploy(bad)
        why = await ends(server, fleet, second, Phase.PAUSED)
        # The pause may come with the first of the two.
        assert re.search(rf"[12] of {SIZE} nodes of production 100 % failed: n0[37]", why)
        await fleet.until(lambda: fleet.running(bad) == SIZE - len(broken))
        with server.client() as client:
            failed = client.nodes(APP, state=NodeState.FAILED)
            assert {node.node for node in failed} == broken
            client.act(second, "revert", ActionRequest("it does not start"))
        await ends(server, fleet, second, Phase.REVERTED)
        assert fleet.running(good) == SIZE
        assert not fleet.errors


async def test_a_server_that_is_killed_and_a_node_that_dies(server: RealFleet) -> None:
    good = server.publish(page="good")
    async with FakeFleet(
        [server.url], APP, places(server), trust(server), report_every=1.0
    ) as fleet:
        await fleet.until(lambda: fleet.connected == SIZE)
        server.kill("server")
        await fleet.until(lambda: fleet.connected == 0)
        server.start_server()
        await fleet.until(lambda: fleet.connected == SIZE)
        assert not fleet.errors
        fleet.nodes["n11"].close()
        rollout = server.deploy(good)
        await fleet.until(lambda: fleet.running(good) == SIZE - 1)
        await fleet.until(lambda: server.state_of("n11").state == "unknown")
        assert server.view(rollout).rollout.phase is Phase.ROLLING
        with server.client() as client:
            client.forget_node("n11")
        await ends(server, fleet, rollout, Phase.SUCCEEDED)
