"""Gathers what there is to say on why nothing is deploying."""

from sqlalchemy import Connection

from headway.core import schedule, words
from headway.core.riding import leader
from headway.core.why import Facts, why
from headway.errors import StoreError
from headway.model.release import Release
from headway.model.rollout import LIVE, FleetView
from headway.model.train import Train
from headway.server.database import releases, trains
from headway.server.plane import ControlPlane
from headway.server.situation import Situation
from headway.server.trips import barred


async def reasons(
    plane: ControlPlane, known: Situation, fleet: FleetView, now: float
) -> tuple[str, ...]:
    """Why nothing of an app is deploying, or what it waits for: never empty."""
    app = known.config.name

    def read(connection: Connection) -> tuple[Release | None, Train]:
        return next(iter(releases.newest(connection, app, 1)), None), trains.get(connection, app)

    newest, train = await plane.database.read(read)
    plan = known.times.schedule
    gate, age = plane.releases.gate(app)
    return why(
        Facts(
            app=app,
            now=now,
            rollout=known.latest,
            fleet=fleet,
            holds=known.holds,
            live=known.live_build,
            lead=_lead(plane),
            trouble=plane.engine.trouble(app),
            barred=closed(known, fleet, now),
            release=newest,
            unpushed=plane.releases.trouble(app),
            gate=gate,
            gate_age=age,
            shift=schedule.shift(known.times, now),
            queue=_queue(train),
            bot=plan is not None and schedule.bot_drives(plan, now),
        )
    )


def closed(known: Situation, fleet: FleetView, now: float) -> str:
    """What bars the next step, or where nothing is under way, the next rollout."""
    state = known.latest
    if state is not None and state.phase in LIVE:
        return barred(known, fleet, now)
    plan = known.config.plans.get("default", ())
    return known.bars(plan[0].tier if plan else "", now, hotfix=False, begins=True)


def _queue(train: Train) -> tuple[str, ...]:
    """Where the train stands, and who leads it, if anybody is aboard."""
    if not train.riders:
        return ()
    aboard = words.count(len(train.riders), "rider")
    led = f"led by {leader(train)}" if leader(train) else "led by nobody"
    return (f"the train is {train.state} with {aboard}, {led}: {train.why}",)


def _lead(plane: ControlPlane) -> str:
    try:
        plane.may_write()
    except StoreError as error:
        return f"this control plane does not act: {error.sentence}"
    return ""
