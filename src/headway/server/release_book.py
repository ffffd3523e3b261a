"""What there is to know of releases without asking a repository: rows, suspects, what is next."""

from msgspec import structs
from sqlalchemy import Connection

from headway.core import bisect, suspects
from headway.core import release as core
from headway.core.journal import changes
from headway.core.suspects import Suspect
from headway.errors import NotFound, Refused
from headway.model.build import Build
from headway.model.plan import AppConfig, Metric
from headway.model.release import Built, Change, Release, ReleaseDecision
from headway.model.release_views import (
    BisectRequest,
    BisectView,
    RevertRequest,
    SuspectsView,
    SuspectView,
)
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Outcome
from headway.server.database import apps, journal, outbox, releases, rollouts
from headway.server.database.connection import Database
from headway.server.database.outbox import Queue

EARLIER = 20
"""So many earlier releases are searched for what was taken back, and rollouts for a release's."""


class ReleaseBook:
    """Every app's releases, as the database has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, release: str) -> Release:
        """The state of a release. Raises NotFound."""
        state = await self._database.read(lambda c: releases.get(c, release))
        if state is None:
            raise NotFound(f"there is no release {release[:80]}; see `headway release list`")
        return state

    async def newest(self, app: str, limit: int, before: int | None = None) -> list[Release]:
        """An app's releases, newest first; those numbered below ``before``. Raises NotFound."""

        def read(connection: Connection) -> tuple[Release, ...]:
            if apps.get(connection, app) is None:
                raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
            return releases.newest(connection, app, limit, before)

        return [*await self._database.read(read)]

    async def blame(self, release: str) -> SuspectsView:
        """Who may be to blame for what fails. Raises NotFound."""
        ranking, failing = await self._ranking(await self.known(release))
        listed = tuple(SuspectView(one.change, one.why, one.weight) for one in ranking)
        return SuspectsView(suspects.sentence(ranking, failing), listed)

    async def bisect(self, release: str, request: BisectRequest) -> BisectView:
        """The next commit to try. Raises NotFound and Refused."""
        state = bisect.begin(await self.known(release))
        bad = request.bad or state.bad
        if not request.good < bad <= state.bad:
            raise Refused(f"{state.release} has {state.bad} changes; good is less than bad")
        state = structs.replace(state, good=request.good, bad=bad)
        return BisectView(
            bisect.sentence(state),
            state.good,
            state.bad,
            bisect.probe(state),
            bisect.culprit(state),
        )

    async def to_take_back(
        self, state: Release, request: RevertRequest
    ) -> tuple[tuple[Change, ...], str]:
        """The changes that a request means, by default the suspect, and why. Raises Refused."""
        if not request.changes:
            ranking, failing = await self._ranking(state)
            one = suspects.named(ranking)
            if one is None:
                raise Refused(suspects.sentence(ranking, failing))
            return (one.change,), request.reason or one.why
        brought = [*state.changes, *(pick.change for pick in state.picks)]
        found: list[Change] = []
        for wanted in request.changes:
            named = core.find(dict.fromkeys(brought), wanted)
            if not named:
                raise NotFound(
                    f"{state.id} has no change {wanted[:64]}; see `headway release show`"
                )
            found += named
        return tuple(sorted(set(found), key=brought.index)), request.reason

    async def _ranking(self, state: Release) -> tuple[tuple[Suspect, ...], tuple[Metric, ...]]:
        def read(connection: Connection) -> tuple[AppConfig | None, tuple[Rollout, ...]]:
            return apps.get(connection, state.app), rollouts.newest(connection, state.app, EARLIER)

        config, recent = await self._database.read(read)
        mine = next((one for one in recent if one.release == state.id), None)
        failed = _failed(mine) if mine else set()
        failing = tuple(m for m in (config.metrics if config else ()) if m.name in failed)
        return suspects.suspects(state, failing), failing


def record(
    connection: Connection,
    before: Release | None,
    decision: ReleaseDecision,
    actor: str,
    kind: str,
    now: float,
) -> None:
    """Write a decision down: the state row, a journal row, and the effects."""
    state = decision.state
    releases.put(connection, state)
    journal.append(
        connection,
        at=now,
        app=state.app,
        release=state.id,
        actor=actor,
        kind=kind,
        why=decision.why,
        changes=changes(before, state),
    )
    outbox.add(connection, state.app, state.id, decision.effects, Queue.RELEASE)


def note_build(connection: Connection, build: Build, by: str, now: float) -> None:
    """A build was published: if a release waits for it, it has it from now on."""
    state = releases.with_commit(connection, build.app, build.commit)
    if state is None:
        return
    decision = core.decide(state, Built(build.id, build.commit, by))
    if decision.state != state:
        record(connection, state, decision, by, "built", now)


def _failed(rollout: Rollout) -> set[str]:
    verdicts = {v.metric for v in rollout.verdicts if v.outcome is Outcome.FAIL}
    return verdicts | {
        key.partition(":")[2] for key in rollout.objections if key.startswith("metric:")
    }


def next_action(state: Release, rollout: Rollout | None, is_live: bool) -> tuple[str, str]:
    """The one obvious action on a release, and the sentence beside it."""
    if is_live:
        return "", f"{state.tags[-1].name} is live"
    if state.build is None:
        return "build", f"{state.tags[-1].name} waits for its build, of {state.head[:12]}"
    if rollout is not None and rollout.target == state.build:
        ended = rollout.phase in (Phase.REVERTED, Phase.REVERTING)
        return ("revert", rollout.why) if ended else ("", f"{rollout.id} deploys it")
    return "deploy", f"{state.tags[-1].name} is built, and can be deployed"
