"""``headway key``: make signing keys."""

from pathlib import Path

import click

from headway.cli.call import Call, local, write_json
from headway.signing import Signer


@click.group()
def key() -> None:
    """Make signing keys."""


@key.command()
@click.argument("path", type=click.Path(path_type=Path))
@local
@click.pass_obj
def new(call: Call, path: Path) -> None:
    """Make an ed25519 key: PATH is the private one, PATH.pub goes to those who trust it."""
    signer = Signer.generate()
    public = signer.save(path)
    if call.json:
        write_json({"private": str(path), "public": str(public), "keyid": signer.keyid})
    else:
        click.echo(f"The private key is {path}: keep it to yourself.")
        click.echo(f"The public key is {public}: give it to nodes and the control plane.")
