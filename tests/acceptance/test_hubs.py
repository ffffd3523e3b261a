"""Hubs before a control plane, with a fleet at them that speaks the real protocol."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from headway.hub.main import RunningHub
from headway.model.access import Role
from headway.model.plan import AppConfig
from headway.model.rollout import Phase
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.model.views import DeployRequest
from headway.server.auth.callers import fingerprint
from headway.server.config import ServerConfig
from headway.server.database import tokens
from headway.server.database.tokens import Token
from headway.server.main import Listening
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from headway.testing import FakeFleet, Place
from tests.unit.server.conftest import RELEASE_KEY, make_plane
from tests.unit.server.herd import NEW, OLD, PLAN, TRUST, build, set_up

pytestmark = pytest.mark.anyio
SIZE = 12


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Site:
    """A control plane and two hubs in this process, each at a port of its own."""

    def __init__(self, plane: ControlPlane, store: MemorySignals) -> None:
        self.plane, self.store = plane, store
        self.hubs: list[RunningHub] = []
        self.urls: list[str] = []
        self.server_url = ""
        self.places = [Place(f"n{i}", f"token-{i}", "production", f"z{i % 2}") for i in range(SIZE)]

    async def open_hub(self) -> RunningHub:
        listener = socket.create_server(("127.0.0.1", 0))
        hub = RunningHub(self.store, TRUST, self.server_url)
        await hub.start(listener)
        self.hubs.append(hub)
        self.urls.append(f"http://127.0.0.1:{listener.getsockname()[1]}")
        return hub

    def fleet(self, places: list[Place] | None = None) -> FakeFleet:
        return FakeFleet(self.urls, "web", places or self.places, TRUST, report_every=0.3)

    async def deploy(self, number: str) -> str:
        request = DeployRequest(number, supersede=True)
        return await self.plane.engine.deploy("web", build(number), request, "kim")

    async def reaches(self, rollout: str, phase: Phase) -> None:
        async def state() -> Phase:
            known = await self.plane.engine.situation("web")
            assert known.latest is not None and known.latest.id == rollout
            return known.latest.phase

        async with asyncio.timeout(40):
            while await state() is not phase:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def site(tmp_path: Path, silent_after: float = 15.0) -> AsyncIterator[Site]:
    store = MemorySignals()
    plane = make_plane(tmp_path, store, time.time)
    made = Site(plane, store)
    config = AppConfig("web", plans={"default": PLAN}, metrics=(), silent_after=silent_after)
    await set_up(plane, config)
    for place in made.places:
        token = Token(place.node, Role.NODE, fingerprint(place.token), 1.0)
        await plane.database.write(lambda c, t=token: tokens.add(c, t))
    await plane.start()
    listener = socket.create_server(("127.0.0.1", 0))
    made.server_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = Listening(plane, ServerConfig(tmp_path))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(plane.close)

        async def stop() -> None:
            server.should_exit = True
            await serving

        stack.push_async_callback(stop)
        made.stop_server = stop  # type: ignore[attr-defined]

        async def close_hubs() -> None:
            for hub in made.hubs:
                await hub.close()

        stack.push_async_callback(close_hubs)
        await made.open_hub()
        await made.open_hub()
        yield made


async def test_a_deploy_through_hubs_one_of_which_dies(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.fleet() as fleet:
        assert {hub.nodes.held for hub in here.hubs} != {0, SIZE}
        await bring(here, OLD)
        assert fleet.running(OLD) == SIZE
        await here.hubs[0].close()
        await bring(here, NEW)
        assert fleet.running(NEW) == SIZE
        assert here.hubs[1].nodes.held == SIZE
        assert not fleet.errors


async def test_a_hub_brings_a_revert_while_the_control_plane_is_dead(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.fleet(here.places[:6]) as fleet:
        await fleet.until(lambda: fleet.connected == 6)
        async with FakeFleet([here.server_url], "web", here.places[6:], TRUST):
            pass
        await here.deploy(OLD)
        await here.stop_server()  # type: ignore[attr-defined]
        fresh = await here.open_hub()
        late = FakeFleet(here.urls[-1:], "web", here.places[6:], TRUST)
        await late.connect()
        entry = await here.store.get(signal_key("web"))
        assert entry is not None
        signal = msgspec.json.decode(TRUST.open(entry.value, SIGNAL_TYPE), type=Signal)
        back = structs.replace(signal, epoch=signal.epoch + 1, base=NEW, fractions={})
        sealed = RELEASE_KEY.seal(msgspec.json.encode(back), SIGNAL_TYPE)
        await here.store.put(signal_key("web"), sealed, entry.revision)
        await fleet.until(lambda: fleet.running(NEW) == 6)
        await late.until(lambda: late.running(NEW) == 6)
        assert fresh.nodes.held == 6
        await late.close()


async def test_a_token_that_is_revoked_ends_the_watch_at_every_hub(tmp_path: Path) -> None:
    async with site(tmp_path) as here, here.fleet() as fleet:
        await fleet.until(lambda: fleet.connected == SIZE)
        here.plane.callers.revoke("n3")
        await here.plane.roster.retoken("n3", "kim")
        await fleet.until(lambda: fleet.connected == SIZE - 1)
        await fleet.until(lambda: any("401" in error for error in fleet.errors))
        assert sum(hub.nodes.held for hub in here.hubs) == SIZE - 1


async def test_a_node_behind_a_hub_that_falls_silent_blocks_green(tmp_path: Path) -> None:
    async with site(tmp_path, silent_after=1.5) as here:
        gone = here.fleet(here.places[:1])
        await gone.enrol()
        async with here.fleet(here.places[1:]):
            rollout = await here.deploy(OLD)
            await reports_settle(here, SIZE - 1)
            known = await here.plane.engine.situation("web")
            assert known.latest is not None
            assert (known.latest.id, known.latest.phase) == (rollout, Phase.ROLLING)
            view = here.plane.engine.view(known, here.plane.clock())
            states = [node.state for nodes in view.tiers.values() for node in nodes]
            assert states.count("unknown") == 1
        await gone.close()


async def bring(here: Site, number: str) -> None:
    await here.reaches(await here.deploy(number), Phase.SUCCEEDED)


async def reports_settle(here: Site, count: int) -> None:
    fleet = here.plane.fleet

    def attested() -> bool:
        heard = [fleet.heard(place.node, "web") for place in here.places]
        return sum(known is not None and known[0].running == OLD for known in heard) == count

    async with asyncio.timeout(40):
        while not attested():
            await asyncio.sleep(0.02)
