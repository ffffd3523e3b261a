"""The schedule: when something may begin, freezes, and who is on shift."""

from secrets import token_hex

from litestar import delete, get, post
from litestar.params import JSONBody
from sqlalchemy import Connection

from headway.core import schedule as core
from headway.errors import InvalidInput, NotFound, Refused
from headway.model.release_views import FreezeRequest, ScheduleView, ShiftRequest
from headway.model.schedule import Frozen, Schedule, Takeover
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.database import journal, times
from headway.server.plane import ControlPlane
from headway.server.situation import Situation, look

MAX_SHIFT_SECONDS = 14 * 86400.0
"""The longest that a shift is taken over for where no rota says when it ends."""


@get("/v1/apps/{app:str}/schedule", opt={"role": Rule.VIEWER}, summary="When deploys may go")
async def show_schedule(app: InPath, plane: Plane) -> ScheduleView:
    """The schedule, the freezes, who is on shift, and why nothing may begin now."""
    return await _view(plane, app)


@post(
    "/v1/apps/{app:str}/freezes",
    opt={"role": Rule.DEPLOYER},
    status_code=201,
    summary="Declare a freeze",
)
async def declare_freeze(
    app: InPath, data: JSONBody[FreezeRequest], plane: Plane, caller: Caller
) -> Frozen:
    """Nothing new begins in it, but for hotfixes; what runs goes on to the end of its step."""
    now = plane.clock()

    def write(connection: Connection) -> Frozen:
        known = look(connection, app, now)
        plan = known.times.schedule or Schedule()
        begin, end = core.span_of(data.begin, data.end, plan, now)
        if end <= now:
            raise InvalidInput(f"the freeze would end at {data.end}, which is past")
        frozen = Frozen(token_hex(4), app, begin, end, caller.name, data.reason, data.hotfixes)
        times.add_freeze(connection, frozen)
        until = core.said(end, plan)
        why = f"{caller.name} freezes {app} until {until}: {data.reason}"
        journal.append(connection, at=now, app=app, actor=caller.name, kind="freeze", why=why)
        return frozen

    frozen = await plane.database.write(write)
    plane.news.journal_grew()
    return frozen


@delete("/v1/freezes/{freeze:str}", opt={"role": Rule.DEPLOYER}, summary="End a freeze")
async def end_freeze(freeze: InPath, plane: Plane, caller: Caller) -> None:
    """One that was declared; those of the configuration end with it."""

    def write(connection: Connection) -> None:
        found = times.freeze(connection, freeze)
        if found is None:
            raise NotFound(f"there is no freeze {freeze[:80]}; see `headway schedule show`")
        times.end_freeze(connection, freeze)
        why = f"{caller.name} ends the freeze of {found.by} on {found.app}: {found.reason}"
        journal.append(
            connection,
            at=plane.clock(),
            app=found.app,
            actor=caller.name,
            kind="thaw",
            why=why,
        )

    await plane.database.write(write)
    plane.news.journal_grew()


@post(
    "/v1/apps/{app:str}/shift",
    opt={"role": Rule.DEPLOYER, "errors": (Refused,)},
    status_code=200,
    summary="Take the shift, or hand it over",
)
async def change_shift(
    app: InPath, data: JSONBody[ShiftRequest], plane: Plane, caller: Caller
) -> ScheduleView:
    """Until the rota's next turn, unless told otherwise."""
    now = plane.clock()
    person = data.person or caller.name
    if person != caller.name and not plane.callers.is_known(person):
        raise NotFound(f"nobody is called {person[:128]}; see `headway token list`")

    def write(connection: Connection) -> None:
        known = look(connection, app, now)
        before = core.shift(known.times, now)
        until = data.until or core.next_turn(known.times, now) or now + MAX_SHIFT_SECONDS
        if until <= now:
            raise InvalidInput("the shift would end before it begins")
        if before.person == person and before.until is not None and before.until >= until:
            raise Refused(f"{person} is on shift already")
        times.take_over(connection, Takeover(app, person, caller.name, now, until, data.reason))
        how = "takes the shift over" if person == caller.name else f"hands the shift to {person}"
        whose = f" from {before.person}" if before.person and before.person != caller.name else ""
        why = f"{caller.name} {how}{whose}" + (f": {data.reason}" if data.reason else "")
        journal.append(connection, at=now, app=app, actor=caller.name, kind="shift", why=why)

    await plane.database.write(write)
    plane.news.journal_grew()
    return await _view(plane, app)


async def _view(plane: ControlPlane, app: str) -> ScheduleView:
    now = plane.clock()
    known = await plane.database.read(lambda c: look(c, app, now, deep=True))
    return view(known, now)


def view(known: Situation, now: float) -> ScheduleView:
    """What an app's schedule says now."""
    plan = known.times.schedule
    slot = core.slot_at(plan, now) if plan else None
    return ScheduleView(
        app=known.config.name,
        now=now,
        barred=core.may_begin(known.times, now, hotfix=False),
        bot=plan is not None and core.bot_drives(plan, now),
        shift=core.shift(known.times, now),
        schedule=plan,
        freezes=known.times.freezes,
        slot_begin=slot.begin if slot else None,
        slot_end=slot.end if slot else None,
        opens=core.opens_next(plan, now) if plan else None,
    )
