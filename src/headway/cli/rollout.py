"""``headway rollout``: look at rollouts and steer them."""

import time
from collections.abc import Sequence

import click
from rich.text import Text

from headway.cli.call import Call, asking, at_most
from headway.cli.picture import PHASE_STYLES, picture
from headway.cli.remote import connect, only_app, resolve
from headway.cli.screen import answer, said, table
from headway.cli.wording import ago, short
from headway.model.rollout import Rollout
from headway.model.views import ActionRequest


@click.group()
def rollout() -> None:
    """Look at rollouts and steer them.

    WHICH is a rollout's id, or an app: then its latest rollout is meant.
    """


@rollout.command()
@click.argument("which", required=False)
@asking
@click.pass_obj
def status(call: Call, which: str | None) -> None:
    """Show where a rollout stands, tier by tier, and what comes next."""
    with connect(call) as client:
        view = resolve(client, which or only_app(client))
    answer(call, view, lambda: picture(view, time.time()))


@rollout.command("list")
@click.argument("app", required=False)
@at_most(20)
@asking
@click.pass_obj
def list_(call: Call, app: str | None, limit: int) -> None:
    """List an app's rollouts, newest first."""
    with connect(call) as client:
        rollouts = client.rollouts(app or only_app(client), limit)
    headings = ("ROLLOUT", "BUILD", "PHASE", "STARTED", "WHY")
    rows = [_row(one, time.time()) for one in rollouts]
    answer(call, rollouts, lambda: table(headings, rows, "There has been no rollout yet."))


def _row(one: Rollout, now: float) -> Sequence[str | Text]:
    phase = said(one.phase, PHASE_STYLES[one.phase])
    return (one.id, short(one.target), phase, ago(one.started_at, now), one.why)


def _action(name: str, summary: str) -> None:
    """Add the command of one action; they differ in nothing but the word."""

    @rollout.command(name, help=summary)
    @click.argument("which")
    @click.option("--reason", default="", help="Why, for the journal and for everybody else.")
    @click.option("--seen", metavar="STANDING", help="Go on only if it still stands there.")
    @asking
    @click.pass_obj
    def act(call: Call, which: str, reason: str, seen: str | None) -> None:
        with connect(call) as client:
            known = resolve(client, which)
            view = client.act(known.rollout.id, name, ActionRequest(reason, seen))
        answer(call, view, lambda: picture(view, time.time()))


_action("advance", "Begin the next step.")
_action("pause", "Stop where it stands; nodes keep what they run.")
_action("resume", "Let a paused rollout go on.")
_action("revert", "Bring the build before it back, everywhere.")
_action("abort", "End it where it stands; nodes keep what they run.")
_action("retry", "Let the failed nodes try again.")
_action("sign-off", "Say that you have looked at the step, and answer for it.")
