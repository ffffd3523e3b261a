"""Reading again what the node holds, in the background, and telling what is not as it was.

First every content in the store is read, each file once however many slots link to it, and what
is wrong is taken out; then every slot is held against its listings (``survey``).

It has no thread of its own: it is what the worker does when it has nothing else to do, in pieces
of a fraction of a millisecond, after each of which it asks whether to ``proceed``. So it never
meets a slot that is being changed, needs no lock, and a deploy waits for one piece at the most.
It is left where it stands and goes on there afterwards; slots that were made meanwhile come last.
"""

import contextlib
import os
import random
import re
import stat
import time
from collections.abc import Callable, Generator, Iterator

from headway.agent import durable, heap, unnoticed
from headway.agent.config import Scrubbing
from headway.agent.log import log
from headway.agent.slots import Slots
from headway.agent.state import Memory, Slot
from headway.agent.survey import LOOK, Inode, Survey, inode, look, trouble
from headway.model.build import Kind
from headway.model.report import Deviation, Drift, Inspection

_SLICE = 0.25
"""For so many seconds it works, or for so many it works ahead of its rate, before it rests."""
_NEVER = 3600.0
_OBJECT = re.compile(r"([0-9a-f]{64})(x?)(?:\.[0-9]+)?")
"""The name of a content in the store, also of one that was set aside."""


