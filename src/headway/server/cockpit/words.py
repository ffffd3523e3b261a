"""How the pages write amounts, moments and text from elsewhere."""

from datetime import UTC, datetime

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows them, and so can disguise it."""


def plain(text: str) -> str:
    """Text that shows as what it is: nothing in it turns the direction or ends a line.

    Control characters become blanks; lone surrogates, which no page can carry, go.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char < " " or "\x7f" <= char <= "\x9f" or char in "\u2028\u2029" else char
        for char in text
        if char not in _BIDI and not "\ud800" <= char <= "\udfff"
    )


def iso(moment: float) -> str:
    """A moment for machines: ``2026-11-21T02:49:29Z``; empty where no calendar reaches."""
    return _format(moment, "%Y-%m-%dT%H:%M:%SZ")


def clock(moment: float) -> str:
    """The time of day in UTC, to the second."""
    return _format(moment, "%H:%M:%S")


def date(moment: float) -> str:
    """A moment for people: ``2026-11-21 02:49:29 UTC``."""
    return _format(moment, "%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """A planned length of time, in the largest unit that leaves it whole: ``90 s``, ``5 min``."""
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.4g} s"


def count(amount: int, thing: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{amount:,} {thing}" if amount == 1 else f"{amount:,} {thing}s"


def short(build: str | None) -> str:
    """A build as people name it: its first 12 digits."""
    return build[:12] if build else "nothing"


def _format(moment: float, layout: str) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime(layout)
    except (OverflowError, ValueError, OSError):
        return ""
