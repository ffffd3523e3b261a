"""The rollout engine: brings events to the core's state machine, and its decisions to the world.

For each app one thing happens at a time. A decision is recorded in one transaction: the state
row, a journal row and the effects to run. Only then do the effects run; whatever a crash leaves
of them is run again at the next start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol, TypeVar

import structlog
from msgspec import structs
from sqlalchemy import Connection

from headway.core import rollout as core
from headway.core.next_step import GOES_ON, standing
from headway.core.signalling import signal_of
from headway.errors import HeadwayError, NotFound, Refused, StaleView, StoreError
from headway.model.build import Build
from headway.model.journal import HEADWAY
from headway.model.plan import AppConfig
from headway.model.release import Release
from headway.model.report import Report
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
    Decision,
    Event,
    FleetView,
    Observed,
    Overtaken,
    Pause,
    Phase,
    Resume,
    Retry,
    Revert,
    Rollout,
    SignOff,
    SmokeTested,
    Supersede,
)
from headway.model.signal import Signal
from headway.model.verdict import Verdict
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import apps, outbox, releases, rollouts
from headway.server.database.connection import Database
from headway.server.database.outbox import Pending
from headway.server.decisions import Step, record
from headway.server.effects import Effects
from headway.server.fleet import Fleet
from headway.server.heed import OVERTAKEN, compare
from headway.server.meters import Meters
from headway.server.news import News
from headway.server.publisher import Publisher
from headway.server.roster import Roster
from headway.server.situation import Situation, look, under_way
from headway.server.trips import Trip, barred, plan_trip

PACE_SECONDS = 0.1
"""The shortest time between two observations; a report is noticed within it."""

ACTIONS = ("advance", "pause", "resume", "revert", "abort", "retry", "sign-off")
"""What a person may do to a rollout."""

AT_ONCE = 4
"""How many decisions may follow from each other before everything else has its turn."""

NO_REASON = "no reason given"

IDLE_SECONDS = 1.0
"""The longest time between two observations of a rollout that is under way."""

LOOK_SECONDS = 2.0
"""How often the signal store is looked at, in case somebody else has written to it."""

Along = Callable[[Connection], None]
"""Writes, in the transaction of a decision, what was decided with it."""

T = TypeVar("T")

log = structlog.get_logger()


class Judge(Protocol):
    """The guard, as the engine sees it."""

    def ingest(self, report: Report, tier: str, now: float) -> None:
        """Take in the counters of a report."""

    def forget(self, app: str, node: str) -> None:
        """Drop a node that is no longer enrolled."""

    def watched(self, app: AppConfig) -> AppConfig:
        """The app with those metrics that can be judged."""

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        """What the metrics say about a rollout."""


class Engine:
    """Runs every rollout."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        roster: Roster,
        fleet: Fleet,
        news: News,
        clock: Callable[[], float],
        judge: Judge | None = None,
        smoke_programs: Collection[str] = (),
        held_back: Callable[[Release], Awaitable[str]] | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._roster = roster
        self._fleet = fleet
        self._news = news
        self._clock = clock
        self._judge = judge
        self._held_back = held_back
        self._meters = meters or Meters()
        self._effects = Effects(database, publisher, news, clock, self._smoke_done, smoke_programs)
        self._locks: dict[str, asyncio.Lock] = {}
        self._stirred = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._began = clock()

    async def start(self) -> None:
        """Carry on where the last process stopped."""
        for app in await self._database.read(apps.every):
            async with self._lock(app.name):
                await self._catch_up(app.name)
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._look_out())]

    async def close(self) -> None:
        """Stop deciding; what is under way in the fleet goes on by the last signal."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._effects.close()

    def hear(self, report: Report) -> None:
        """A node has said something new."""
        record = self._fleet.record(report.node)
        if self._judge is not None and record is not None:
            self._judge.ingest(report, record.seats[report.app].tier, self._clock())
        self._news.fleet_moved(report.app)
        self._stirred.set()

    async def forget(self, node: str, by: str) -> None:
        """Strike a node off the fleet. Raises NotFound."""
        record = self._fleet.record(node)
        await self._roster.forget(node, by)
        for app in record.seats if record else ():
            if self._judge is not None:
                self._judge.forget(app, node)

    def trouble(self, app: str) -> str:
        """Why a decision has not reached the fleet yet, or an empty string."""
        return self._effects.trouble(app)

    async def situation(self, app: str) -> Situation:
        """What is known of an app. Raises NotFound."""
        return await self._database.read(lambda c: look(c, app, self._clock()))

    def view(self, known: Situation, now: float) -> FleetView:
        """The app's nodes, held against its latest rollout."""
        signal = signal_of(known.latest) if known.latest else None
        return self._fleet.view(known.config.name, signal, now, known.config.silent_after)

    async def deploy(
        self,
        app: str,
        build: Build,
        request: DeployRequest,
        by: str,
        along: Callable[[Connection, Rollout], None] | None = None,
    ) -> str:
        """Start a rollout; its id. Raises NotFound, Refused or StoreError.

        ``along`` writes, in the same transaction, what else was decided with it.
        """
        async with self._lock(app):
            signalled = await self._heed(app)
            now = self._clock()
            known = await self._database.read(lambda c: look(c, app, now, deep=True))
            _check_seen(request.seen, known.latest)
            trip = await self._trip(known, build, request)
            # A database that was restored knows an older epoch than the fleet has seen.
            epoch = max(known.last_epoch, signalled.epoch if signalled else 0)
            steps: list[Step] = []
            before = known.latest
            if before is not None and before.phase in LIVE:
                if not request.supersede:
                    raise Refused(
                        f"{before.id} is still {before.phase}; abort it, or deploy with supersede"
                    )
                successor = f"{app}-{epoch + 2}"
                lifted = structs.replace(before, epoch=epoch)
                ended = core.decide(lifted, Supersede(by, successor), now)
                steps.append(Step(before, ended, by, "supersede"))
                before, epoch = ended.state, ended.state.epoch
            unfinished = before is not None and before.phase in (Phase.ABORTED, Phase.SUPERSEDED)

            def begin() -> Decision:
                return core.start(
                    id=f"{app}-{epoch + 1}",
                    app=self._judge.watched(trip.config) if self._judge else trip.config,
                    plan_name=trip.plan,
                    base=known.live_build,
                    target=build.id,
                    by=by,
                    reason=request.reason,
                    epoch=epoch,
                    fleet=self.view(known, now),
                    holds=known.holds,
                    now=now,
                    predecessor=before if unfinished else None,
                    barred=trip.barred,
                    release=trip.release.id if trip.release else "",
                    hotfix=trip.hotfix,
                )

            started = begin()
            if not unfinished:
                # Positions never move under what an unfinished rollout has left behind.
                await self._roster.renumber(app)
                started = begin()
            steps.append(Step(None, started, by, "start"))
            also = None if along is None else lambda c: along(c, started.state)
            await self._record(steps, along=also)
            await self._effects.run(app)
        self._stirred.set()
        return started.state.id

    async def _trip(self, known: Situation, build: Build, request: DeployRequest) -> Trip:
        """What the build's release says of the way. Raises Refused and NotFound."""
        app = known.config.name
        release = await self._database.read(
            lambda c: releases.of_build(c, app, build.id, build.commit)
        )
        trip = plan_trip(known, release, request, self._clock())
        if not trip.barred and release is not None and self._held_back is not None:
            trip = structs.replace(trip, barred=await self._held_back(release))
        return trip

    async def act(
        self,
        rollout: str,
        action: str,
        request: ActionRequest,
        by: str,
        along: Along | None = None,
    ) -> None:
        """Let a person act on a rollout. Raises NotFound, Refused or StaleView.

        ``along`` writes, in the same transaction, what else was decided with it.
        """
        if action not in ACTIONS:
            raise NotFound(f"there is no action {action[:80]}; there are {', '.join(ACTIONS)}")
        async with self._lock((await self.known(rollout)).app):
            state = await self.known(rollout)
            if await self._catch_up(state.app):
                state = await self.known(rollout)
            known = await self.situation(state.app)
            stale = request.seen is not None and request.seen != standing(state)
            if stale and action in GOES_ON:
                raise StaleView(f"{rollout} has moved on since you looked: {state.why}")
            latest = known.latest is not None and known.latest.id == rollout
            if state.phase in (Phase.SUCCEEDED, Phase.ABORTED) and not latest:
                raise Refused(f"{rollout} is not the latest rollout of {state.app} any more")
            now = self._clock()
            event = self._event(action, request.reason, by, known, now)
            await self._decide(state, event, by, action, now, along)
            await self._follow(state.app)
        self._stirred.set()

    async def observe(self, app: str) -> None:
        """Let time pass for an app's live rollout."""
        async with self._lock(app):
            await self._catch_up(app)
            await self._effects.run(app)
            await self._follow(app)

    async def look(self, app: str) -> None:
        """See whether somebody else has written the app's signal, and take that over.

        Raises StoreError.
        """
        if not await self._publisher.is_as_read(app):
            async with self._lock(app):
                await self._heed(app)
                await self._effects.run(app)

    async def _catch_up(self, app: str) -> bool:
        """Read the app's signal if it is not known, and the store answers; whether it was read."""
        if self._publisher.is_caught_up(app):
            return False
        try:
            await self._heed(app)
        except StoreError as error:
            log.warning("carrying on without the signal store", why=error.sentence)
            return False
        return True

    async def _heed(self, app: str) -> Signal | None:
        """Read the app's signal, and take it for a fact if it was not decided here.

        Raises NotFound or StoreError.
        """
        known = await self.situation(app)
        signal = await self._publisher.catch_up(app)
        before, now = known.latest, self._clock()
        if before is None:
            return signal
        found = await self._database.read(lambda c: compare(c, before, signal))
        if found is not None:
            kind = OVERTAKEN if isinstance(found.event, Overtaken) else "behind"
            step = Step(before, core.decide(before, found.event, now), HEADWAY, kind)
            await self._record([step], void=found.void)
        return signal

    async def _follow(self, app: str) -> None:
        """Observe, and again as long as that leads further: nothing waits for the next round."""
        for _ in range(AT_ONCE):
            known = await self.situation(app)
            state, now = known.latest, self._clock()
            if state is None or state.phase not in LIVE or not self._settled(known, now):
                return
            verdicts = self._judge.judge(known.config, state, now) if self._judge else ()
            fleet = self.view(known, now)
            event = Observed(fleet, verdicts, known.holds, barred(known, fleet, now))
            if not await self._decide(state, event, HEADWAY, "observed", now):
                return

    def _settled(self, known: Situation, now: float) -> bool:
        """Whether the fleet had its chance to speak since this process started.

        Before that, the time that the control plane was away would count against the nodes.
        """
        waited = now - self._began >= known.config.silent_after
        return waited or self._fleet.all_heard_since(known.config.name, self._began)

    def _event(self, action: str, reason: str, by: str, known: Situation, now: float) -> Event:
        reason = reason or NO_REASON
        match action:
            case "advance":
                fleet = self.view(known, now)
                return Advance(by, fleet, known.holds, barred(known, fleet, now))
            case "sign-off":
                return SignOff(by, "" if reason == NO_REASON else reason)
            case "pause":
                return Pause(by, reason)
            case "resume":
                return Resume(by, reason)
            case "revert":
                return Revert(by, reason)
            case "abort":
                return Abort(by, reason)
            case _:
                return Retry(by, "" if reason == NO_REASON else reason)

    async def _decide(
        self,
        before: Rollout,
        event: Event,
        actor: str,
        kind: str,
        now: float,
        along: Along | None = None,
    ) -> bool:
        """Decide, and if that changes anything, record it and run its effects; whether it did."""
        state = structs.replace(before, epoch=max(before.epoch, self._publisher.passed(before.app)))
        decision = core.decide(state, event, now)
        if decision.state == state:
            if along is not None:
                await self._record([], along=along)
            return False
        await self._record([Step(before, decision, actor, kind)], along=along)
        await self._effects.run(before.app)
        return True

    async def _smoke_done(self, pending: Pending, event: SmokeTested) -> None:
        async with self._lock(pending.app):
            before = await self.known(pending.rollout)
            now = self._clock()
            decision = core.decide(before, event, now)
            steps = [Step(before, decision, HEADWAY, "smoke-tested")]
            await self._record(steps if decision.state != before else [], void=(pending.id,))
        self._stirred.set()

    async def _record(
        self, steps: list[Step], void: Iterable[int] = (), along: Along | None = None
    ) -> None:
        """Write steps down; the effects ``void`` are done with."""
        now = self._clock()

        def write(connection: Connection) -> None:
            for effect in void:
                outbox.done(connection, effect, now)
            for step in steps:
                record(connection, step, now)
            if along is not None:
                along(connection)

        await self._database.write(write)
        self._news.journal_grew()
        for step in steps:
            state = step.decision.state
            log.info(step.kind, app=state.app, rollout=state.id, why=step.decision.why)
            self._meters.decided(step, now)
            self._news.fleet_moved(state.app)

    async def _tick(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._stirred.wait()
            except TimeoutError:
                pass
            self._stirred.clear()
            with self._meters.ticks.time():
                await self._guarded(self._roster.catch_up())
                for app in await self._guarded(self._database.read(under_way)) or ():
                    await self._guarded(self.observe(app))
            await asyncio.sleep(PACE_SECONDS)

    async def _look_out(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for app in await self._guarded(self._database.read(apps.every)) or ():
                await self._guarded(self.look(app.name))

    async def _guarded(self, work: Awaitable[T]) -> T | None:
        """Do one thing of the ticker's; what goes wrong with it must not keep it from the rest."""
        try:
            return await work
        except HeadwayError as error:
            log.warning("cannot observe", why=error.sentence)
        except Exception:
            log.exception("cannot observe")
        return None

    async def known(self, rollout: str) -> Rollout:
        """The state of a rollout. Raises NotFound."""
        state = await self._database.read(lambda c: rollouts.get(c, rollout))
        if state is None:
            raise NotFound(f"there is no rollout {rollout}; see `headway rollout status`")
        return state

    async def signalled(self, app: str) -> Signal | None:
        """What the signal store says that the app's nodes should run. Raises StoreError."""
        return await self._publisher.signal(app)

    def deciding(self, app: str) -> asyncio.Lock:
        """Held while anything is decided about the app's rollouts."""
        return self._lock(app)

    def _lock(self, app: str) -> asyncio.Lock:
        return self._locks.setdefault(app, asyncio.Lock())


def _check_seen(seen: str | None, latest: Rollout | None) -> None:
    """Raise StaleView when there is another latest rollout than the caller saw."""
    if seen is not None and latest is not None and latest.id != seen:
        raise StaleView(f"{latest.app} has moved on since you looked: {latest.id} has begun")
