"""What the database knows of an app at one moment."""

from msgspec import Struct
from sqlalchemy import Connection

from headway.errors import NotFound
from headway.model.hold import Hold
from headway.model.names import BuildId
from headway.model.plan import AppConfig
from headway.model.rollout import Phase, Rollout
from headway.server.database import apps, holds, outbox, rollouts


class Situation(Struct, frozen=True):
    """An app, its latest rollout, the holds in force, and the highest epoch of any rollout.

    ``live_build`` is what the latest rollout has brought if it succeeded, else what it began
    from: that is what goes back to, whoever ordered it.
    """

    config: AppConfig
    latest: Rollout | None
    live_build: BuildId | None
    holds: tuple[Hold, ...]
    last_epoch: int


def look(connection: Connection, app: str, now: float) -> Situation:
    """The situation of an app. Raises NotFound."""
    config = apps.get(connection, app)
    if config is None:
        raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
    latest = next(iter(rollouts.newest(connection, app, 1)), None)
    return Situation(
        config=config,
        latest=latest,
        live_build=_live(latest) if latest else None,
        holds=tuple(h for h in holds.every(connection) if h.until is None or now < h.until),
        last_epoch=rollouts.last_epoch(connection, app),
    )


def _live(latest: Rollout) -> BuildId | None:
    return latest.target if latest.phase is Phase.SUCCEEDED else latest.base


def under_way(connection: Connection) -> tuple[str, ...]:
    """The apps for which there is something to do."""
    live = {state.app for state in rollouts.live(connection)}
    return tuple(sorted(live | {pending.app for pending in outbox.pending(connection)}))
