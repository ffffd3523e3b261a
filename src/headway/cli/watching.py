"""Staying with a rollout until it ends: redrawn in place on a terminal, line by line elsewhere."""

import time
from collections.abc import Callable

from rich.console import Group
from rich.live import Live

from headway.cli.call import Call, write_json
from headway.cli.picture import headline, picture
from headway.cli.screen import console, note, said, show
from headway.cli.wording import duration
from headway.client.api import Client
from headway.core.words import in_phase
from headway.errors import RolloutFailed, Unreachable
from headway.model.rollout import LIVE, Phase, Rollout
from headway.model.views import RolloutView

LOOK_EVERY_SECONDS = 1.0
PATIENCE_SECONDS = 600.0
"""How long the control plane may be away; nodes keep to the last signal meanwhile."""

Display = Callable[[RolloutView, str], None]
"""Shows a view, and what is wrong with the connection if something is."""


def watch(call: Call, client: Client, view: RolloutView, timeout: float | None) -> RolloutView:
    """Show the rollout until it has ended, and return its last view.

    With --json each new view is a line. Raises RolloutFailed after ``timeout`` seconds, and
    Unreachable when the control plane stays away.
    """
    if call.json:
        return _until_ended(client, view, timeout, _changes(write_json, lambda view: view))
    if not console().is_terminal:
        return _until_ended(client, view, timeout, _changes(_print_headline, headline))
    with Live(console=console(), auto_refresh=False) as live:

        def redraw(view: RolloutView, trouble: str) -> None:
            drawn = picture(view, time.time())
            live.update(Group(drawn, said(trouble, "yellow")) if trouble else drawn, refresh=True)

        return _until_ended(client, view, timeout, redraw)


def _until_ended(
    client: Client, view: RolloutView, timeout: float | None, display: Display
) -> RolloutView:
    began = heard = time.monotonic()
    display(view, "")
    while view.rollout.phase in LIVE:
        if timeout is not None and time.monotonic() - began > timeout:
            raise RolloutFailed(
                f"after {duration(timeout)} the rollout is still "
                f"{in_phase(view.rollout.phase, view.rollout.why)}; {_ahead(view.rollout)}"
            )
        time.sleep(LOOK_EVERY_SECONDS)
        try:
            view, trouble = client.rollout(view.rollout.id), ""
            heard = time.monotonic()
        except Unreachable as error:
            if time.monotonic() - heard > PATIENCE_SECONDS:
                raise
            trouble = error.sentence
        display(view, trouble)
    return view


def _ahead(rollout: Rollout) -> str:
    look = f"`headway rollout status {rollout.id}`"
    if rollout.phase is Phase.PAUSED:
        return f"nothing moves until somebody acts, {look} shows what can be done"
    return f"it goes on, {look} shows it"


def _changes(tell: Callable[[RolloutView], None], gist: Callable[[RolloutView], object]) -> Display:
    """Tell a view only when its gist is new; trouble goes to standard error, once."""
    told: object = None
    complained = ""

    def display(view: RolloutView, trouble: str) -> None:
        nonlocal told, complained
        if trouble and trouble != complained:
            note(trouble)
        if gist(view) != told:
            tell(view)
        told, complained = gist(view), trouble

    return display


def _print_headline(view: RolloutView) -> None:
    show(said(headline(view)))
