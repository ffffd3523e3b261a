"""The guard's memory outlives the process, is bounded, and the watch holds what burns."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from headway.guard.counters import BUCKET, KEPT, SLOT, News, Slot
from headway.guard.watch import Guard
from headway.model.access import Role
from headway.model.plan import Action, AppConfig, Checks, Guarding, Importance, Metric, Watching
from headway.model.report import Activity, Report
from headway.model.rollout import Phase
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import guard as memory
from headway.server.database import holds, journal, rollouts
from headway.server.database.connection import Database
from headway.server.plane import ControlPlane
from headway.server.supplies import Supplies
from headway.signals.memory import MemorySignals
from headway.signing import Trust
from tests.unit.server.conftest import BUILD_KEY, RELEASE_KEY, Clock, Web
from tests.unit.server.herd import NEW, OLD, PLAN, Herd, build, set_up

pytestmark = pytest.mark.anyio

ERRORS = Metric("errors", "errors", per="requests", importance=Importance.CRITICAL, above=0.05)
WATCHED = tuple(msgspec.structs.replace(step, checks=Checks.WATCH) for step in PLAN)
CONFIG = AppConfig(
    "web",
    plans={"default": WATCHED},
    metrics=(ERRORS,),
    guard=Guarding(warmup=0.0),
    watch=Watching(then=Action.PAUSE),
    silent_after=1e6,
)
TIERS = {"s1": "staging", "p1": "production", "p2": "production"}


class Lasting(MemorySignals):
    """A signal store that outlives the control plane."""

    async def close(self) -> None: ...


@pytest.fixture
async def signals() -> AsyncIterator[MemorySignals]:
    made = Lasting()
    yield made
    await MemorySignals.close(made)


def make(
    tmp_path: Path, signals: MemorySignals, clock: Clock, supplies: Supplies | None = None
) -> ControlPlane:
    (tmp_path / "artifacts").mkdir(exist_ok=True)
    return ControlPlane(
        database=Database(f"sqlite:///{tmp_path / 'headway.db'}"),
        signals=signals,
        artifacts=tmp_path / "artifacts",
        release_key=RELEASE_KEY,
        build_trust=Trust.of(BUILD_KEY.public_pem),
        clock=clock,
        guard=Guard(),
        supplies=supplies,
    )


class Traffic:
    """What the nodes of a herd count."""

    def __init__(self, herd: Herd, clock: Clock) -> None:
        self.herd, self.clock = herd, clock
        self.totals = {node: {"requests": 0.0, "errors": 0.0} for node in herd.tiers}
        self.seq = 1000

    def run(self, seconds: int, errors: float = 0.01) -> None:
        """Every node reports every five seconds."""
        engine, running = self.herd.plane.engine, self.herd.running
        for _ in range(seconds // 5):
            self.clock.now += 5.0
            for node, totals in self.totals.items():
                self.seq += 1
                totals["requests"] += 200
                totals["errors"] += 200 * (errors if node in ("s1", "p1") else 0.01)
                report = Report(
                    node, "web", "boot", self.seq, 0, Activity.IDLE, running[node], None,
                    "", 0.0, counters=dict(totals),
                )  # fmt: skip
                engine.hear(report)


async def begun(plane: ControlPlane, config: AppConfig = CONFIG) -> Herd:
    await set_up(plane, config)
    await plane.start()
    herd = Herd(plane, TIERS)
    await herd.enrol()
    await herd.beat()
    return herd


async def live(herd: Herd) -> str:
    """The old build everywhere."""
    first = await deployed(herd, OLD)
    await herd.plane.engine.act(first, "advance", ActionRequest("a reason"), "alice")
    await herd.settle()
    assert set(herd.running.values()) == {OLD}
    return first


async def deployed(herd: Herd, number: str) -> str:
    name = await herd.plane.engine.deploy("web", build(number), DeployRequest(number[:8]), "alice")
    await herd.settle()
    return name


async def test_a_restart_in_the_middle_of_a_rollout_loses_no_evidence(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    plane = make(tmp_path, signals, clock)
    herd = await begun(plane)
    await live(herd)
    traffic = Traffic(herd, clock)
    traffic.run(300)
    name = await deployed(herd, NEW)
    for _ in range(10):
        traffic.run(10, errors=0.013)
        await plane.engine.observe("web")
        await plane.guardhouse.keep()
    before = plane.guard.course(name)
    said = before.verdicts()
    looks = len(before.record.looks)
    assert looks >= 15
    await plane.close()

    again = make(tmp_path, signals, clock)
    await again.start()
    course = again.guard.course(name)
    assert course is not None
    assert course.verdicts() == said
    assert len(course.record.looks) == looks
    arms = again.guard.counters.arms("web", OLD)
    assert len(again.guard.counters.buckets(arms, clock.now - 300)) > 30
    kept, latest = await again.database.read(lambda c: memory.record(c, name))
    assert latest == said
    assert len(kept.looks) == looks
    await again.close()


async def test_what_cannot_be_kept_is_kept_the_next_time_and_only_once(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    plane = make(tmp_path, signals, clock)
    herd = await begun(plane)
    first = await deployed(herd, OLD)
    traffic = Traffic(herd, clock)
    write = plane.database.write

    async def interrupted(work):  # type: ignore[no-untyped-def]
        await write(work)
        raise asyncio.CancelledError

    for round in range(4):
        traffic.run(20)
        await plane.engine.observe("web")
        if round % 2:
            await plane.guardhouse.keep()
        else:
            plane.database.write = interrupted  # type: ignore[method-assign]
            with pytest.raises(asyncio.CancelledError):
                await plane.guardhouse.keep()
            plane.database.write = write  # type: ignore[method-assign]
    record = plane.guard.record(first)
    kept, _ = await plane.database.read(lambda c: memory.record(c, first))
    assert len(kept.looks) == len(record.looks) > 0
    assert kept.spans == record.spans
    assert kept.marks == record.marks
    assert kept.told == record.told
    await plane.close()


async def test_memory_on_the_disk_is_bounded(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    plane = make(tmp_path, signals, clock, Supplies(history=3600.0))
    herd = await begun(plane)
    await live(herd)
    traffic = Traffic(herd, clock)
    for _ in range(40):
        traffic.run(300)
        await plane.guardhouse.keep()
    buckets = await plane.database.read(lambda c: memory.buckets(c, 0.0))
    slots = await plane.database.read(lambda c: memory.slots(c, 0.0))
    assert 0 < len(buckets) <= 3 * (KEPT + 1)
    assert min(begin for _, begin in buckets) >= clock.now - KEPT * BUCKET
    assert 0 < len(slots) <= 2 * (3600 / SLOT + 1)
    assert sum(slots[key]["requests"] for key in slots if key.tier == "production") > 0
    assert len(plane.guard.counters._slots) <= 6
    await plane.close()


async def test_a_slot_that_is_being_filled_goes_on_after_a_restart(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    clock.now = 1_000_200.0
    plane = make(tmp_path, signals, clock)
    herd = await begun(plane)
    await live(herd)
    traffic = Traffic(herd, clock)
    traffic.run(50)
    await plane.close()
    again = make(tmp_path, signals, clock)
    await again.start()
    herd.plane = again
    traffic.run(50)
    await again.guardhouse.keep()
    slots = await again.database.read(lambda c: memory.slots(c, 0.0))
    begin = 1_000_200.0 // SLOT * SLOT
    # Ten reports and ten more; the first after each start has nothing before it.
    assert slots[Slot("web", "staging", begin)]["requests"] == 200 * 18
    await again.close()


async def test_a_site_on_fire_is_held_told_and_told_when_it_is_over(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    plane = make(tmp_path, signals, clock)
    herd = await begun(plane)
    other = msgspec.structs.replace(CONFIG, name="shop", watch=Watching())
    await set_up(plane, other)
    await live(herd)
    traffic = Traffic(herd, clock)

    async def run(minutes: int, errors: float) -> None:
        for _ in range(minutes):
            traffic.run(60, errors)
            await plane.guardhouse.round()

    await run(20, 0.01)
    assert await plane.database.read(holds.every) == ()
    await run(3, 0.5)
    placed = await plane.database.read(holds.every)
    assert sorted(hold.on for hold in placed) == ["shop", "web"]
    assert {hold.by for hold in placed} == {"guard"}
    assert "errors is" in placed[0].reason
    lifted = next(hold for hold in placed if hold.on == "web")
    await plane.database.write(lambda c: holds.lift(c, lifted.id))
    await run(10, 0.5)
    assert len(await plane.database.read(holds.every)) == 1, "what a person lifts stays lifted"
    await plane.close()

    # The fire is known after a restart, and its end is told.
    plane = make(tmp_path, signals, clock)
    await plane.start()
    herd.plane = plane
    await run(10, 0.01)
    entries = await plane.database.read(lambda c: journal.entries(c, limit=200))
    told = [entry for entry in entries if entry.kind in ("fire", "over")]
    assert [entry.kind for entry in told] == ["fire", "over"]
    assert "headway hold lift fire-web-shop" in told[1].why
    assert "fire-web`" not in told[1].why
    await plane.close()


async def test_statsd_is_heard_on_a_real_socket(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    plane = make(tmp_path, signals, clock, Supplies(statsd=("127.0.0.1", 0)))
    herd = await begun(plane, msgspec.structs.replace(CONFIG, statsd=("jobs",)))
    await live(herd)
    Traffic(herd, clock).run(10)
    port = plane.guardhouse.statsd_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for _ in range(3):
            line.sendto(b"web.p1.jobs:7|c\nweb.nobody.jobs:7|c", ("127.0.0.1", port))
            await asyncio.sleep(0.05)
            clock.now += 5
            await plane.guardhouse.round()
    assert "jobs" in plane.guard.counters.known("web")
    arms = plane.guard.counters.arms("web", tier="production")
    assert sum(b.sums.get("jobs", 0) for b in plane.guard.counters.buckets(arms, 0.0)) == 14
    await plane.close()


async def test_replay_tune_and_explain_by_the_api(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    from litestar.testing import AsyncTestClient

    from headway.server.app import create_app
    from headway.server.auth.callers import fingerprint, new_secret
    from headway.server.database import tokens
    from headway.server.database.tokens import Token

    plane = make(tmp_path, signals, clock)
    herd = await begun(plane)
    await live(herd)
    traffic = Traffic(herd, clock)
    traffic.run(600)
    name = await deployed(herd, NEW)
    for _ in range(30):
        traffic.run(10, errors=0.2)
        await plane.engine.observe("web")
    state = await plane.database.read(lambda c: rollouts.get(c, name))
    assert state.phase in (Phase.REVERTING, Phase.REVERTED)
    secrets = {role: new_secret() for role in Role}
    for role, secret in secrets.items():
        token = Token("n1" if role is Role.NODE else f"the-{role}", role, fingerprint(secret), 1.0)
        await plane.database.write(lambda c, t=token: tokens.add(c, t))
    await plane.close()

    plane = make(tmp_path, signals, clock)
    async with AsyncTestClient(create_app(plane), raise_server_exceptions=False) as client:
        web = Web(client, secrets, plane)
        again = (await web(Role.VIEWER, "GET", f"/v1/rollouts/{name}/replay")).json()
        assert again["same"] is True
        assert any(one["said"]["outcome"] == "fail" for one in again["verdicts"])
        missing = await web(Role.VIEWER, "GET", "/v1/rollouts/web-999/replay")
        assert missing.status_code == 404

        tuned = (await web(Role.DEPLOYER, "POST", "/v1/apps/web/guard/tune", json={})).json()
        by_name = {one["settings"]: one["tried"] for one in tuned["tunings"]}
        assert by_name["as it is"][0]["action"] == "revert"
        denied = await web(Role.VIEWER, "POST", "/v1/apps/web/guard/tune", json={})
        assert denied.status_code == 403
        blind = {"metrics": [{"name": "errors", "counter": "errors", "per": "requests",
                              "compare": False}]}  # fmt: skip
        tuned = (await web(Role.DEPLOYER, "POST", "/v1/apps/web/guard/tune", json=blind)).json()
        assert [one["tried"][0]["action"] for one in tuned["tunings"]] == ["revert", None]

        why = (await web(Role.VIEWER, "GET", "/v1/apps/web/guard/metrics/errors")).json()
        text = " ".join(why["sentences"])
        assert "errors is errors per requests" in text
        assert "The last verdict: errors" in text
        unknown = await web(Role.VIEWER, "GET", "/v1/apps/web/guard/metrics/nope")
        assert unknown.status_code == 404
        assert "it has errors" in unknown.json()["sentence"]


async def test_a_rollout_knows_the_same_hours_of_earlier_days(
    tmp_path: Path, signals: MemorySignals, clock: Clock
) -> None:
    """From what the control plane has kept itself; four days are the least."""
    for days, known in ((3, False), (6, True)):
        place = tmp_path / str(days)
        place.mkdir()
        store = Lasting()
        plane = make(place, store, clock)
        begin = clock.now // SLOT * SLOT
        slots = {
            Slot("web", "production", begin - day * 86_400.0 + index * SLOT): {
                "requests": 9000.0 + day, "errors": 90.0 + index % 3, "seconds": 600.0,
            }
            for day in range(1, days + 1)
            for index in range(-10, 80)
        }  # fmt: skip
        await plane.database.write(lambda c, s=slots: memory.keep(c, News({}, s)))
        herd = await begun(plane)
        await live(herd)
        Traffic(herd, clock).run(30)
        name = await deployed(herd, NEW)
        await plane.guardhouse.round()
        course = plane.guard.course(name)
        assert course is not None
        Traffic(herd, clock).run(30)
        await plane.engine.observe("web")
        assert bool(np.isfinite(course.record.looks[-1][0, 4])) is known
        await plane.close()
        await MemorySignals.close(store)
