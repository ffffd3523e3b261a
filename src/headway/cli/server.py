"""``headway server``: run the control plane."""

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from headway import settings
from headway.cli.call import local
from headway.errors import InvalidInput
from headway.server.config import ServerConfig
from headway.server.main import serve


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The control plane's configuration (TOML).",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where everything lies; enough without a configuration.",
)
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to listen; port 0 takes a free one.")
@local
def server(file: Path | None, data: Path | None, listen: str | None) -> None:
    """Run the control plane.

    The first start makes its keys, and an admin's token in DIR/admin.token.
    """
    serve(_configured(file, data, listen))


def _configured(file: Path | None, data: Path | None, listen: str | None) -> ServerConfig:
    """The configuration of the file, in which the options have the last word."""
    if file is None and data is None:
        raise InvalidInput("say where the control plane keeps its data: --data DIR")
    given: dict[str, Any] = {"data": data, "listen": listen}
    config = ServerConfig(Path()) if file is None else settings.read(file, ServerConfig)
    return replace(config, **{key: value for key, value in given.items() if value is not None})
