"""Runs every train: brings events to its state machine, and its decisions to the rollouts.

For each app one thing happens at a time. What the train decides and what the rollout does about it
are recorded in one transaction, so neither is ever there without the other; where the rollout
refuses, nothing has happened.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from headway.core import patch, schedule
from headway.core import train as core
from headway.core.next_step import GOES_ON
from headway.core.ride import objected
from headway.core.riding import head, leader
from headway.core.run import run_of, tiers_of
from headway.errors import HeadwayError, NotFound, Refused, StaleView
from headway.model.build import Build
from headway.model.journal import HEADWAY
from headway.model.release import Change
from headway.model.rollout import LIVE, PlaceHold, Rollout
from headway.model.train import (
    Act,
    At,
    Begin,
    Carries,
    Decision,
    Effect,
    Event,
    LiftHold,
    Seen,
    State,
    Tell,
    Train,
)
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import builds, holds, journal, releases, trains
from headway.server.database.connection import Database
from headway.server.engine import Engine
from headway.server.lookup import find_build
from headway.server.news import News
from headway.server.situation import Situation
from headway.server.trips import barred

IDLE_SECONDS = 1.0
"""The longest time between two looks at a train that somebody rides."""

PACE_SECONDS = 0.1
"""The shortest time between two looks."""

KIND = "train-"
"""What the kind of a train's journal entries begins with."""

TELL = "tell"
"""The kind of entries that call people, or tell how far the train is."""

log = structlog.get_logger()


Brought = dict[str, tuple[tuple[str, ...], bool]]
"""By author, in small letters: the changes, and whether all of them are dark."""


class Asked(Struct, frozen=True):
    """What came of a request: the train as it is now, the sentence, and whether it is news."""

    train: Train
    why: str
    told: bool


