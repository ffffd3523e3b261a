"""Making the app, or one instance of it, run what ``current`` leads to."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from headway.agent.config import Hook
from headway.agent.lifecycle import Hooks
from headway.agent.strategies import CommandRestart, Restart, SignalRestart, SystemdRestart
from headway.errors import HookFailed

_LOOK_EVERY = 0.1
_LAST_LINES = "20"


def restart(how: Restart, hooks: Hooks, environment: Mapping[str, str]) -> str:
    """Restart; returns when as much as the strategy can tell has been done, with what was said.

    Raises HookFailed.
    """
    if isinstance(how, SignalRestart):
        _signal(how.pidfile, how.signal)
    elif isinstance(how, CommandRestart):
        return hooks.run("restart", how, environment)
    elif isinstance(how, SystemdRestart):
        _systemd(how, hooks, environment)
    return ""


def _signal(pidfile: Path, name: str) -> None:
    try:
        process = int(pidfile.read_text())
        if process <= 1:
            raise ValueError
        os.kill(process, signal.Signals[name])
    except FileNotFoundError:
        raise HookFailed(f"there is no pidfile {pidfile}; is the app running?") from None
    except (ValueError, KeyError, UnicodeDecodeError):
        raise HookFailed(f"{pidfile} holds no process number, or {name} is no signal") from None
    except ProcessLookupError:
        raise HookFailed(f"the process in {pidfile} does not exist; is the app running?") from None
    except OSError as error:
        raise HookFailed(f"the process in {pidfile} cannot be told: {error.strerror}") from None


def _systemd(how: SystemdRestart, hooks: Hooks, environment: Mapping[str, str]) -> None:
    """A unit whose start was taken may still be coming up, or fail and be started again."""
    deadline = time.monotonic() + how.timeout

    def systemctl(*words: str) -> str:
        left = max(_LOOK_EVERY, deadline - time.monotonic())
        argv = ("systemctl", "--no-ask-password", "--no-pager", *words, "--", how.unit)
        return hooks.run("restart", Hook(argv, left), environment)

    try:
        systemctl(how.action)
        while True:
            state = systemctl("show", "--property=ActiveState", "--value").strip()
            if state == "active":
                return
            if state in {"failed", "inactive"} or time.monotonic() + _LOOK_EVERY > deadline:
                raise HookFailed(f"the unit {how.unit} is {state or 'unknown'}, not active")
            time.sleep(_LOOK_EVERY)
    except HookFailed as error:
        raise HookFailed(error.sentence, error.output + status(how.unit, hooks)) from None


def status(unit: str, hooks: Hooks) -> str:
    """What systemd and the journal have to say about the unit; systemctl fails when it failed."""
    words = ("systemctl", "--no-pager", "--full", "--lines", _LAST_LINES, "status", "--", unit)
    try:
        return hooks.run("restart", Hook(words, 10.0), {})
    except HookFailed as said:
        return said.output
