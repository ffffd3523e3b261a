"""``headway user``: who may sign in to the cockpit."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from headway.cli.call import Call, asking
from headway.cli.remote import connect
from headway.cli.screen import answer, note, said, table
from headway.cli.wording import ago
from headway.errors import InvalidInput
from headway.model.access import Role
from headway.model.views import PasswordRequest, RoleRequest, UserRequest

F = TypeVar("F", bound=Callable[..., Any])

ROLES = [role.value for role in Role if role is not Role.NODE]
MAX_BYTES = 4096


@click.group()
def user() -> None:
    """Say who may sign in to the cockpit, and as what."""


def secretly(function: F) -> F:
    """The options by which a password comes in; it is never part of the command line."""
    function = click.option(
        "--password-stdin", is_flag=True, help="Read the password from standard input."
    )(function)
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read the password from the first line of FILE.",
    )(function)


@user.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(ROLES), help="What the user may do.")
@secretly
@asking
@click.pass_obj
def add(call: Call, name: str, role: str, password_file: Path | None, password_stdin: bool) -> None:
    """Make a user. NAME is lower case, and what the journal shows.

    The password, of 12 characters at least, is asked for twice unless it comes from elsewhere.
    """
    with connect(call) as client:
        password = _password(name, password_file, password_stdin)
        made = client.add_user(UserRequest(name, role, password))
    sentence = f"{made.name} may sign in, as {made.role}."
    answer(call, made, lambda: said(sentence))


@user.command()
@click.argument("name")
@secretly
@asking
@click.pass_obj
def passwd(call: Call, name: str, password_file: Path | None, password_stdin: bool) -> None:
    """Give a user another password; all their sessions end."""
    with connect(call) as client:
        password = _password(name, password_file, password_stdin)
        client.change_password(name, PasswordRequest(password))
    sentence = f"{name} has another password, and is signed out everywhere."
    answer(call, {"changed": name}, lambda: said(sentence))


@user.command("list")
@asking
@click.pass_obj
def list_(call: Call) -> None:
    """List the users, their roles, and when they signed in last."""
    with connect(call) as client:
        users = client.users()
    now = time.time()
    rows = [
        (
            one.name,
            one.role,
            one.by,
            "never" if one.seen_at is None else ago(one.seen_at, now),
            str(one.sessions),
        )
        for one in users
    ]
    headings = ("NAME", "ROLE", "BY", "SIGNED IN", "SESSIONS")
    answer(call, users, lambda: table(headings, rows, "There is no user.", folding=0))


@user.command()
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@asking
@click.pass_obj
def role(call: Call, name: str, role: str) -> None:
    """Give a user another role; it counts at once, in open sessions too."""
    with connect(call) as client:
        changed = client.change_role(name, RoleRequest(role))
    answer(call, changed, lambda: said(f"{changed.name} is now {changed.role}."))


@user.command("sign-out")
@click.argument("name")
@asking
@click.pass_obj
def sign_out(call: Call, name: str) -> None:
    """End all sessions of a user, who may sign in again."""
    with connect(call) as client:
        client.sign_out_user(name)
    answer(call, {"signed_out": name}, lambda: said(f"{name} is signed out everywhere."))


@user.command()
@click.argument("name")
@asking
@click.pass_obj
def remove(call: Call, name: str) -> None:
    """Remove a user, whose sessions end at once.

    A token of the same name stays in force. Whom the provider vouches for can sign in again.
    """
    with connect(call) as client:
        client.remove_user(name)
        left = any(token.name == name for token in client.tokens())
    if left:
        note(f"A token named {name} stays in force: `headway token revoke {name}` ends it.")
    answer(call, {"removed": name}, lambda: said(f"{name} is removed."))


def _password(name: str, file: Path | None, stdin: bool) -> str:
    """The password, from where the options say, or typed twice. Raises InvalidInput."""
    if file is not None and stdin:
        raise InvalidInput("--password-file and --password-stdin exclude each other")
    if file is not None:
        try:
            with file.open("rb") as opened:
                return _line(opened.read(MAX_BYTES), str(file))
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
    if stdin:
        return _line(sys.stdin.buffer.read(MAX_BYTES), "standard input")
    if not sys.stdin.isatty():
        raise InvalidInput(
            "there is no terminal to ask for the password; give --password-stdin or"
            " --password-file FILE"
        )
    typed: str = click.prompt(f"Password for {name}", hide_input=True, err=True)
    if typed != click.prompt("The same again", hide_input=True, err=True):
        raise InvalidInput("the two passwords are not the same; nothing was changed")
    return typed


def _line(content: bytes, where: str) -> str:
    """The first line; the sentences never show it."""
    try:
        line = content.decode().splitlines()[:1]
    except UnicodeDecodeError:
        raise InvalidInput(f"{where} does not hold a password in UTF-8") from None
    if not line or not line[0]:
        raise InvalidInput(f"{where} does not hold a password")
    return line[0]
