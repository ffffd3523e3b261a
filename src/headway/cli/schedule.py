"""``headway schedule``: when deploys may go out, and freezes."""

from collections.abc import Sequence

import click
from rich.console import RenderableType
from rich.text import Text

from headway.cli.call import Call, asking
from headway.cli.remote import connect, only_app
from headway.cli.screen import answer, facts, lines, said, table
from headway.core.schedule import said as moment
from headway.model.release_views import FreezeRequest, ScheduleView
from headway.model.schedule import Frozen, Schedule


@click.group()
def schedule() -> None:
    """See when deploys may go out; freeze and thaw."""


@schedule.command()
@click.argument("app", required=False)
@asking
@click.pass_obj
def show(call: Call, app: str | None) -> None:
    """Show an app's hours, slot, freezes and shift, and what they say now."""
    with connect(call) as client:
        view = client.schedule(app or only_app(client))
    answer(call, view, lambda: drawn(view))


@schedule.command()
@click.argument("app")
@click.option("--until", required=True, metavar="MOMENT", help="2026-12-27, or with a time 18:00.")
@click.option("--from", "begin", metavar="MOMENT", help="When it begins; without it, now.")
@click.option("--reason", required=True, help="Why, for everybody who meets it.")
@click.option("--no-hotfixes", is_flag=True, help="Keep hotfixes back, too.")
@asking
@click.pass_obj
def freeze(
    call: Call, *, app: str, until: str, begin: str | None, reason: str, no_hotfixes: bool
) -> None:
    """Let nothing new begin for a time, in the schedule's time zone.

    The day that --until names is the last one.
    """
    request = FreezeRequest(until, reason, begin, hotfixes=not no_hotfixes)
    with connect(call) as client:
        made = client.freeze(app, request)
        plan = client.schedule(app).schedule
    sentence = f"{app} is frozen until {moment(made.end, plan)} ({made.id}); "
    answer(call, made, lambda: said(f"{sentence}`headway schedule thaw {made.id}` ends it."))


@schedule.command()
@click.argument("freeze_id", metavar="ID")
@asking
@click.pass_obj
def thaw(call: Call, freeze_id: str) -> None:
    """End a freeze that was declared."""
    with connect(call) as client:
        client.end_freeze(freeze_id)
    answer(call, {"thawed": freeze_id}, lambda: said(f"The freeze {freeze_id} is over."))


def drawn(view: ScheduleView) -> RenderableType:
    """An app's schedule, and what it says now."""
    plan = view.schedule
    now: str | Text = said(f"nothing begins: {view.barred}", "yellow")
    if not view.barred:
        now = said("a rollout may begin", "green")
    pairs: list[tuple[str, str | Text]] = [("app", said(view.app, "bold")), ("now", now)]
    if plan is not None:
        pairs += [
            ("mode", f"{plan.mode}{', Headway drives now' if view.bot else ''}"),
            ("hours", f"{plan.opens} to {plan.closes}, {', '.join(plan.days)} ({plan.zone})"),
            ("slot", _slot(view, plan)),
            ("opens", moment(view.opens, plan) if view.opens else ""),
        ]
    if view.shift.person or view.shift.why:
        until = f" until {moment(view.shift.until, plan)}" if view.shift.until else ""
        pairs.append(("shift", f"{view.shift.person or 'nobody'}{until}, {view.shift.why}"))
    written = plan.freezes if plan else ()
    rows = [_row(one, plan) for one in view.freezes]
    rows += [("-", one.begin, one.end, "config", one.reason) for one in written]
    headings = ("ID", "FROM", "UNTIL", "BY", "REASON")
    return lines(facts(pairs), "", table(headings, rows, "There is no freeze."))


def _slot(view: ScheduleView, plan: Schedule) -> str:
    if view.slot_begin is None or view.slot_end is None:
        return ""
    return f"{_short(view.slot_begin, plan)[-5:]} to {_short(view.slot_end, plan)[-5:]}"


def _row(one: Frozen, plan: Schedule | None) -> Sequence[str]:
    return (one.id, _short(one.begin, plan), _short(one.end, plan), one.by, one.reason)


def _short(when: float, plan: Schedule | None) -> str:
    """A moment without the day of the week and the zone, which is told once above."""
    return moment(when, plan).partition(" ")[2][: len("2026-11-25 10:00")]
