"""How the command line writes and reads amounts: durations, moments, sizes, build ids."""

import re
from datetime import UTC, datetime

from headway.errors import InvalidInput

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")


def clean(text: str) -> str:
    """Text from elsewhere, safe to show: on one line, and nothing in it that steers a terminal.

    Control characters, escape sequences' ESC, bidirectional overrides and lone surrogates go;
    white space becomes a blank.
    """
    return "".join(
        " " if char.isspace() else char for char in text if char.isspace() or char.isprintable()
    )


def parse_duration(text: str) -> float:
    """Seconds of a duration like ``2h``, ``30m`` or ``1h30m``. Raises InvalidInput."""
    if not _DURATION.fullmatch(text):
        raise InvalidInput(f"{clean(text)!r} is not a duration; write it like 45s, 30m, 2h or 3d")
    return sum(float(part[:-1]) * _UNITS[part[-1]] for part in re.findall(r"[\d.]+[dhms]", text))


def duration(seconds: float) -> str:
    """A length of time in at most two units: ``42 s``, ``5 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60 if whole < 600 else 0, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


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


def size(amount: int) -> str:
    """Bytes in the largest decimal unit that leaves a whole digit."""
    value = float(amount)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.0f} TB"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"
