"""What an agent remembers of one app: the file ``state``, always whole.

It is written before and after each thing that an interruption could leave half done, so that the
next start knows what to finish and what to undo.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from headway.agent import durable
from headway.agent.log import log
from headway.model.build import Failure
from headway.model.names import BuildId
from headway.model.report import Inspection, Output
from headway.model.signal import NodeRecord, Signal

SlotName = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,3}\Z")]

_FILE = "state"


class Slot(Struct, frozen=True, forbid_unknown_fields=True):
    """What a slot holds.

    Without ``build`` it is dirty: being written, or of unknown content. ``exact`` tells that
    nothing but the build can be in it, so that differences to its manifest suffice to change it.
    ``age`` rises with every slot that is prepared. ``hooked`` tells that a hook has worked in it,
    and ``drifted`` that it is not as it was published: it is never switched to. Nor is a ``spare``,
    a second copy of what runs for the next build to start from: nothing was ever started in it.
    """

    build: BuildId | None = None
    commit: str = ""
    exact: bool = False
    age: int = 0
    hooked: bool = False
    drifted: bool = False
    spare: bool = False


class Activation(Struct, frozen=True, forbid_unknown_fields=True):
    """A switch on its way: from slot ``back`` to ``slot``, or back again when ``returning``.

    ``begun`` are the instances that may run ``slot``, in order. The last of them is the one at
    work, the others have been verified there; on the way back they are struck off one by one.
    """

    build: BuildId
    slot: SlotName
    back: SlotName | None
    attempt: int
    returning: bool = False
    begun: tuple[str, ...] = ()


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """All that outlives the agent's process.

    ``running`` is the slot whose build has been verified after a switch and ``good`` the one
    before it. ``hook`` marks the processes of the hook that is running. ``inspection`` is what
    was found when all of it was read again.
    """

    signal: Signal | None = None
    record: NodeRecord | None = None
    slots: dict[SlotName, Slot] = {}
    running: SlotName | None = None
    good: SlotName | None = None
    activation: Activation | None = None
    failed: Failure | None = None
    error: str = ""
    output: Output = ""
    hook: str | None = None
    inspection: Inspection = Inspection()


class Memory:
    """The current state of one app, and the way to change it durably."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.state = self._read()

    def keep(self, **changes: object) -> State:
        """Change fields; returns when they will survive a power cut. Raises StorageFailed."""
        changed = structs.replace(self.state, **changes)
        with durable.storing(f"writing {self._directory / _FILE}"):
            durable.replace_file(self._directory, _FILE, msgspec.json.encode(changed))
        self.state = changed
        return changed

    def keep_slot(self, name: str, slot: Slot) -> None:
        """Change what is known of one slot, durably."""
        self.keep(slots={**self.state.slots, name: slot})

    def _read(self) -> State:
        path = self._directory / _FILE
        # A disk that fails for a moment is no reason to forget the epoch that was reached.
        with durable.storing(f"reading {path}"):
            try:
                content = path.read_bytes()
                # An agent killed while it wrote may have left what a power cut would undo.
                durable.sync_directory(self._directory)
            except FileNotFoundError:
                return State()
        try:
            return msgspec.json.decode(content, type=State)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            aside = path.with_name(f"{_FILE}.unreadable-{time.time_ns()}")
            log.error(
                "the state cannot be understood; it was set aside and every slot will be rebuilt",
                extra={"path": str(aside), "error": str(error)},
            )
            with contextlib.suppress(OSError):
                os.replace(path, aside)  # noqa: PTH105
            return State()
