"""``headway rota``: who is on shift."""

import time

import click

from headway.cli.call import Call, Duration, asking
from headway.cli.remote import connect, only_app
from headway.cli.schedule import drawn
from headway.cli.screen import answer
from headway.model.release_views import ShiftRequest

length_option = click.option(
    "--for", "length", type=Duration(), help="For so long, such as 4h; without it, this turn."
)
reason_option = click.option("--reason", default="", help="Why, for everybody.")


@click.group()
def rota() -> None:
    """See who is on shift; take it over, or hand it over."""


@rota.command()
@click.argument("app", required=False)
@asking
@click.pass_obj
def show(call: Call, app: str | None) -> None:
    """Show who is on shift, and until when."""
    with connect(call) as client:
        view = client.schedule(app or only_app(client))
    answer(call, view, lambda: drawn(view))


@rota.command()
@click.argument("app")
@length_option
@reason_option
@asking
@click.pass_obj
def take(call: Call, app: str, length: float | None, reason: str) -> None:
    """Take the shift over."""
    _change(call, app, "", length, reason)


@rota.command()
@click.argument("app")
@click.argument("person")
@length_option
@reason_option
@asking
@click.pass_obj
def hand(call: Call, *, app: str, person: str, length: float | None, reason: str) -> None:
    """Hand the shift over to PERSON, a user or the holder of a token."""
    _change(call, app, person, length, reason)


def _change(call: Call, app: str, person: str, length: float | None, reason: str) -> None:
    until = None if length is None else time.time() + length
    with connect(call) as client:
        view = client.change_shift(app, ShiftRequest(person, reason, until))
    answer(call, view, lambda: drawn(view))
