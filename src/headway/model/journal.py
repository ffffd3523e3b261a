"""The append-only record of everything that was decided, by whom and why."""

from typing import Any

from msgspec import Struct

HEADWAY = "headway"
"""The actor of what Headway decides by itself."""


class JournalEntry(Struct, frozen=True):
    """One decision, on a rollout, on a release, or on neither.

    ``changes`` holds the fields of its state that it changed, with their new values;
    folding them in order of ``seq`` gives the state (``headway.core.journal``). An entry of an
    app's train (its kind begins with ``train-``) holds a merge patch of the train's state instead
    (``headway.core.patch``).
    """

    seq: int
    at: float
    app: str
    rollout: str
    actor: str
    kind: str
    why: str
    changes: dict[str, Any] = {}
    release: str = ""
