"""``headway server``: run the control plane."""

from pathlib import Path

import click
from msgspec import structs

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
    help="Where everything lies; enough by itself to start with.",
)
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to answer. [default: 127.0.0.1:8700]")
@local
def server(file: Path | None, data: Path | None, listen: str | None) -> None:
    """Run the control plane, until it is stopped.

    With nothing but --data it makes its keys and an admin's token there at the first start, and
    uses an embedded signal store and database. Options come before the configuration file.
    """
    if file is not None:
        config = settings.read(file, ServerConfig)
    elif data is not None:
        config = ServerConfig(data=data)
    else:
        raise InvalidInput("say where to keep everything: --data DIR, or --config FILE")
    given = {"data": data, "listen": listen}
    serve(structs.replace(config, **{key: value for key, value in given.items() if value}))
