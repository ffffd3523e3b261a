"""``headway``: finds the noun, runs it, and turns whatever ends it into one sentence and a code.

Exit codes are those of the error tree (``headway.errors``), 130 after Ctrl-C, and 141 when
whoever reads the output has gone.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from headway import __version__
from headway.cli.call import Call, asking, json_line
from headway.core.words import clean
from headway.errors import HeadwayError, HookFailed, InvalidInput
from headway.model.views import Problem

INTERRUPTED = 130
READER_GONE = 141
COMPLETION = "_HEADWAY_COMPLETE"
"""The variable by which a shell asks click for completions."""

NOUNS = {
    "agent": "Run a node: follow the signal and keep its apps at their builds.",
    "announcement": "See what has not arrived at a webhook, a graph or a forge, and send it again.",
    "app": "Set up apps and look at them.",
    "build": "Publish builds, make them from commits, and list them.",
    "chat": "Talk to an app's train, line by line, in the words of the chat.",
    "demo": "Start a fleet on this machine; deploy a good build, then a bad one.",
    "deploy": "Start a rollout of a build.",
    "emergency": "Take the fleet back when the control plane is gone.",
    "guard": "See what the guard saw and said, and try other settings.",
    "hold": "Block an app, a tier or a node, with a reason.",
    "hub": "Hold the connections of nodes, in front of a signal store.",
    "journal": "Show what was decided, by whom and why.",
    "key": "Make signing keys.",
    "node": "Look at nodes, hold them, pin them.",
    "release": "Cut releases, fix them, take changes back.",
    "rollout": "Look at rollouts and steer them.",
    "rota": "See who is on shift; take it over, or hand it over.",
    "schedule": "See when deploys may go out; freeze and thaw.",
    "server": "Run the control plane.",
    "token": "Make and revoke access tokens.",
    "train": "Ride and lead an app's train.",
    "user": "Say who may sign in to the cockpit, and as what.",
    "watch": "Watch an app: its rollout, train, nodes and journal, live, with keys to steer it.",
    "why": "Say why nothing is deploying.",
}
"""Each noun is the module of its name in ``headway.cli``, which is loaded when it is called."""


class Nouns(click.Group):
    """A group whose commands are loaded one by one, as they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every noun, in order of the alphabet."""
        return sorted(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The noun's command, from its module."""
        if cmd_name not in NOUNS:
            return None
        command = getattr(import_module(f"headway.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the nouns without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(NOUNS.items()))


@click.command(cls=Nouns)
@asking
@click.version_option(__version__, prog_name="headway", message="%(prog)s %(version)s")
def headway() -> None:
    """Deploy one build of an application to a whole fleet, atomically and in tiers."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    if COMPLETION in os.environ:
        headway.main(prog_name="headway", complete_var=COMPLETION)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line. Returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    call = Call()
    try:
        try:
            with headway.make_context("headway", list(arguments), obj=call) as context:
                headway.invoke(context)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return InvalidInput.exit_code
        except click.UsageError as error:
            call.json = call.json or "--json" in arguments
            return _explain(_usage(error), call)
        except HeadwayError as error:
            return _explain(error, call)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return READER_GONE
    except Exception as error:
        if call.debug:
            traceback.print_exc()
        what = clean(f"{type(error).__name__}: {error}")
        return _explain(
            HeadwayError(f"this is a bug in Headway ({what}); --debug shows where"), call
        )
    return 0


def _usage(error: click.UsageError) -> HeadwayError:
    sentence = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "headway"
    return InvalidInput(f"{sentence[:1].lower()}{sentence[1:]}; see `{path} --help`")


def _explain(error: HeadwayError, call: Call) -> int:
    sys.stdout.flush()
    if call.json:
        click.echo(json_line(Problem(error.code, error.sentence, error.status)), err=True)
    else:
        click.echo(f"headway: {clean(error.sentence)}", err=True)
        for line in error.output.splitlines() if isinstance(error, HookFailed) else ():
            click.echo(f"  {clean(line)}", err=True)
    return error.exit_code


def _silence_stdout() -> None:
    """Point standard output at nothing, so that the interpreter's last flush stays quiet."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
