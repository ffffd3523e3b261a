"""Staying with an app: the monitor on a terminal, elsewhere a line for each change."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from headway.cli.call import Call, write_json
from headway.cli.picture import headline, picture
from headway.cli.screen import note, said, show
from headway.cli.wording import duration
from headway.client.api import Client
from headway.client.listening import QUIET_SECONDS, Listener, looks
from headway.core.words import in_phase
from headway.errors import HeadwayError, RolloutFailed, Unreachable
from headway.model.rollout import LIVE, Phase, Rollout
from headway.model.views import RolloutView

PATIENCE_SECONDS = 600.0
"""How long the control plane may be away; nodes keep to the last signal meanwhile."""

Display = Callable[[RolloutView | None, str], None]
"""Shows a view, and what is wrong with the connection if something is."""


def watch_rollout(
    call: Call, client: Client, view: RolloutView, timeout: float | None
) -> RolloutView:
    """Show the rollout until it has ended, and return its last view.

    With --json each new view is a line. Raises RolloutFailed after ``timeout`` seconds,
    Unreachable when the control plane stays away, and KeyboardInterrupt where a person leaves.
    """
    if has_terminal(call):
        return _on_terminal(client, view, timeout)
    display = _display(call)
    began = time.monotonic()
    display(view, "")
    if view.rollout.phase not in LIVE:
        return view
    rollout = view.rollout.id
    quiet = QUIET_SECONDS if timeout is None else min(QUIET_SECONDS, timeout)
    with closing(Listener(client, view.rollout.app)) as listener:
        for seen in _patiently(listener, lambda: client.rollout(rollout), quiet):
            if isinstance(seen, RolloutView):
                view = seen
            display(view, seen.sentence if isinstance(seen, HeadwayError) else "")
            if view.rollout.phase not in LIVE:
                break
            if timeout is not None and time.monotonic() - began > timeout:
                raise too_late(view.rollout, timeout)
    return view


def watch_app(call: Call, client: Client, app: str) -> None:
    """Tell of an app's rollouts as they come, a line for each change, until somebody ends it."""

    def look() -> RolloutView | None:
        latest = client.app(app).rollout
        return client.rollout(latest) if latest is not None else None

    display = _display(call)
    with closing(Listener(client, app)) as listener:
        for seen in _patiently(listener, look, QUIET_SECONDS):
            if isinstance(seen, HeadwayError):
                display(None, seen.sentence)
            else:
                display(seen, "")


def judge(view: RolloutView) -> None:
    """Raise RolloutFailed unless the rollout has succeeded."""
    rollout = view.rollout
    if rollout.phase is not Phase.SUCCEEDED:
        raise RolloutFailed(f"the rollout of {rollout.app} was {rollout.phase}: {rollout.why}")


def has_terminal(call: Call) -> bool:
    """Whether there is a screen to draw on, and a person at its keys."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    capable = os.environ.get("TERM", "dumb") not in {"", "dumb", "unknown"}
    return not call.json and capable and all(stream.isatty() for stream in streams)


def too_late(rollout: Rollout, timeout: float) -> RolloutFailed:
    """That it has taken longer than it was given."""
    return RolloutFailed(
        f"after {duration(timeout)} the rollout is still "
        f"{in_phase(rollout.phase, rollout.why)}; {_ahead(rollout)}"
    )


def _on_terminal(client: Client, view: RolloutView, timeout: float | None) -> RolloutView:
    """The monitor until the rollout has ended; how it ended stays on the terminal."""
    from headway.monitor.app import Ending, Monitor  # noqa: PLC0415 - only who watches waits for it

    rollout = view.rollout
    ending = None
    if rollout.phase in LIVE:
        role = client.whoami().role
        monitor = Monitor(client, rollout.app, (), role, rollout=rollout.id, timeout=timeout)
        ending = monitor.run()
        view = client.rollout(rollout.id)
    show(picture(view, time.time()))
    if ending is Ending.TIMED_OUT and timeout is not None:
        raise too_late(view.rollout, timeout)
    if view.rollout.phase in LIVE:
        raise KeyboardInterrupt
    return view


def _patiently(
    listener: Listener, look: Callable[[], RolloutView | None], quiet: float
) -> Iterator[RolloutView | HeadwayError | None]:
    """Looks; ends with Unreachable once the control plane has been away for long."""
    heard = time.monotonic()
    for seen in looks(listener, look, quiet):
        if not isinstance(seen, HeadwayError):
            heard = time.monotonic()
        elif not isinstance(seen, Unreachable) or time.monotonic() - heard > PATIENCE_SECONDS:
            raise seen
        yield seen


def _ahead(rollout: Rollout) -> str:
    look = f"`headway rollout status {rollout.id}`"
    if rollout.phase is Phase.PAUSED:
        return f"nothing moves until somebody acts, {look} shows what can be done"
    return f"it goes on, {look} shows it"


def _display(call: Call) -> Display:
    """Tell a view only when its gist is new; trouble goes to standard error, once."""
    told: object = None
    complained = ""

    def display(view: RolloutView | None, trouble: str) -> None:
        nonlocal told, complained
        if trouble and trouble != complained:
            note(trouble)
        complained = trouble
        gist: object = None if view is None else view if call.json else headline(view)
        if view is not None and gist != told:
            told = gist
            if call.json:
                write_json(view)
            else:
                show(said(headline(view)))

    return display
