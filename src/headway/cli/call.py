"""One call of the command line: the options that every command has, and how it answers.

This module and ``main`` load nothing heavier than click and msgspec, so that ``headway agent``
starts fast; what draws (``screen``) and what speaks to a server (``remote``) come with the nouns
that need them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from headway.core.words import parse_duration
from headway.errors import HeadwayError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Call:
    """What the options common to all commands say."""

    json: bool = False
    debug: bool = False
    server: str | None = None
    token_file: Path | None = None


class Duration(click.ParamType[float]):
    """An option's value like ``2h`` or ``30m``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Seconds, or click's complaint with the sentence of ``parse_duration``."""
        try:
            return value if isinstance(value, float) else parse_duration(value)
        except HeadwayError as error:
            self.fail(error.sentence, param, ctx)


def local(function: F) -> F:
    """The options of a command that asks no server: ``--json`` and ``--debug``."""
    function = _option("debug", "--debug", is_flag=True, help="Show a traceback for a bug.")(
        function
    )
    return _option(
        "json", "--json", is_flag=True, help="Write JSON, and a problem as JSON to stderr."
    )(function)


def asking(function: F) -> F:
    """The options of a command that asks a server: also ``--server`` and ``--token-file``."""
    function = local(function)
    function = _option(
        "token_file",
        "--token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read the token from FILE. [env: HEADWAY_TOKEN_FILE, HEADWAY_TOKEN]",
    )(function)
    return _option(
        "server", "--server", metavar="URL", help="The control plane. [env: HEADWAY_SERVER]"
    )(function)


def at_most(default: int) -> Callable[[F], F]:
    """The option of a list that may be long."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 1000),
        default=default,
        show_default=str(default),
        metavar="N",
        help="Show no more than this many, at most 1000.",
    )


def write_json(value: Any) -> None:
    """One JSON document on one line of standard output, in ASCII."""
    click.echo(json_line(value))


def json_line(value: Any) -> str:
    """``value`` as JSON on one line; ASCII, so that nothing in it steers a terminal."""
    return json.dumps(msgspec.to_builtins(value)).replace("\x7f", "\\u007f")


def _option(field: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """An option that goes into the Call, wherever on the command line it is given."""

    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.ensure_object(Call), field, value)

    return click.option(*names, field, callback=keep, expose_value=False, **attributes)