class Scrub:
    """The passes over one app; ``tell`` is called when there is something to report."""

    def __init__(
        self,
        settings: Scrubbing,
        *,
        app: str,
        memory: Memory,
        slots: Slots,
        tell: Callable[[], None],
    ) -> None:
        self._rate = settings.megabytes_per_second * 1e6
        self._every = settings.every * 3600
        self._memory = memory
        self._slots = slots
        self._tell = tell
        self._tag = {"app": app}
        self._next = time.monotonic() + self._pause()
        self._rest_until = 0.0
        self._pass: Iterator[int] | None = None
        self._asked = 0
        self._found: set[tuple[str, str]] = set()

    def advance(self, asked: int, proceed: Callable[[], None]) -> float:
        """Go on for a moment; returns for how many seconds there is nothing to do.

        ``asked`` is the number of the last demand for a pass, which is made at full speed.
        ``proceed`` is called between pieces and may raise. Raises StorageFailed.
        """
        urgent = asked > self._memory.state.inspection.asked
        if urgent and (self._pass is None or self._asked < asked):
            self._begin(asked)
        elif self._pass is None:
            if not self._rate:
                return _NEVER
            if (wait := self._next - time.monotonic()) > 0:
                return wait
            self._begin(self._memory.state.inspection.asked)
        if not urgent and (rest := self._rest_until - time.monotonic()) > 0:
            return rest
        assert self._pass is not None  # noqa: S101 - it has just been begun
        began, spent = time.monotonic(), 0
        with durable.storing(f"checking {self._slots.app}"):
            for cost in self._pass:
                spent += cost
                proceed()
                if urgent and time.monotonic() - began > _SLICE:
                    return 0.0
                if not urgent and spent > self._rate * _SLICE:
                    self._rest_until = began + spent / self._rate
                    return max(0.0, self._rest_until - time.monotonic())
        # It is over, or was cut short by an error at its last call.
        self._pass = None
        self._next = time.monotonic() + self._pause()
        heap.give_back()
        return 0.0

    def _pause(self) -> float:
        """How many seconds from now the next pass begins by itself."""
        ended = self._memory.state.inspection.ended
        if not ended:
            # A fleet that was started at one moment does not scrub at one moment.
            return random.uniform(0, self._every)  # noqa: S311
        # A clock that was set back must not put it off.
        return min(ended + self._every - time.time(), self._every)

    def _begin(self, asked: int) -> None:
        self._asked = asked
        self._pass = self._whole(asked)

    def _whole(self, asked: int) -> Iterator[int]:
        """One pass; yields after each piece what it cost, in bytes read."""
        damaged: dict[Inode, Deviation] = {}
        self._found.clear()
        yield from self._store(damaged)
        files: dict[str, int] = {}
        seen: set[int] = set()
        while (found := self._unseen(seen)) is not None:
            name, slot = found
            seen.add(slot.age)
            files[name] = yield from self._slot(name, slot, damaged)
        self._conclude(asked, files)

    def _store(self, damaged: dict[Inode, Deviation]) -> Iterator[int]:
        for shelf in self._slots.content.shelves():
            yield LOOK
            with contextlib.suppress(FileNotFoundError), durable.opened(shelf) as handle:
                for name in sorted(os.listdir(handle)):  # noqa: PTH208
                    if (known := _OBJECT.fullmatch(name)) is not None:
                        kind = Kind.EXECUTABLE if known[2] else Kind.FILE
                        yield from self._object(name, known[1], kind, handle, damaged)

    def _object(
        self, name: str, digest: str, kind: Kind, shelf: int, damaged: dict[Inode, Deviation]
    ) -> Iterator[int]:
        yield LOOK
        try:
            found = os.stat(name, dir_fd=shelf, follow_symlinks=False)
        except FileNotFoundError:
            return
        try:
            problem = yield from self._problem(name, digest, kind, shelf, found)
        except OSError as error:
            problem = trouble(error)
        if problem is not None and problem is not Deviation.MISSING:
            damaged[inode(found)] = problem
            if "." not in name:
                self._set_aside(name)

    def _problem(
        self, name: str, digest: str, kind: Kind, shelf: int, found: os.stat_result
    ) -> Generator[int, None, Deviation | None]:
        if not stat.S_ISREG(found.st_mode):
            return Deviation.KIND
        if (yield from unnoticed.digest(name, shelf)) != digest:
            return Deviation.CONTENT
        return look(digest, kind, found)

    def _set_aside(self, name: str) -> None:
        """Take damaged content out of the store, once no slot is trusted to be without it."""
        self._slots.distrust()
        if self._slots.content.set_aside(name):
            log.error("took damaged content out of the store", extra={"content": name} | self._tag)

    def _unseen(self, seen: set[int]) -> tuple[str, Slot] | None:
        """A tree that this pass has not looked at; each has an age of its own."""
        slots = self._memory.state.slots.items()
        return next(
            ((name, slot) for name, slot in slots if slot.build and slot.age not in seen), None
        )

    def _slot(
        self, name: str, slot: Slot, damaged: dict[Inode, Deviation]
    ) -> Generator[int, None, int]:
        """Look through one slot; returns how many files it has."""
        build = slot.build or ""
        survey = Survey(
            self._slots.path(name),
            self._slots.manifest(build),
            self._slots.content,
            damaged=damaged,
            hooked=slot.hooked,
            distrust=self._set_aside,
        )
        for cost in survey.work():
            yield cost
            now = self._memory.state.slots.get(name, Slot())
            if (now.build, now.age) != (slot.build, slot.age):
                # It was made anew meanwhile, and will be looked at as another one.
                return 0
        drift = None
        if survey.count:
            strays = tuple(survey.strays)
            self._found.add((name, build))
            drift = Drift(name, build, time.time(), survey.count, strays)
            first = f"{strays[0].path} {strays[0].problem}"
            said = {"slot": name, "build": build, "paths": survey.count, "first": first}
            log.error("a tree is not as it was published", extra=said | self._tag)
        self._slots.judge(name, drift)
        self._tell()
        return survey.files

    def _conclude(self, asked: int, files: dict[str, int]) -> None:
        state = self._memory.state
        hot = self._slots.hot() or ""
        done = Inspection(
            asked=asked,
            ended=time.time(),
            build=state.slots.get(hot, Slot()).build,
            files=files.get(hot, 0),
            drift=tuple(d for d in state.inspection.drift if (d.slot, d.build) in self._found),
        )
        self._memory.keep(inspection=done)
        self._tell()
