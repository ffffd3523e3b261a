"""``headway hold``: block an app, a tier or a node, with a reason."""

import time
from collections.abc import Sequence

import click

from headway.cli.call import Call, Duration, asking
from headway.cli.remote import connect
from headway.cli.screen import answer, said, table
from headway.cli.wording import clock
from headway.model.hold import Hold, Scope
from headway.model.views import HoldRequest


@click.group()
def hold() -> None:
    """Block an app, a tier or a node, with a reason.

    A hold never stops a revert.
    """


@hold.command()
@click.argument("scope", type=click.Choice([scope.value for scope in Scope]))
@click.argument("on")
@click.option("--reason", required=True, help="Why, for everybody who meets the hold.")
@click.option("--for", "length", type=Duration(), help="Lapse after this long, such as 2h.")
@asking
@click.pass_obj
def add(call: Call, scope: str, on: str, reason: str, length: float | None) -> None:
    """Hold an app (`app web`), a tier (`tier web/canary`) or a node (`node web-17`)."""
    until = None if length is None else time.time() + length
    with connect(call) as client:
        made = client.add_hold(HoldRequest(Scope(scope), on, reason, until))
    sentence = f"{made.on} is held ({made.id}); `headway hold lift {made.id}` lifts it."
    answer(call, made, lambda: said(sentence))


@hold.command()
@click.argument("hold_id", metavar="ID")
@asking
@click.pass_obj
def lift(call: Call, hold_id: str) -> None:
    """Lift a hold."""
    with connect(call) as client:
        client.lift_hold(hold_id)
    answer(call, {"lifted": hold_id}, lambda: said(f"The hold {hold_id} is lifted."))


@hold.command("list")
@asking
@click.pass_obj
def list_(call: Call) -> None:
    """List the holds that are in force."""
    with connect(call) as client:
        holds = client.holds()
    headings = ("ID", "ON", "BY", "UNTIL", "REASON")
    answer(call, holds, lambda: table(headings, [_row(one) for one in holds], "Nothing is held."))


def _row(one: Hold) -> Sequence[str]:
    until = "lifted" if one.until is None else clock(one.until)
    return (one.id, f"{one.scope} {one.on}", one.by, until, one.reason)
