"""Apps and why they do not deploy."""

from litestar import get, put
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.core import metrics, schedule
from headway.core.plan import check
from headway.errors import InvalidInput
from headway.model.plan import AppConfig
from headway.model.views import AppView, Why
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.database import apps, journal
from headway.server.reasons import reasons
from headway.server.situation import Situation, look


@put("/v1/apps/{app:str}", opt={"role": Rule.ADMIN}, summary="Set up an app, or change it")
async def put_app(
    app: InPath,
    data: JSONBody[AppConfig],
    plane: Plane,
    caller: Caller,
) -> AppView:
    """Running rollouts keep the plan that they began with."""
    if data.name != app:
        raise InvalidInput(f"the configuration is of {data.name}, the address is of {app[:80]}")
    for name, plan in data.plans.items():
        check(name, plan)
    metrics.check(data)
    if data.schedule is not None:
        schedule.check(data.schedule)
    for one in data.smoke:
        if one.command and one.command[0] not in plane.smoke_programs:
            raise InvalidInput(
                f"{one.command[0][:200]!a} is not one of the server's smoke_programs"
            )
    plane.workshop.check(data)

    def write(connection: Connection) -> Situation:
        before = apps.get(connection, app)
        now = plane.clock()
        if before != data:
            why = f"{caller.name} {'changes' if before else 'sets up'} {app}"
            apps.put(connection, data, now)
            journal.append(connection, at=now, app=app, actor=caller.name, kind="app", why=why)
        return look(connection, app, now)

    known = await plane.database.write(write)
    plane.news.journal_grew()
    return _view(known)


@get("/v1/apps", opt={"role": Rule.VIEWER}, summary="Every app")
async def list_apps(plane: Plane) -> list[AppView]:
    """By name, each with the build that is live and its latest rollout."""

    def read(connection: Connection) -> list[AppView]:
        now = plane.clock()
        return [_view(look(connection, config.name, now)) for config in apps.every(connection)]

    return await plane.database.read(read)


@get("/v1/apps/{app:str}", opt={"role": Rule.VIEWER}, summary="One app")
async def show_app(app: InPath, plane: Plane) -> AppView:
    """The app's configuration, the build that is live and its latest rollout."""
    return _view(await plane.engine.situation(app))


@get("/v1/apps/{app:str}/why", opt={"role": Rule.VIEWER}, summary="Why nothing is deploying")
async def explain_app(app: InPath, plane: Plane) -> Why:
    """Why nothing is deploying, or what it waits for, a sentence each."""
    now = plane.clock()
    known = await plane.database.read(lambda c: look(c, app, now, deep=True))
    fleet = plane.engine.view(known, now)
    return Why(await reasons(plane, known, fleet, now))


def _view(known: Situation) -> AppView:
    return AppView(known.config, known.live_build, known.latest.id if known.latest else None)
