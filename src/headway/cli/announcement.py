"""``headway announcement``: what people were to be told and has not arrived."""

import time

import click

from headway.cli.call import Call, asking, at_most
from headway.cli.remote import connect
from headway.cli.screen import answer, said, table
from headway.cli.wording import ago
from headway.core.words import count
from headway.errors import InvalidInput


@click.group()
def announcement() -> None:
    """See what has not arrived at a webhook, a graph or a forge, and send it again."""


@announcement.command("list")
@click.option("--dead", is_flag=True, help="What was given up, instead of what is still tried.")
@at_most(50)
@asking
@click.pass_obj
def list_(call: Call, dead: bool, limit: int) -> None:
    """List what has not arrived, oldest first."""
    with connect(call) as client:
        found = client.deliveries(dead, limit)
    headings = ("ID", "TO", "WHAT", "SINCE", "TRIES", "ERROR")
    rows = [
        (
            str(one.id),
            one.to,
            f"{one.announcement.occasion} {one.announcement.app}",
            ago(one.announcement.at, time.time()),
            str(one.tries),
            one.error,
        )
        for one in found
    ]
    nothing = "Nothing was given up." if dead else "Everything has arrived."
    answer(call, found, lambda: table(headings, rows, nothing))


@announcement.command()
@click.argument("deliveries", type=int, nargs=-1, metavar="[ID]...")
@click.option("--to", metavar="PLACE", help="All that was given up for this place.")
@asking
@click.pass_obj
def retry(call: Call, deliveries: tuple[int, ...], to: str | None) -> None:
    """Send again what was given up: some of it, or all that is for one place."""
    if bool(deliveries) == (to is not None):
        raise InvalidInput("say what to send again: either IDs, or --to and a place")
    with connect(call) as client:
        if to is not None:
            dead = client.deliveries(dead=True, limit=None)
            deliveries = tuple(one.id for one in dead if one.to == to)
        for delivery in deliveries:
            client.retry_delivery(delivery)
    many = f"{count(len(deliveries), 'announcement')} to be sent again."
    answer(call, {"retried": list(deliveries)}, lambda: said(many))
