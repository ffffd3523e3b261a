"""How the command line writes amounts: durations, moments, sizes, build ids."""

from datetime import UTC, datetime


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
