"""``headway agent``: run a node."""

import os
import sys
from pathlib import Path

import click

from headway.agent.config import load
from headway.agent.heap import SETTINGS
from headway.cli.call import Call, local


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
@click.pass_obj
def agent(call: Call, config: Path) -> None:
    """Run a node: follow the signal and keep its apps at their builds.

    It runs until it is stopped; the apps go on without it.
    """
    load(config)
    # The process stays the same one, but starts again with settings that keep it small.
    argv = [sys.executable, "-m", "headway.agent", str(config), *(["--json"] if call.json else [])]
    os.execve(sys.executable, argv, {**SETTINGS, **os.environ})  # noqa: S606
