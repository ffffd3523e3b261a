"""``headway agent``: run a node. Loads nothing that the agent does not need."""

from pathlib import Path

import click

from headway.agent.main import run
from headway.cli.call import local


@click.command()
@click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The agent's configuration (TOML).",
)
@local
def agent(config: Path) -> None:
    """Run a node: follow the signal and keep its apps at their builds.

    It runs until it is stopped; the apps go on without it.
    """
    run(config)
