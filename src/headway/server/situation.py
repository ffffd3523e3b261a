"""What the database knows of an app at one moment."""

from collections.abc import Iterator

from msgspec import Struct, structs
from sqlalchemy import Connection

from headway.core import lanes, schedule
from headway.core.lanes import Home
from headway.errors import NotFound
from headway.model.hold import Hold, Scope
from headway.model.names import BuildId, Name
from headway.model.plan import AppConfig
from headway.model.release import Lane
from headway.model.rollout import Phase, Rollout
from headway.model.schedule import Times
from headway.server.database import apps, holds, outbox, rollouts, times

STARTS = 100
"""So many of the last rollouts are looked at for whether a slot has had its own."""


class Situation(Struct, frozen=True):
    """An app, its latest rollout, the holds in force, and the highest epoch of any rollout.

    ``live_build`` is what the latest rollout has brought if it succeeded, else what it began
    from: that is what goes back to, whoever ordered it. ``holds`` on the app's lane, and for the
    config lane those on the app whose configuration it is, are told as holds of the app itself.
    ``other`` is the latest rollout of the other lane.
    """

    config: AppConfig
    latest: Rollout | None
    live_build: BuildId | None
    holds: tuple[Hold, ...]
    last_epoch: int
    times: Times = Times()
    home: Home | None = None
    other: Rollout | None = None

    def bars(self, tier: Name, now: float, *, hotfix: bool, begins: bool) -> str:
        """Why no step in ``tier`` may begin now, as one sentence; empty when one may.

        ``begins``: it would be a rollout's first. A hotfix waits for no lane.
        """
        ask = schedule.may_begin if begins else schedule.may_go_on
        if closed := ask(self.times, now, hotfix=hotfix):
            return closed
        return "" if hotfix else lanes.must_wait(tier, self.other, self.holds)


def look(connection: Connection, app: str, now: float, *, deep: bool = False) -> Situation:
    """The situation of an app; ``deep``: also when its last rollouts began. Raises NotFound."""
    config = apps.get(connection, app)
    if config is None:
        raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
    latest = _latest(connection, app)
    home = lanes.home(apps.every(connection) if apps.count(connection) > 1 else (config,), app)
    placed = [h for h in holds.every(connection) if h.until is None or now < h.until]
    partner = home.partner if home is not None else None
    return Situation(
        config=config,
        latest=latest,
        live_build=_live(latest) if latest else None,
        holds=tuple(_binding(app, home, placed)),
        last_epoch=rollouts.last_epoch(connection, app),
        times=_times(connection, config, home, now, deep=deep),
        home=home,
        other=_latest(connection, partner) if partner else None,
    )


def _latest(connection: Connection, app: str) -> Rollout | None:
    return next(iter(rollouts.newest(connection, app, 1)), None)


def _live(latest: Rollout) -> BuildId | None:
    return latest.target if latest.phase is Phase.SUCCEEDED else latest.base


def _binding(app: str, home: Home | None, placed: list[Hold]) -> Iterator[Hold]:
    """Every hold, and those that bind the app by its lane, or by whose configuration it is."""
    for hold in placed:
        yield hold
        if home is None:
            continue
        name, _, rest = hold.on.partition("/")
        if name != home.owner.name:
            continue
        reason = f"{hold.reason} (on {hold.on})"
        if hold.scope is Scope.LANE:
            if rest == home.lane:
                yield structs.replace(hold, on=app, reason=reason)
        elif home.lane is Lane.CONFIG:
            yield structs.replace(hold, on=f"{app}/{rest}" if rest else app, reason=reason)


def _times(
    connection: Connection, config: AppConfig, home: Home | None, now: float, *, deep: bool
) -> Times:
    """The config lane follows the schedule of the code lane, unless it has its own."""
    owner = home.owner if home is not None else config
    names = dict.fromkeys((config.name, owner.name))
    frozen = [one for name in names for one in times.freezes_of(connection, name)]
    begun = rollouts.newest(connection, config.name, STARTS) if deep else ()
    return Times(
        schedule=config.schedule or owner.schedule,
        freezes=tuple(one for one in frozen if not schedule.lapsed(one, now)),
        takeover=times.takeover(connection, config.name) or times.takeover(connection, owner.name),
        starts=tuple(one.started_at for one in begun if not one.hotfix),
    )


def under_way(connection: Connection) -> tuple[str, ...]:
    """The apps for which there is something to do."""
    live = {state.app for state in rollouts.live(connection)}
    return tuple(sorted(live | {pending.app for pending in outbox.pending(connection)}))
