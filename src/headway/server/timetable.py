"""Freezes and shifts, for the API and the cockpit alike."""

from secrets import token_hex

from sqlalchemy import Connection

from headway.core import schedule as core
from headway.errors import InvalidInput, NotFound, Refused
from headway.model.release_views import FreezeRequest, ScheduleView, ShiftRequest
from headway.model.schedule import Frozen, Schedule, Takeover
from headway.server.database import journal, times
from headway.server.plane import ControlPlane
from headway.server.situation import Situation, look

MAX_SHIFT_SECONDS = 14 * 86400.0
"""The longest that a shift is taken over for where no rota says when it ends."""


async def freeze(plane: ControlPlane, app: str, request: FreezeRequest, by: str) -> Frozen:
    """Let nothing new begin for a while. Raises InvalidInput and NotFound."""
    now = plane.clock()

    def write(connection: Connection) -> Frozen:
        known = look(connection, app, now)
        plan = known.times.schedule or Schedule()
        begin, end = core.span_of(request.begin, request.end, plan, now)
        if end <= now:
            raise InvalidInput(f"the freeze would end at {request.end}, which is past")
        frozen = Frozen(token_hex(4), app, begin, end, by, request.reason, request.hotfixes)
        times.add_freeze(connection, frozen)
        until = core.said(end, plan)
        why = f"{by} freezes {app} until {until}: {request.reason}"
        journal.append(connection, at=now, app=app, actor=by, kind="freeze", why=why)
        return frozen

    frozen = await plane.database.write(write)
    plane.news.journal_grew()
    return frozen


async def thaw(plane: ControlPlane, frozen: str, by: str) -> None:
    """Take a freeze back that a person has declared. Raises NotFound."""

    def write(connection: Connection) -> None:
        found = times.freeze(connection, frozen)
        if found is None:
            raise NotFound(f"there is no freeze {frozen[:80]}; see `headway schedule show`")
        times.end_freeze(connection, frozen)
        why = f"{by} ends the freeze of {found.by} on {found.app}: {found.reason}"
        journal.append(
            connection,
            at=plane.clock(),
            app=found.app,
            actor=by,
            kind="thaw",
            why=why,
        )

    await plane.database.write(write)
    plane.news.journal_grew()


async def hand_over(plane: ControlPlane, app: str, request: ShiftRequest, by: str) -> None:
    """Take the shift, or hand it over. Raises NotFound, InvalidInput and Refused."""
    now = plane.clock()
    person = request.person or by
    if person != by and not plane.callers.is_known(person):
        raise NotFound(
            f"nobody is called {person[:128]}; see `headway user list` and `headway token list`"
        )

    def write(connection: Connection) -> None:
        known = look(connection, app, now)
        before = core.shift(known.times, now)
        until = request.until or core.next_turn(known.times, now) or now + MAX_SHIFT_SECONDS
        if until <= now:
            raise InvalidInput("the shift would end before it begins")
        if before.person == person and before.until is not None and before.until >= until:
            raise Refused(f"{person} is on shift already")
        times.take_over(connection, Takeover(app, person, by, now, until, request.reason))
        how = "takes the shift over" if person == by else f"hands the shift to {person}"
        whose = f" from {before.person}" if before.person and before.person != by else ""
        why = f"{by} {how}{whose}" + (f": {request.reason}" if request.reason else "")
        journal.append(connection, at=now, app=app, actor=by, kind="shift", why=why)

    await plane.database.write(write)
    plane.news.journal_grew()


async def show(plane: ControlPlane, app: str) -> ScheduleView:
    """What an app's schedule says now. Raises NotFound."""
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
