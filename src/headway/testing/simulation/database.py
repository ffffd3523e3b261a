"""The control plane's virtual database: state rows, journal, outbox, holds, records, reports.

What is written between two steps of a simulation is one transaction. It takes what the real one
takes: a state row, a journal row and the effects to run, all at once.
"""

from copy import copy
from typing import Any

import msgspec
from msgspec import Struct, structs

from headway.core.journal import changes
from headway.model.hold import Hold
from headway.model.names import BuildId
from headway.model.report import Report
from headway.model.rollout import Decision, Effect, Phase, PlaceHold, Rollout
from headway.model.signal import NodeRecord


class Pending(Struct, frozen=True):
    """An effect that is still to be run."""

    id: int
    rollout: str
    effect: Effect


class Database(Struct):
    """Durable; a copy is what a standby starts from."""

    rows: dict[str, Rollout] = {}
    journal: dict[str, list[bytes]] = {}
    outbox: dict[int, Pending] = {}
    holds: dict[str, Hold] = {}
    records: dict[str, NodeRecord] = {}
    reports: dict[str, tuple[Report, float]] = {}
    told: dict[str, dict[str, Any]] = {}
    """What the journal comes to so far: whoever checks it keeps the sum here."""
    effects: int = 0

    def copy(self) -> "Database":
        """The same, on another machine."""
        forked = structs.replace(self, **{n: copy(getattr(self, n)) for n in _TABLES})
        forked.told = {}
        forked.journal = {key: list(rows) for key, rows in self.journal.items()}
        return forked

    def record(self, before: Rollout | None, decision: Decision) -> dict[str, Any]:
        """Write one decision down; returns what the journal says has changed."""
        state = decision.state
        row = msgspec.json.encode(changes(before, state))
        self.rows[state.id] = state
        self.journal.setdefault(state.id, []).append(row)
        for effect in decision.effects:
            if isinstance(effect, PlaceHold):
                self.holds.setdefault(effect.hold.id, effect.hold)
            else:
                self.effects += 1
                self.outbox[self.effects] = Pending(self.effects, state.id, effect)
        told: dict[str, Any] = msgspec.json.decode(row)
        return told

    @property
    def latest(self) -> Rollout | None:
        """The newest rollout."""
        return self.rows[next(reversed(self.rows))] if self.rows else None

    @property
    def live_build(self) -> BuildId | None:
        """The target of the latest rollout that succeeded and was not reverted."""
        done = (row for row in reversed(self.rows.values()) if row.phase is Phase.SUCCEEDED)
        return next((row.target for row in done), None)

    @property
    def last_epoch(self) -> int:
        """The highest epoch of any rollout; 0 before the first."""
        return max((row.epoch for row in self.rows.values()), default=0)


_TABLES = ("rows", "outbox", "holds", "records", "reports")
