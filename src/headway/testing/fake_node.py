"""One agent of a fake fleet: it decides as agents do, and says so."""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headway.core.goal import Goal, goal
from headway.model.build import Failure
from headway.model.report import Activity, Enrolment, Report
from headway.model.signal import NodeRecord, Signal
from headway.signals.patience import pause
from headway.testing.lines import Watch

if TYPE_CHECKING:
    from headway.testing.fake_fleet import FakeFleet

_KEPT_BUILDS = 3


class Place(Struct, frozen=True):
    """Who a fake node is: its name, its token, its tier and its zone."""

    node: str
    token: str
    tier: str = "production"
    zone: str = "default"


class FakeNode:
    """One agent: what it runs, what it was told, and its connection."""

    def __init__(self, fleet: "FakeFleet", place: Place) -> None:
        self.place = place
        self.running: str | None = None
        self.builds: list[str] = []
        self.signal: Signal | None = None
        self.record: NodeRecord | None = None
        self.failed: Failure | None = None
        self.activity = Activity.IDLE
        self.epoch = self.serial = 0
        self.why = "starting"
        self._fleet = fleet
        self._boot = uuid.uuid4().hex
        self._seq = 0
        self._watch: Watch | None = None
        self._busy = False
        self._telling = self._news = self._gone = False
        self._failures = self._attested = 0
        self._server = random.randrange(len(fleet.addresses))  # noqa: S311

    def enrolment(self) -> bytes:
        """How it presents itself."""
        tiers = {self._fleet.app: self.place.tier}
        return msgspec.json.encode(Enrolment(self.place.node, self.place.zone, tiers, "fake"))

    async def connect(self) -> None:
        """Open the watch; when that fails, again with full jitter, at the next server."""
        fleet, token = self._fleet, self.place.token
        path = f"/v1/node/watch?apps={fleet.app}&node={self.place.node}"
        self._watch = Watch(fleet.request("GET", path, token), self._begun, self._hear, self._ended)
        try:
            await fleet.dial(self._watch, self._server)
        except OSError:
            self._ended("")

    def close(self) -> None:
        """Vanish, without a word."""
        self._gone = True
        if self._watch is not None:
            self._fleet.connected -= self._watch.alive
            self._watch.close()
            self._watch = None

    def mind(self, silence: float) -> bool:
        """End a watch on which nothing came for so many seconds; whether that was so."""
        watch = self._watch
        if watch is None or watch.transport is None or time.monotonic() - watch.spoke <= silence:
            return False
        watch.transport.abort()
        return True

    def tell(self) -> None:
        """Report, when the report before has been answered."""
        self._news = True
        if not self._telling:
            self._report()

    def _begun(self) -> None:
        self._fleet.connected += 1

    def _ended(self, why: str) -> None:
        if self._watch is not None and self._watch.alive:
            self._fleet.connected -= 1
        self._watch = None
        if why:
            self._fleet.errors[why] += 1
        else:
            self._fleet.breaks += 1
        self._failures += 1
        self._server += 1
        self._fleet.start(self._again())

    async def _again(self) -> None:
        await asyncio.sleep(pause(self._failures))
        await self.connect()

    def _hear(self, data: bytes) -> None:
        self._failures = 0
        value = self._fleet.understand(data)
        if isinstance(value, Signal):
            if self.signal is None or value.epoch > self.signal.epoch:
                self._fleet.note_heard(self.signal.epoch if self.signal else 0, value.epoch)
                self.signal = value
        elif value is not None and value.node == self.place.node:
            known = self.record
            self.record = value if known is None or value.serial > known.serial else known
        if not self._busy:
            self._look()

    def _look(self) -> None:
        """Decide, as agents do, and do the next thing; what takes no time is done at once."""
        while True:
            decided = goal(self.signal, self.record, self.failed, time.time(), self._fleet.app)
            run, ahead = decided.run, decided.prepare
            if run is not None and run != self.running and not self._gave_up(run):
                if run not in self.builds:
                    seconds, done = self._fetch(run)
                else:
                    seconds, done = self._switch(run)
            elif ahead is not None and ahead not in self.builds:
                seconds, done = self._fetch(ahead)
            else:
                break
            if seconds > 0:
                self._answer(decided)
                self._busy = True
                asyncio.get_running_loop().call_later(seconds, self._did, done)
                return
            done()
        self.activity = Activity.IDLE
        self._answer(decided)

    def _gave_up(self, build: str) -> bool:
        attempt = self.signal.attempt if self.signal else 0
        failed = self.failed
        return failed is not None and failed.build == build and failed.attempt >= attempt

    def _fetch(self, build: str) -> tuple[float, Callable[[], None]]:
        self.activity = Activity.FETCHING

        def done() -> None:
            kept = [one for one in self.builds if one != self.running][-(_KEPT_BUILDS - 2) :]
            hot = [self.running] if self.running else []
            self.builds = [*hot, *kept, build]

        return self._fleet.fetch(self.place.node, build), done

    def _switch(self, build: str) -> tuple[float, Callable[[], None]]:
        self.activity = Activity.RESTARTING
        attempt = self.signal.attempt if self.signal else 0

        def done() -> None:
            if self._fleet.fails(self.place.node, build):
                self.failed = Failure(build, attempt)
            else:
                self.running, self.failed = build, None

        return self._fleet.restart(self.place.node, build), done

    def _did(self, done: Callable[[], None]) -> None:
        self._busy = False
        done()
        self._look()

    def _answer(self, decided: Goal) -> None:
        epoch = self.signal.epoch if self.signal else 0
        self.why, self.epoch = decided.why, epoch
        self.serial = self.record.serial if self.record else 0
        self.tell()

    def _report(self) -> None:
        if self._gone:
            return
        self._telling, self._news = True, False
        self._seq += 1
        cold = [build for build in self.builds if build != self.running]
        report = Report(
            node=self.place.node,
            app=self._fleet.app,
            boot=self._boot,
            seq=self._seq,
            epoch=self.epoch,
            activity=self.activity,
            running=self.running if self.activity is not Activity.RESTARTING else None,
            prepared=cold[-1] if cold else None,
            why=self.why,
            at=time.time(),
            error=f"{self.failed.build[:12]} did not come up" if self.failed else "",
            failed=self.failed,
            serial=self.serial,
        )
        epoch = self.epoch

        def answered(status: int, body: bytes) -> None:
            self._reported(epoch, status, body)

        body = msgspec.json.encode((report,))
        self._fleet.post("/v1/node/reports", self.place.token, body, answered)

    def _reported(self, epoch: int, status: int, body: bytes) -> None:
        if status == 204:
            self._fleet.taken += 1
            if epoch > self._attested and self.activity is Activity.IDLE:
                self._fleet.note_attested(self._attested, epoch)
                self._attested = epoch
            if self._news:
                self._report()
            else:
                self._telling = False
            return
        if status:
            self._fleet.errors[f"a report was answered with {status} {body[:200]!r}"] += 1
        else:
            self._fleet.breaks += 1
        self._fleet.start(self._report_again())

    async def _report_again(self) -> None:
        await asyncio.sleep(pause(1, last=15.0))
        self._report()