class Trains:
    """Every app's train."""

    def __init__(
        self,
        database: Database,
        engine: Engine,
        news: News,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._engine = engine
        self._news = news
        self._clock = clock
        self._brought: dict[str, tuple[str, Brought]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Carry on where the last process stopped."""
        self._task = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Stop looking; what the trains have set going goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def train(self, app: str) -> Train:
        """An app's train as it stands. Raises NotFound."""
        async with self._lock(app):
            return await self._look(app)

    async def ask(self, app: str, event: Event, kind: str, by: str) -> Asked:
        """Let somebody do something. Raises NotFound, Refused, StaleView or StoreError."""
        async with self._lock(app):
            before = await self._look(app)
            known = await self._engine.situation(app)
            decision = core.decide(before, event, self._clock(), known.config.train)
            await self._carry_out(before, decision, kind, by)
            after = await self._look(app)
        return Asked(after, decision.why, decision.is_news(before))

    async def deploy(self, app: str, build: Build, request: DeployRequest, by: str) -> str:
        """Start a rollout from outside the chat; its id. While somebody is aboard, by the train.

        Raises NotFound, Refused or StoreError.
        """
        async with self._lock(app):
            train = await self._look(app)
            first, lead = head(train), leader(train)
            if first is not None and not (request.supersede or request.hotfix):
                may = {lead} if lead else {*first.riders, train.commander}
                if by not in may:
                    raise Refused(
                        f"{app} is deployed by its train, {lead or 'nobody'} leads it; get in with "
                        f"`headway train join {app}`, or deploy with supersede"
                    )
                if train.state is State.BOARDING:
                    at = At(by, train.tiers[0] if train.tiers else "", build.id)
                    decision = core.decide(train, at, self._clock())
                    await self._carry_out(train, decision, "at", by, request.plan)
                    latest = (await self._engine.situation(app)).latest
                    assert latest is not None  # noqa: S101 - it was started just now
                    return latest.id
            rollout = await self._engine.deploy(app, build, request, by)
            await self._look(app)
            return rollout

    async def act(self, rollout: str, action: str, request: ActionRequest, by: str) -> None:
        """Act on a rollout from outside the chat; on the train's, by the train's rules.

        To stop it and to bring it back is everybody's. Raises NotFound, Refused or StaleView.
        """
        app = (await self._engine.known(rollout)).app
        async with self._lock(app):
            train = await self._look(app)
            run = train.run
            if run is None or run.rollout != rollout or action not in GOES_ON:
                await self._engine.act(rollout, action, request, by)
            elif train.objections:
                raise Refused(objected(train))
            elif action != "advance":
                await self._engine.act(rollout, action, request, by)
            else:
                if request.seen not in (None, run.standing):
                    raise StaleView(f"{rollout} has moved on since you looked: {run.why}")
                decision = core.decide(train, At(by, run.gate or run.tier), self._clock())
                if not decision.effects:
                    raise Refused(f"cannot advance: {decision.why}")
                await self._carry_out(train, decision, "at", by)
            await self._look(app)

    async def _look(self, app: str) -> Train:
        """The train, once it has taken in how things stand. Raises NotFound."""
        known = await self._engine.situation(app)
        now = self._clock()

        def read(connection: Connection) -> tuple[Train, str]:
            return trains.get(connection, app), releases.newest_id(connection, app)

        before, release = await self._database.read(read)
        seen = self._seen(known, before, now)
        decision = core.decide(before, seen, now, known.config.train)
        await self._carry_out(before, decision, "seen", HEADWAY)
        for carries in await self._carried(decision.state, release):
            train = decision.state
            decision = core.decide(train, carries, now, known.config.train)
            await self._carry_out(train, decision, "carries", HEADWAY)
        return decision.state

    def _seen(self, known: Situation, train: Train, now: float) -> Seen:
        app, latest = known.config.name, known.latest
        fleet = self._engine.view(known, now)
        tiers = tiers_of(known.config, fleet)
        if latest is not None and train.run is not None:
            run = run_of(latest, fleet)
            frozen = barred(known, fleet, now) if latest.phase in LIVE else ""
        else:
            run = None
            first = tiers[0] if tiers else ""
            frozen = known.bars(first, now, hotfix=False, begins=True)
        return Seen(
            run=run,
            tiers=tiers,
            holds=tuple(h for h in known.holds if h.on == app or h.on.startswith(f"{app}/")),
            frozen=frozen,
            commander=schedule.shift(known.times, now).person,
        )

    async def _carried(self, train: Train, release: str) -> list[Carries]:
        """What the riders bring, where a release tells: those of its changes that are theirs."""
        if not release or not train.riders:
            return []
        known, brought = self._brought.get(train.app, ("", {}))
        if known != release:
            found = await self._database.read(lambda c: releases.get(c, release))
            brought = _by_author(found.changes if found is not None else ())
            self._brought[train.app] = (release, brought)
        return [
            Carries(name, *brought[name.casefold()])
            for name, rider in train.riders.items()
            if brought.get(name.casefold(), (rider.changes, rider.dark))
            != (rider.changes, rider.dark)
        ]

    async def _carry_out(
        self, before: Train, decision: Decision, kind: str, by: str, plan: str = "default"
    ) -> None:
        """Record a decision with all that follows from it, or raise and record nothing."""
        if not decision.is_news(before):
            return
        now, write = self._clock(), partial(_write, before=before, kind=kind, by=by)
        moves = [effect for effect in decision.effects if isinstance(effect, Begin | Act)]
        along = partial(write, decision=decision, now=now)
        match moves:
            case []:
                await self._database.write(along)
            case [Begin(build=build, reason=reason)]:
                chosen = await self._build(before.app, build)
                request = DeployRequest(chosen.id, plan, reason)

                def boarded(connection: Connection, rollout: Rollout) -> None:
                    left = core.boarded(decision.state, run_of(rollout, None), now)
                    effects = (*decision.effects, *left.effects)
                    why = f"{decision.why}, with {chosen.id[:12]}"
                    write(connection, decision=Decision(left.state, effects, why), now=now)

                await self._engine.deploy(before.app, chosen, request, by, boarded)
            case [Act() as act, *_]:
                await self._act(act, by, along)
        self._news.journal_grew()
        log.info("train", app=before.app, kind=kind, by=by, why=decision.why)

    async def _act(self, act: Act, by: str, along: Callable[[Connection], None]) -> None:
        request = ActionRequest(act.reason, act.seen)
        try:
            await self._engine.act(act.rollout, act.action, request, by, along)
        except Refused:
            if act.action not in ("pause", "sign-off"):
                raise
            # It has moved on meanwhile: what was said of it counts all the same.
            await self._database.write(along)

    async def _build(self, app: str, prefix: str) -> Build:
        """The build that is named, or the newest. Raises InvalidInput, NotFound or Refused."""
        if prefix:
            return await self._database.read(lambda c: find_build(c, app, prefix))
        newest = await self._database.read(lambda c: builds.newest(c, app, 1))
        if not newest:
            raise NotFound(f"{app} has no build yet; `headway build publish` makes one")
        return newest[0]

    async def _tick(self) -> None:
        reader = self._news.subscribe()
        async for _ in reader.looks(IDLE_SECONDS, PACE_SECONDS):
            try:
                for train in await self._database.read(trains.every):
                    if train.state is not State.CLEAR:
                        async with self._lock(train.app):
                            await self._look(train.app)
            except HeadwayError as error:
                log.warning("cannot look at a train", why=error.sentence)
            except Exception:
                log.exception("cannot look at a train")

    def _lock(self, app: str) -> asyncio.Lock:
        return self._locks.setdefault(app, asyncio.Lock())


def _by_author(changes: Iterable[Change]) -> Brought:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.author.casefold(), []).append(change)
    return {
        author: (
            tuple(f"#{c.number}" if c.number else c.commit[:12] for c in theirs),
            all(c.dark for c in theirs),
        )
        for author, theirs in found.items()
    }


def _write(
    connection: Connection, *, before: Train, decision: Decision, kind: str, by: str, now: float
) -> None:
    """The state row, a journal row with what changed, and what is told and held, at once."""
    state = decision.state
    if state != before:
        trains.put(connection, state)
    said = [effect for effect in decision.effects if isinstance(effect, Tell)]
    journal.append(
        connection,
        at=now,
        app=state.app,
        actor=by,
        kind=KIND + kind,
        why="" if kind == "seen" else decision.why,
        changes=patch.difference(before, state),
    )
    for effect in decision.effects:
        _hold(connection, effect)
    for tell in said:
        journal.append(
            connection,
            at=now,
            app=state.app,
            actor=HEADWAY,
            kind=TELL,
            why=tell.sentence,
            changes={"to": list(tell.to)},
        )


def _hold(connection: Connection, effect: Effect) -> None:
    if isinstance(effect, PlaceHold):
        holds.add(connection, effect.hold)
    elif isinstance(effect, LiftHold):
        holds.lift(connection, effect.hold.id)
