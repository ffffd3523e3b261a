"""Whether what the signal store holds is what this control plane has told it."""

from msgspec import Struct
from sqlalchemy import Connection

from headway.model.rollout import Behind, Overtaken, Rollout, WriteSignal
from headway.model.signal import Signal
from headway.server.database import journal, outbox, rollouts

OVERTAKEN = "overtaken"
"""The kind of the journal entry that takes a signal from outside over."""


class Finding(Struct, frozen=True):
    """What is to be decided upon, and the effects that are not to be run any more."""

    event: Overtaken | Behind
    void: tuple[int, ...] = ()


def compare(connection: Connection, state: Rollout, signal: Signal | None) -> Finding | None:
    """Hold ``signal``, as the store has it, against ``state``, the app's latest rollout."""
    writes = [
        (pending.id, pending.effect.signal.epoch)
        for pending in outbox.pending(connection, state.app)
        if isinstance(pending.effect, WriteSignal)
    ]
    reached = writes[0][1] - 1 if writes else state.epoch
    if signal is not None and _from_outside(connection, state, signal):
        return Finding(Overtaken(signal, reached), tuple(id for id, _ in writes))
    epoch = signal.epoch if signal else 0
    return Finding(Behind(epoch)) if epoch < reached and not writes else None


def _from_outside(connection: Connection, state: Rollout, signal: Signal) -> bool:
    """Nobody here has decided it: its epoch is beyond all of ours, or its rollout is not ours."""
    if signal.epoch > state.epoch:
        return True
    if rollouts.get(connection, signal.rollout) is not None:
        return False
    taken = journal.last_of(connection, state.app, OVERTAKEN)
    return taken is None or taken.changes.get("overtaken") != signal.epoch
