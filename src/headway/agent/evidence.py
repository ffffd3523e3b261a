"""What there is to read about an app that did not become healthy: its own last words."""

import os
import stat
from pathlib import Path

from headway.agent.config import AppSettings
from headway.agent.lifecycle import KEPT_OUTPUT, Hooks
from headway.agent.restart import status
from headway.agent.strategies import SystemdRestart

_MANY_LINES = 20


def evidence(app: AppSettings, hooks: Hooks, said: str) -> str:
    """What its restart ``said``, what systemd knows, and the last lines of its log."""
    unit = status(app.restart.unit, hooks) if isinstance(app.restart, SystemdRestart) else ""
    log = last_lines(app.verify.log) if app.verify and app.verify.log else ""
    parts = (said, unit, log)
    return "\n".join(part.rstrip("\n") for part in parts if part.strip())[-KEPT_OUTPUT:]


def last_lines(path: Path) -> str:
    """The last lines of a file; nothing of what is no file, for others may write there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - by its handle
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return f"{path} is no file"
            file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT_OUTPUT))
            text = file.read(KEPT_OUTPUT).decode("utf-8", "replace")
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return "\n".join(text.splitlines()[-_MANY_LINES:])
