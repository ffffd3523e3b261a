"""The rollout engine: brings events to the core's state machine, and its decisions to the world.

For each app one thing happens at a time. A decision is recorded in one transaction: the state
row, a journal row and the effects to run. Only then do the effects run; whatever a crash leaves
of them is run again at the next start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog
from msgspec import structs
from sqlalchemy import Connection

from headway.core import rollout as core
from headway.core.next_step import GOES_ON, standing
from headway.errors import NotFound, Refused, StaleView, StoreError
from headway.model.build import Build
from headway.model.journal import HEADWAY
from headway.model.release import Release
from headway.model.report import Report
from headway.model.rollout import (
    LIVE,
    Decision,
    Event,
    FleetView,
    Overtaken,
    Phase,
    Rollout,
    SmokeTested,
    Supersede,
)
from headway.model.signal import Signal
from headway.model.views import ActionRequest, DeployRequest
from headway.server import actions
from headway.server.database import apps, releases, rollouts
from headway.server.database.connection import Database
from headway.server.database.outbox import Pending
from headway.server.decisions import Step
from headway.server.effects import Effects
from headway.server.fleet import Fleet
from headway.server.heed import OVERTAKEN, compare
from headway.server.meters import Meters
from headway.server.news import News
from headway.server.observer import Judge, Observer
from headway.server.publisher import Publisher
from headway.server.recorder import Along, Recorder
from headway.server.roster import Roster
from headway.server.situation import Situation, look
from headway.server.ticker import Ticker
from headway.server.trips import Trip, plan_trip

AT_ONCE = 4
"""How many decisions may follow from each other before everything else has its turn."""

log = structlog.get_logger()


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
        self._news = news
        self._clock = clock
        self._held_back = held_back
        self._fleet = fleet
        self._observer = Observer(fleet, judge, clock)
        meters = meters or Meters()
        self._recorder = Recorder(database, news, meters, clock)
        self._effects = Effects(database, publisher, news, clock, self._smoke_done, smoke_programs)
        self._locks: dict[str, asyncio.Lock] = {}
        self._ticker = Ticker(database, roster, meters, self.observe, self.look)

    async def start(self) -> None:
        """Carry on where the last process stopped."""
        for app in await self._database.read(apps.every):
            async with self._lock(app.name):
                await self._catch_up(app.name)
        self._ticker.start()

    async def close(self) -> None:
        """Stop deciding; what is under way in the fleet goes on by the last signal."""
        await self._ticker.close()
        await self._effects.close()

    def hear(self, report: Report) -> None:
        """A node has said something new."""
        self._observer.hear(report)
        self._news.fleet_moved(report.app)
        self._ticker.stir()

    async def forget(self, node: str, by: str) -> None:
        """Strike a node off the fleet. Raises NotFound."""
        record = self._fleet.record(node)
        await self._roster.forget(node, by)
        if record is not None:
            self._observer.forget(record)

    def trouble(self, app: str) -> str:
        """Why a decision has not reached the fleet yet, or an empty string."""
        return self._effects.trouble(app)

    async def situation(self, app: str) -> Situation:
        """What is known of an app. Raises NotFound."""
        return await self._database.read(lambda c: look(c, app, self._clock()))

    def view(self, known: Situation, now: float) -> FleetView:
        """The app's nodes, held against its latest rollout."""
        return self._observer.view(known, now)

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
                    app=self._observer.watched(trip.config),
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
            await self._recorder.record(steps, along=also)
            await self._effects.run(app)
        self._ticker.stir()
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
        actions.check(action)
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
            fleet = self.view(known, now)
            event = actions.event_of(action, request.reason, by, known, fleet, now)
            await self._decide(state, event, by, action, now, along)
            await self._follow(state.app)
        self._ticker.stir()

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
            await self._recorder.record([step], void=found.void)
        return signal

    async def _follow(self, app: str) -> None:
        """Observe, and again as long as that leads further: nothing waits for the next round."""
        for _ in range(AT_ONCE):
            known = await self.situation(app)
            state, now = known.latest, self._clock()
            if state is None or state.phase not in LIVE:
                return
            event = self._observer.observe(known, state, now)
            if event is None or not await self._decide(state, event, HEADWAY, "observed", now):
                return

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
                await self._recorder.record([], along=along)
            return False
        await self._recorder.record([Step(before, decision, actor, kind)], along=along)
        await self._effects.run(before.app)
        return True

    async def _smoke_done(self, pending: Pending, event: SmokeTested) -> None:
        async with self._lock(pending.app):
            before = await self.known(pending.rollout)
            now = self._clock()
            decision = core.decide(before, event, now)
            steps = [Step(before, decision, HEADWAY, "smoke-tested")]
            made = steps if decision.state != before else []
            await self._recorder.record(made, void=(pending.id,))
        self._ticker.stir()

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
