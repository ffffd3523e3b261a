"""``headway hub``: hold the connections of nodes, in front of a signal store."""

from pathlib import Path

import click

from headway.cli.call import local
from headway.hub.config import load
from headway.hub.main import serve


@click.command()
@click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The hub's configuration (TOML).",
)
@local
def hub(config: Path) -> None:
    """Hold the connections of nodes, in front of a signal store.

    It keeps nothing: any number of hubs may run side by side, and agents go from one that stops to
    the next.
    """
    serve(load(config))
