"""``headway demo``: see it work, on this machine, in two minutes."""

import sys
import time
from pathlib import Path

import click

from headway.cli.call import Call, local, write_json
from headway.core.words import clean
from headway.demo.scenario import ALL_WELL
from headway.demo.scenario import demo as a_demo
from headway.demo.site import any_repository
from headway.errors import HeadwayError, InvalidInput, RolloutFailed


@click.command()
@click.option("--once", is_flag=True, help="End by itself when the story has been told.")
@click.option(
    "--repo",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Deploy from this git repository instead of the example's.",
)
@click.option("--from", "first", metavar="REF", help="With --repo: what is live at first.")
@click.option("--to", "good", metavar="REF", help="With --repo: what is deployed then.")
@click.option(
    "--dir",
    "home",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Work in this new directory and leave it, with all logs; a temporary one without it.",
)
@click.option("--port", type=int, help="The cockpit's port; a free one without it.")
@local
@click.pass_obj
def demo(
    call: Call,
    *,
    once: bool,
    repo: Path | None,
    first: str | None,
    good: str | None,
    home: Path | None,
    port: int | None,
) -> None:
    """Start a fleet on this machine; deploy a good build, then a bad one.

    Twenty agents in four tiers and three zones each run a real HTTP application under a load of
    240 requests a second. The good build goes through every step. The bad one fails a share of
    the checkouts, and the guard must send it back. Then all stays up until Ctrl-C.
    """
    if (repo is None) != (first is None) or (repo is None) != (good is None):
        raise InvalidInput("--repo, --from and --to go together: name a repository and two refs")
    began = time.monotonic()

    def say(sentence: str) -> None:
        line = f"{time.monotonic() - began:6.1f} s  {clean(sentence)}"
        click.echo(line, file=sys.stderr if call.json else sys.stdout)

    repository = any_repository(repo, first, good) if repo and first and good else None
    with a_demo(home, port, say) as running:
        outcome = running.outcome
        try:
            running.play(repository)
            outcome.judge()
            if not once:
                say("All stays up until Ctrl-C; look around, or deploy something yourself.")
                running.stay()
        except HeadwayError as error:
            outcome.exit_reason = error.sentence
        except KeyboardInterrupt:
            say("Stopping; everything that was started ends now …")
    if call.json:
        write_json(outcome)
    if outcome.exit_reason != ALL_WELL:
        raise RolloutFailed(outcome.exit_reason)
    say(outcome.exit_reason)
