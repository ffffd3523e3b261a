"""Small pieces of the sentences that everybody is told."""

import re

from headway.errors import InvalidInput
from headway.model.hold import Hold
from headway.model.rollout import Phase


def count(amount: int, thing: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{amount:,} {thing}" if amount == 1 else f"{amount:,} {thing}s"


def one(thing: str) -> str:
    """``an admin``, ``a viewer``."""
    return f"{'an' if thing[:1] in 'aeiou' else 'a'} {thing}"


def in_phase(phase: Phase, why: str) -> str:
    """A phase and its reason, which may begin with that word itself: ``paused by bob: lunch``."""
    return why if why.startswith((f"{phase} ", f"{phase}:")) else f"{phase}: {why}"


def ended(phase: Phase) -> str:
    """``has succeeded``, ``was reverted``."""
    return f"has {phase}" if phase is Phase.SUCCEEDED else f"was {phase}"


def held(hold: Hold) -> str:
    """Who holds what and why, and the command that lifts it."""
    lift = f"`headway hold lift {hold.id}` lifts it"
    return f"{hold.on} is held by {hold.by}: {hold.reason}; {lift}"


def lasted(seconds: float) -> str:
    """A length of time in at most two units: ``42 s``, ``5 min``, ``3 h 20 min``, ``2 d 4 h``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60 if whole < 600 else 0, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


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


_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?[dhms])+")


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
