"""``headway announcement``: what people were to be told and has not arrived."""

import time

import click

from headway.cli.call import Call, asking, at_most
from headway.cli.remote import connect
from headway.cli.screen import answer, said, table
from headway.cli.wording import ago


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
@click.argument("delivery", type=int, metavar="ID")
@asking
@click.pass_obj
def retry(call: Call, delivery: int) -> None:
    """Send again what was given up."""
    with connect(call) as client:
        client.retry_delivery(delivery)
    answer(call, {"retried": delivery}, lambda: said(f"{delivery} is sent again."))
