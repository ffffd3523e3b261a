"""Agents that obey at once, and remember what they were told."""

import asyncio

import msgspec

from headway.core.goal import goal
from headway.model.access import Identity, Role
from headway.model.build import Build, Failure
from headway.model.plan import AppConfig, Checks, Gate, Step
from headway.model.report import Activity, Enrolment, Report
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeRecord,
    Signal,
    record_key,
    signal_key,
)
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import apps, builds, journal
from headway.server.plane import ControlPlane
from headway.signing import Trust
from tests.unit.server.conftest import RELEASE_KEY

OLD, NEW, NEWER = "aa" * 32, "bb" * 32, "cc" * 32

PLAN = (
    Step(tier="staging", soak=0, checks=Checks.NONE, concurrency="100%"),
    Step(tier="production", share=0.5, soak=0, checks=Checks.NONE, gate=Gate.MANUAL),
    Step(tier="production", share=1.0, soak=0, checks=Checks.NONE),
)

TRUST = Trust.of(RELEASE_KEY.public_pem)


class Herd:
    """Nodes by name, each with what it runs."""

    def __init__(self, plane: ControlPlane, tiers: dict[str, str]) -> None:
        self.plane = plane
        self.tiers = tiers
        self.running: dict[str, str | None] = dict.fromkeys(tiers)
        self.epochs: list[int] = []
        self.refuses: dict[str, str] = {}
        self.silent: set[str] = set()
        self._seq = 0

    async def signal(self) -> Signal | None:
        entry = await self.plane.signals.get(signal_key("web"))
        if entry is None:
            return None
        signal = msgspec.json.decode(TRUST.open(entry.value, SIGNAL_TYPE), type=Signal)
        assert not self.epochs or signal.epoch >= self.epochs[-1], "an epoch has fallen"
        self.epochs.append(signal.epoch)
        return signal

    async def record(self, node: str) -> NodeRecord:
        entry = await self.plane.signals.get(record_key(node))
        assert entry is not None
        return msgspec.json.decode(TRUST.open(entry.value, RECORD_TYPE), type=NodeRecord)

    async def enrol(self) -> None:
        for index, (node, tier) in enumerate(self.tiers.items()):
            await self.plane.roster.enrol(Enrolment(node, f"z{index % 2}", {"web": tier}))

    async def beat(self) -> None:
        """Every node looks at its signal, does what it says, and reports."""
        signal = await self.signal()
        reports = []
        for node in self.tiers:
            if node in self.silent:
                continue
            record = await self.record(node)
            failed = None
            wanted = goal(signal, record, None, self.plane.clock(), "web").run
            if wanted is not None and self.refuses.get(node) == wanted and signal is not None:
                failed = Failure(wanted, signal.attempt)
            elif wanted is not None:
                self.running[node] = wanted
            reports.append(self.report(node, signal.epoch if signal else 0, failed))
        await asyncio.gather(*reports)

    async def report(self, node: str, epoch: int, failed: Failure | None = None) -> None:
        self._seq += 1
        report = Report(
            node=node,
            app="web",
            boot="boot",
            seq=self._seq,
            epoch=epoch,
            activity=Activity.IDLE,
            running=self.running[node],
            prepared=None,
            why="idle",
            at=0.0,
            failed=failed,
        )
        await self.plane.desk.hand_in((report,), Identity(node, Role.NODE))

    async def settle(self) -> None:
        """Beat until nothing moves any more."""
        seen = -1
        for _ in range(30):
            await self.beat()
            await self.plane.engine.observe("web")
            last = await self.plane.database.read(journal.last)
            if last == seen:
                return
            seen = last


async def set_up(plane: ControlPlane, config: AppConfig | None = None) -> None:
    """The app web, with builds that exist by name only."""

    def write(connection) -> None:  # type: ignore[no-untyped-def]
        apps.put(connection, config or AppConfig(name="web", plans={"default": PLAN}), 1.0)
        for number in (OLD, NEW, NEWER):
            builds.add(connection, build(number), 1.0)

    await plane.database.write(write)


def build(number: str) -> Build:
    return Build(number, "web", "c0ffee", 1.0, "ci", 10, 1000, 10)


async def old_is_live_and_new_begins(plane: ControlPlane, *more: str) -> tuple[Herd, str]:
    """Two nodes of the app web, and ``more`` in production; the first build brought to all of them,
    and the second begun, whose rollout is returned.
    """
    herd = Herd(plane, {"s1": "staging", "p1": "production"} | dict.fromkeys(more, "production"))
    await herd.enrol()
    await herd.beat()
    for number in (OLD, NEW):
        name = await plane.engine.deploy("web", build(number), DeployRequest(number[:8]), "alice")
        await herd.settle()
        if number == OLD:
            await plane.engine.act(name, "advance", ActionRequest("a reason"), "alice")
            await herd.settle()
    return herd, name
