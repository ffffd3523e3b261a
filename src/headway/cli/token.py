"""``headway token``: make and revoke access tokens."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from headway.cli.call import Call, asking, write_json
from headway.cli.remote import connect
from headway.cli.screen import answer, note, said, table
from headway.cli.wording import ago
from headway.errors import InvalidInput
from headway.model.access import Role
from headway.model.views import TokenRequest


@click.group()
def token() -> None:
    """Make and revoke access tokens."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What its holder may do.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the token into this new file, which only you can read.",
)
@asking
@click.pass_obj
def new(call: Call, name: str, role: str, out: Path | None) -> None:
    """Make a token. NAME is what the journal shows; a node's token has the node's name.

    The token is shown this once; only its hash is kept.
    """
    with connect(call) as client:
        if out is None:
            made = client.create_token(TokenRequest(name, role))
        else:
            with _private(out) as descriptor:
                made = client.create_token(TokenRequest(name, role))
                os.write(descriptor, f"{made.token}\n".encode())
    if call.json:
        where = {"out": str(out)} if out else {"token": made.token}
        write_json({"name": made.name, "role": made.role, **where})
    elif out is None:
        note(f"The token of {made.name} ({made.role}); it is shown this once:")
        click.echo(made.token)
    else:
        note(f"The token of {made.name} ({made.role}) is in {out}.")


@token.command("list")
@asking
@click.pass_obj
def list_(call: Call) -> None:
    """List the tokens' names and roles."""
    with connect(call) as client:
        tokens = client.tokens()
    rows = [(one.name, one.role, ago(one.created_at, time.time())) for one in tokens]
    answer(call, tokens, lambda: table(("NAME", "ROLE", "MADE"), rows, "There is no token."))


@token.command()
@click.argument("name")
@asking
@click.pass_obj
def revoke(call: Call, name: str) -> None:
    """End a token; whoever holds it is locked out at once."""
    with connect(call) as client:
        client.revoke_token(name)
    answer(call, {"revoked": name}, lambda: said(f"The token of {name} is revoked."))


@contextmanager
def _private(path: Path) -> Iterator[int]:
    """A new file of mode 0600, made before the token is, so that a token is never lost."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidInput(f"{path} exists already; a token never replaces a file") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from None
    try:
        yield descriptor
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
