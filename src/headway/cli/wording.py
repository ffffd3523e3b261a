"""How the command line writes amounts: durations, moments, sizes, build ids."""

from datetime import UTC, datetime

from headway.core import words

duration = words.lasted
size = words.size


def ago(moment: float | None, now: float) -> str:
    """How long before ``now`` something was, in one unit; a clock that is ahead reads as now."""
    if moment is None:
        return "never"
    past = now - moment
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if past >= length:
            return f"{past // length:.0f} {unit} ago"
    return "just now"


def clock(moment: float) -> str:
    """A moment in the reader's time zone, to the second."""
    try:
        return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "?"


def short(build: str | None) -> str:
    """A build as people name it: its first 12 digits."""
    return build[:12] if build else "-"
