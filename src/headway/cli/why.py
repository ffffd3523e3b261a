"""``headway why``: why nothing is deploying, or what it waits for."""

import click

from headway.cli.call import Call, asking
from headway.cli.remote import connect
from headway.cli.screen import answer, lines


@click.command()
@click.argument("app")
@asking
@click.pass_obj
def why(call: Call, app: str) -> None:
    """Say why nothing is deploying.

    Or, while something is, what it waits for.
    """
    with connect(call) as client:
        reasons = client.why(app)
    answer(call, reasons, lambda: lines(*reasons.sentences))
