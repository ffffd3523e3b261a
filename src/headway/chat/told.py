"""What of the journal the push channel is told: pure, an entry at a time."""

from headway.core.words import clean
from headway.model.journal import JournalEntry

SILENT = frozenset({"train-seen", "train-heard", "train-say"})
"""Kinds of a train's entries whose words come with another entry, or need none."""

ROLLOUT = frozenset(
    {"start", "advance", "pause", "resume", "revert", "abort", "retry", "supersede"}
)
"""What people do to a rollout, wherever they do it."""

FURTHER = frozenset({"phase", "step"})
"""Changes of a rollout by which it is somewhere else; a wave that rises is none."""


def lines_of(entry: JournalEntry) -> tuple[str, ...]:
    """The lines of an entry in the channel; empty where it is not of interest there."""
    if not entry.why or entry.kind in SILENT:
        return ()
    if entry.kind.startswith("train-") or entry.kind == "tell":
        return (clean(entry.why),)
    if entry.kind == "alert":
        return (f"alert: {clean(entry.why)}",)
    if entry.kind in ROLLOUT or (entry.kind == "observed" and FURTHER & set(entry.changes)):
        return (f"{entry.rollout}: {clean(entry.why)}",)
    if entry.kind in {"overtaken", "hold", "lift", "freeze", "thaw", "shift", "smoke-tested"}:
        return (clean(entry.why),)
    return ()


def called(entry: JournalEntry) -> tuple[str, ...]:
    """The users whom an entry calls by name."""
    to = entry.changes.get("to", ())
    return tuple(to) if entry.kind == "tell" and isinstance(to, list) else ()
