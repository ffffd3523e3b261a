"""The release desk: prepares releases in the workshop, decides, and brings them into the world.

As with rollouts, a decision is one transaction: the state row, a journal row and the effects. What
git makes before it is kept in Headway's own copy only; the repository and the forge see it by the
effects, which may run twice and have their result once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from headway.core import lanes
from headway.core import release as core
from headway.core.lanes import Home
from headway.errors import HeadwayError, Refused
from headway.model.journal import HEADWAY
from headway.model.names import BuildId
from headway.model.plan import AppConfig
from headway.model.release import (
    CommitId,
    Lane,
    OpenRevert,
    Picked,
    Pushed,
    PushRelease,
    Release,
    ReleaseDecision,
)
from headway.model.release_views import (
    CutRequest,
    HotfixRequest,
    QueueView,
    ReleaseView,
    RevertRequest,
)
from headway.model.releasing import Need, needs
from headway.model.rollout import Rollout
from headway.server.database import (
    apps,
    builds,
    deliveries,
    outbox,
    releases,
    rollouts,
)
from headway.server.database.connection import Database
from headway.server.database.outbox import Pending, Queue
from headway.server.news import News
from headway.server.release_book import EARLIER, ReleaseBook, next_action, record
from headway.server.situation import look
from headway.server.workshop import Survey, Workshop

AGAIN_SECONDS = 5.0
"""How often what a repository or a forge did not take is tried again."""

T = TypeVar("T")

log = structlog.get_logger()


class _Known(Struct, frozen=True):
    """What the database knows of an app's releases."""

    home: Home
    config: AppConfig
    base: CommitId | None
    live: BuildId | None
    earlier: tuple[Release, ...]
    number: int

    @property
    def needs(self) -> tuple[Need, ...]:
        """What a change needs to enter."""
        assert self.home.owner.releases is not None  # noqa: S101 - a home has a repository
        return needs(self.home.owner.releases)


class Releases(ReleaseBook):
    """Every app's releases, and what is done to them."""

    def __init__(
        self, database: Database, workshop: Workshop, news: News, clock: Callable[[], float]
    ) -> None:
        super().__init__(database)
        self._workshop = workshop
        self._news = news
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._trouble: dict[str, str] = {}
        self._gates: dict[str, tuple[tuple[str, ...], float]] = {}
        self._task: asyncio.Task[None] | None = None
        self.heard = 0
        """How often a forge has called since the start: there may be something new."""

    def start(self) -> None:
        """Carry on with what is still to be pushed, and go on with it."""
        self._task = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Stop; what is pending is run after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def trouble(self, app: str) -> str:
        """What the repository or the forge has not taken yet, or an empty string."""
        return self._trouble.get(app, "")

    def gate(self, app: str) -> tuple[tuple[str, ...], float]:
        """What the gate objected to when the queue was last looked at, and how long ago, in s."""
        found, at = self._gates.get(app, ((), self._clock()))
        return found, self._clock() - at

    async def queue(self, app: str) -> QueueView:
        """What waits for the app's next release. Raises NotFound, Refused, Unreachable …"""
        known = await self._known(app)
        survey = await self._survey(known, "")
        found = tuple(core.objections(change, known.needs) for change in survey.changes)
        return QueueView(app, known.home.lane, known.base, survey.main, survey.changes, found)

    async def cut(self, app: str, request: CutRequest, by: str) -> str:
        """Cut a release; its id. Raises NotFound, Refused, Unreachable …"""
        known = await self._known(app)
        async with self._lock(known):
            known = await self._known(app)
            survey = await self._look(known, request.until)
            of_code = any(change.lane is Lane.CODE for change in survey.changes)
            if survey.changes and not of_code and known.home.lane is Lane.CODE:
                raise Refused(
                    f"only configuration was merged since what is live; `headway release cut "
                    f"{known.home.partner}` takes it out by its own lane"
                )
            decision = core.cut(
                app=app,
                number=known.number + 1,
                lane=known.home.lane,
                base=survey.base,
                main=survey.main,
                changes=survey.changes,
                needs=known.needs,
                returning=survey.returning,
                by=by,
                reason=request.reason,
                override=request.override,
                now=self._clock(),
            )
            await self._record(None, decision, by, "cut")
            await self._run(app)
        return decision.state.id

    async def cut_what_is_fit(self, app: str, most: int, by: str) -> str | None:
        """Cut the first ``most`` changes that may enter; None where there are none."""
        known = await self._known(app)
        survey = await self._survey(known, "")
        ready = core.fit(survey.changes, known.needs, most)
        of_lane = [c for c in ready if c.lane is Lane.CODE or known.home.lane is Lane.CONFIG]
        if survey.returning or not of_lane:
            return None
        until = "" if len(ready) == len(survey.changes) else ready[-1].commit
        return await self.cut(app, CutRequest(until, "the slot's release"), by)

    async def hotfix(self, release: str, request: HotfixRequest, by: str) -> None:
        """Pick changes onto a release. Raises NotFound, Refused (conflicts too), Unreachable …"""
        state = await self.known(release)
        known = await self._known(state.app)
        async with self._lock(known):
            state = await self.known(release)
            picks = await asyncio.to_thread(
                self._workshop.pick,
                known.home,
                state,
                request.changes,
                by,
                request.reason,
                self._clock(),
            )
            decision = core.decide(state, Picked(picks, request.override), known.needs)
            await self._record(state, decision, by, "hotfix")
            await self._run(state.app)

    async def revert(self, release: str, request: RevertRequest, by: str) -> None:
        """Take changes back, or what is suspected. Raises NotFound, Refused, Unreachable …"""
        state = await self.known(release)
        known = await self._known(state.app)
        changes, reason = await self.to_take_back(state, request)
        async with self._lock(known):
            state = await self.known(release)
            picks, asks = await asyncio.to_thread(
                self._workshop.take_back, known.home, state, changes, by, reason, self._clock()
            )
            decision = core.decide(state, Picked(picks), (), asks)
            await self._record(state, decision, by, "revert-change")
            await self._run(state.app)

    async def held_back(self, release: Release) -> str:
        """Why a config release may not begin: it has a change that waits for the code lane."""
        mixed = [change for change in release.changes if change.lane is Lane.CODE]
        known = await self._known(release.app)
        if known.home.lane is not Lane.CONFIG or not mixed:
            return ""
        code = await self._known(known.home.owner.name)
        async with self._lock(known):
            missing = await asyncio.to_thread(
                self._workshop.missing, known.home, code.base, [c.commit for c in mixed]
            )
        return lanes.unfinished(release.changes, missing)

    async def view(self, release: str) -> ReleaseView:
        """A release as people see it. Raises NotFound."""
        state = await self.known(release)

        def read(connection: Connection) -> tuple[BuildId | None, Rollout | None]:
            recent = rollouts.newest(connection, state.app, EARLIER)
            mine = next((one for one in recent if one.release == state.id), None)
            return look(connection, state.app, self._clock()).live_build, mine

        live, rollout = await self._database.read(read)
        is_live = state.build is not None and state.build == live
        trouble = self.trouble(state.app) if state.pushed != state.head else ""
        action, sentence = next_action(state, rollout, is_live)
        return ReleaseView(
            release=state,
            live=is_live,
            rollout=rollout.id if rollout else "",
            dark=core.is_all_dark(state),
            next=action,
            next_why=sentence,
            trouble=trouble,
        )

    async def hear(self, forge: str, mark: str) -> bool:
        """A forge says that there is something new; False when it has said so before."""
        now = self._clock()
        fresh = await self._database.write(lambda c: deliveries.is_new(c, mark, now))
        if fresh:
            log.info("a forge has news", forge=forge)
            self.heard += 1
        return fresh

    async def _known(self, app: str) -> _Known:
        def read(connection: Connection) -> _Known:
            known = look(connection, app, self._clock())
            home = lanes.home(apps.every(connection), app)
            if home is None:
                raise Refused(f"{app} has no repository: its configuration has no table [releases]")
            live = known.live_build
            found = builds.find(connection, app, live) if live else ()
            return _Known(
                home=home,
                config=known.config,
                base=found[0].commit if found else None,
                live=live,
                earlier=releases.newest(connection, app, EARLIER),
                number=releases.last_number(connection, app),
            )

        return await self._database.read(read)

    async def _survey(self, known: _Known, until: str) -> Survey:
        async with self._lock(known):
            return await self._look(known, until)

    async def _look(self, known: _Known, until: str) -> Survey:
        found = await asyncio.to_thread(
            self._workshop.survey, known.home, known.base, until, known.earlier
        )
        against = [text for one in found.changes for text in core.objections(one, known.needs)]
        self._gates[known.config.name] = ((*found.returning, *against), self._clock())
        return found

    async def _record(
        self,
        before: Release | None,
        decision: ReleaseDecision,
        actor: str,
        kind: str,
        done: Sequence[int] = (),
    ) -> None:
        now = self._clock()

        def write(connection: Connection) -> None:
            record(connection, before, decision, actor, kind, now)
            for effect in done:
                outbox.done(connection, effect, now)

        await self._database.write(write)
        log.info(kind, release=decision.state.id, why=decision.why)
        self._news.journal_grew()

    async def _run(self, app: str) -> None:
        """Run what is pending, in order; the caller holds the app's lock."""
        self._trouble.pop(app, None)
        waiting = await self._database.read(lambda c: outbox.pending(c, app, Queue.RELEASE))
        for pending in waiting:
            try:
                await self._effect(pending)
            except HeadwayError as error:
                self._trouble[app] = error.sentence
                log.warning("a release waits", app=app, why=error.sentence)
                return

    async def _effect(self, pending: Pending) -> None:
        state = await self.known(pending.rollout)
        home = (await self._known(state.app)).home
        match pending.effect:
            case PushRelease() as push:
                index = state.tags.index(push.tag)
                await asyncio.to_thread(self._workshop.push, home, state, index, push.expect)
                decision = core.decide(state, Pushed(push.tag.commit))
                await self._record(state, decision, HEADWAY, "pushed", (pending.id,))
            case OpenRevert() as ask:
                opened = await asyncio.to_thread(self._workshop.ask, home, ask)
                where = opened.url or f"the branch {ask.branch}"
                why = f"{ask.title} on main: {where} waits to be merged"
                told = ReleaseDecision(state, (), why)
                await self._record(state, told, HEADWAY, "revert-asked", (pending.id,))

    async def _tick(self) -> None:
        while True:
            await self._guarded(self._rounds())
            await asyncio.sleep(AGAIN_SECONDS)

    async def _rounds(self) -> None:
        waiting = await self._database.read(lambda c: outbox.pending(c, None, Queue.RELEASE))
        for app in dict.fromkeys(pending.app for pending in waiting):
            known = await self._known(app)
            async with self._lock(known):
                await self._run(app)

    async def _guarded(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except HeadwayError as error:
            log.warning("releases wait", why=error.sentence)
        except Exception:
            log.exception("a defect in releases; the next round is tried all the same")
        return None

    def _lock(self, known: _Known) -> asyncio.Lock:
        return self._locks.setdefault(known.home.owner.name, asyncio.Lock())
