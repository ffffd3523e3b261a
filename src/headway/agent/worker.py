"""One app on this node: decide what it should run, and bring it there, one thing at a time."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from headway.agent import heap
from headway.agent.activation import Activator
from headway.agent.config import AppSettings, Scrubbing
from headway.agent.durable import make_directory, storing
from headway.agent.lifecycle import Hooks
from headway.agent.log import log
from headway.agent.scrub import Scrub
from headway.agent.slots import Slots
from headway.agent.state import Memory, Slot
from headway.builds.fetch import Known
from headway.builds.manifest import Manifest
from headway.core.goal import Goal, goal
from headway.errors import HeadwayError, HookFailed, Refused, StorageFailed, Untrusted
from headway.model.build import Build, Failure
from headway.model.names import BuildId, Digest
from headway.model.report import Activity, Report
from headway.model.signal import RECORD_TYPE, SIGNAL_TYPE, VERSION, NodeRecord, Signal
from headway.signing import Trust

_BETWEEN = {Activity.RESTARTING, Activity.VERIFYING, Activity.FLIPPING_BACK}
"""While the hot tree has not been verified."""

_RETRY_FIRST = 1.0
_RETRY_LAST = 60.0
_GLANCE = 5.0
"""At least this often, in seconds, everything is looked at again."""

Save = Callable[[Digest, int, Iterator[bytes]], None]
_Value = TypeVar("_Value", Signal, NodeRecord)


class Source(Protocol):
    """Where builds come from, verified; ``headway.builds.fetch.Fetcher`` is one."""

    def describe(
        self, app: str, build: BuildId, known: Known | None = None
    ) -> tuple[Build, Manifest]:
        """What a build is and holds. Raises Unreachable or Untrusted."""

    def fetch(
        self,
        app: str,
        build: BuildId,
        wanted: Mapping[Digest, int],
        save: Save,
    ) -> None:
        """Hand each wanted content to ``save``. Raises Unreachable or Untrusted."""


class _Superseded(Exception):
    """What is being done is not wanted any more, or not now."""


class Worker:
    """The life of one app. ``tell`` is called, on any thread, when there is news to report."""

    def __init__(
        self,
        *,
        node: str,
        app: AppSettings,
        root: Path,
        source: Source,
        trust: Trust,
        tell: Callable[[], None],
        scrub: Scrubbing,
    ) -> None:
        self.name = app.name
        self._node = node
        self._app = app
        self._source = source
        self._trust = trust
        self._tell = tell
        directory = root / app.name
        with storing(f"setting up {directory}"):
            make_directory(directory)
        self._memory = Memory(directory)
        self._slots = Slots(directory, self._memory)
        self._hooks = Hooks(self._memory, directory)
        self._activator = Activator(
            app=app,
            node=node,
            memory=self._memory,
            slots=self._slots,
            hooks=self._hooks,
            show=self._show,
        )
        self._scrub = Scrub(
            scrub, app=app.name, memory=self._memory, slots=self._slots, tell=self._inspected
        )
        self._news = threading.Condition()
        self._signal = self._memory.state.signal
        self._record = self._memory.state.record
        self._stopping = False
        self._activity = Activity.IDLE
        self._epoch = self._serial = 0
        self._trouble = ""
        self._why = "starting"
        self._untidy = True
        self._retries = 0
        self._check_current()

    def offer(self, key: str, envelope: bytes) -> None:
        """Take in a new signal or record, if it is genuine, for this app or node, and no older."""
        kind = "signal" if key.startswith("signals/") else "record"
        try:
            with self._news:
                if kind == "signal":
                    payload = self._trust.open(envelope, SIGNAL_TYPE)
                    self._signal = self._newer_signal(_decode(payload, Signal))
                else:
                    payload = self._trust.open(envelope, RECORD_TYPE)
                    self._record = self._newer_record(_decode(payload, NodeRecord))
                self._news.notify_all()
        except Untrusted as error:
            log.error(f"refused a {kind}", extra={"app": self.name, "error": error.sentence})

    def stop(self) -> None:
        """Ask the worker to end; what has begun to switch is finished first."""
        with self._news:
            self._stopping = True
            self._news.notify_all()

    def report(self, boot: str, seq: int, counters: dict[str, float]) -> Report:
        """The state of the app as it is now."""
        # In this order: an epoch is only told with what the agent does since it decided on it.
        epoch, serial, activity = self._epoch, self._serial, self._activity
        state = self._memory.state
        return Report(
            node=self._node,
            app=self.name,
            boot=boot,
            seq=seq,
            epoch=epoch,
            activity=activity,
            running=self._running() if activity not in _BETWEEN else None,
            prepared=self._slots.cold(),
            why=self._why,
            at=time.time(),
            error=self._trouble or state.error,
            output=state.output,
            failed=state.failed,
            counters=counters,
            inspection=state.inspection,
            serial=serial,
        )

    def run(self) -> None:
        """Work until stopped."""
        recovered = False
        while not self._stopping:
            try:
                if not recovered or self._memory.state.activation is not None:
                    self._activator.recover()
                    recovered = True
                pause = self._step()
            except _Superseded:
                pause = 0.0
            except HeadwayError as error:
                pause = self._stumble(error)
            except Exception:
                log.exception("a defect of the agent; it carries on", extra=self._tag)
                pause = _RETRY_LAST
            with self._news:
                if pause and not self._stopping and not self._is_news():
                    self._news.wait(pause)
        self._slots.close()

    def _step(self) -> float:
        """Do the next thing; returns for how many seconds there is nothing more to do."""
        decided = self._decide()
        self._check_current()
        run, ahead = decided.run, decided.prepare
        moves = run is not None and run != self._running()
        if run is not None and moves and not self._has_failed(run):
            if self._slots.holding(run) is None:
                self._answer(Activity.FETCHING, decided.why)
                self._prepare(run, partial(self._stay, run))
            else:
                self._answer(Activity.DRAINING, decided.why)
                self._activator.activate(run, self._attempt())
            return self._did()
        if ahead is not None and not self._slots.holding(ahead) and not self._has_failed(ahead):
            self._answer(Activity.FETCHING, decided.why)
            self._prepare(ahead, partial(self._stay, ahead))
            return self._did()
        failed_here = f"{run[:12]} failed here; waiting to be told to retry" if run else ""
        self._trouble = ""
        self._answer(Activity.IDLE, failed_here if moves else decided.why)
        if self._untidy:
            self._slots.tidy(self._kept(), self._make_way)
            heap.give_back()
            self._untidy = False
        lost = self._slots.lost()
        is_held = decided.held and run is None
        if lost is not None and not is_held and not self._has_failed(lost):
            self._answer(Activity.FETCHING, f"{lost[:12]} has changed on the disk and is made anew")
            self._prepare(lost, self._make_way)
            return self._did()
        return min(self._glance(), self._scrub.advance(self._asked(), self._make_way))

    def _asked(self) -> int:
        """The number of the last demand to look through everything."""
        record = self._memory.state.record
        return record.seats[self.name].verify if record and self.name in record.seats else 0

    def _inspected(self) -> None:
        """Something was checked; what was found may have to be put right."""
        self._untidy |= any(not one.mended for one in self._memory.state.inspection.drift)
        self._tell()

    def _make_way(self) -> None:
        """What can wait is put off when there is news."""
        if self._stopping or self._is_news():
            raise _Superseded

    def _stay(self, build: BuildId) -> None:
        """What is being prepared is given up when it is not wanted any more."""
        if self._stopping or not self._is_wanted(build):
            raise _Superseded

    def _running(self) -> BuildId | None:
        state = self._memory.state
        return state.slots.get(state.running or "", Slot()).build

    def _check_current(self) -> None:
        """Take note when somebody else has moved ``current``."""
        state = self._memory.state
        if state.activation is None and state.running not in {None, self._slots.hot()}:
            log.warning("somebody else has moved current", extra=self._tag)
            self._memory.keep(running=None)

    def _glance(self) -> float:
        """For how long to wait when there is nothing to do."""
        hold = self._record.hold if self._record else None
        if hold is None or hold.until is None or hold.until < time.time():
            return _GLANCE
        return min(_GLANCE, hold.until - time.time() + 0.01)

    def _did(self) -> float:
        self._untidy, self._trouble, self._retries = True, "", 0
        return 0.0

    def _decide(self) -> Goal:
        """Make what was heard durable, then the goal that follows from it."""
        with self._news:
            signal, record = self._signal, self._record
        state = self._memory.state
        if signal != state.signal or record != state.record:
            # Whoever pins a node again means it: what failed there may be tried once more.
            pinned = record.seats[self.name].pin if record and self.name in record.seats else None
            again = record != state.record and state.failed and state.failed.build == pinned
            failed = None if again else state.failed
            state = self._memory.keep(signal=signal, record=record, failed=failed)
            self._retries = 0
        return goal(signal, record, state.failed, time.time(), self.name)

    def _prepare(self, build: BuildId, proceed: Callable[[], None]) -> None:
        """Fetch a build and make it ready in a cold slot; a target that cannot be is a failure."""

        def install(tree: Path) -> None:
            if self._app.prepare is not None:
                env = self._activator.environment(tree, described.id, described.commit)
                self._hooks.run("prepare", self._app.prepare, env, tree, proceed)

        attempt = self._attempt()
        try:
            self._show(Activity.FETCHING)
            described, manifest = self._source.describe(self.name, build, self._slots)

            def fetch(wanted: Mapping[Digest, int], save: Save) -> None:
                self._source.fetch(self.name, build, wanted, save)

            self._slots.gather(manifest, fetch, proceed)
            self._show(Activity.PREPARING)
            self._slots.prepare(
                described, manifest, self._kept(), install if self._app.prepare else None, proceed
            )
        except (Untrusted, Refused, StorageFailed, HookFailed) as error:
            if self._signal is None or build != self._signal.target:
                raise
            log.error("cannot prepare", extra={"build": build, "error": error.sentence} | self._tag)
            self._memory.keep(
                failed=Failure(build, attempt),
                error=error.sentence,
                output=error.output if isinstance(error, HookFailed) else "",
            )

    def _stumble(self, error: HeadwayError) -> float:
        """Tell what went wrong; returns for how long to wait before another try."""
        self._trouble = error.sentence
        log.warning("will try again", extra={"error": error.sentence} | self._tag)
        self._retries = min(self._retries + 1, 10)
        most = min(_RETRY_LAST, _RETRY_FIRST * 2**self._retries)
        return 0.1 + random.uniform(0, most)  # noqa: S311

    def _kept(self) -> set[BuildId]:
        """Builds whose slots are worth keeping: what the signal can send this node to."""
        signal = self._signal
        return {build for build in (signal.base, signal.target) if build} if signal else set()

    def _attempt(self) -> int:
        return self._signal.attempt if self._signal else 0

    def _has_failed(self, build: BuildId) -> bool:
        failed = self._memory.state.failed
        return failed is not None and failed.build == build and failed.attempt >= self._attempt()

    def _is_wanted(self, build: BuildId) -> bool:
        failed = self._memory.state.failed
        decided = goal(self._signal, self._record, failed, time.time(), self.name)
        return build in {decided.run, decided.prepare}

    def _is_news(self) -> bool:
        state = self._memory.state
        return self._signal != state.signal or self._record != state.record

    def _newer_signal(self, heard: Signal) -> Signal:
        if heard.app != self.name:
            raise Untrusted(f"it is for {heard.app}, not for {self.name}")
        known = self._signal
        if known is not None and heard.epoch < known.epoch:
            raise Untrusted(f"its epoch {heard.epoch} is behind {known.epoch}, already reached")
        if known is not None and heard.epoch == known.epoch and heard != known:
            raise Untrusted(f"a different one with the same epoch {heard.epoch} is known")
        return heard

    def _newer_record(self, heard: NodeRecord) -> NodeRecord:
        if heard.node != self._node:
            raise Untrusted(f"it is for {heard.node}, not for {self._node}")
        known = self._record
        if known is not None and heard.serial < known.serial:
            raise Untrusted(f"its serial {heard.serial} is behind {known.serial}, already reached")
        if known is not None and heard.serial == known.serial and heard != known:
            raise Untrusted(f"a different one with the same serial {heard.serial} is known")
        return heard

    def _show(self, activity: Activity) -> None:
        if activity is not self._activity:
            self._activity = activity
            self._tell()

    def _answer(self, activity: Activity, why: str) -> None:
        """From now on reports speak of the signal, and the record, that were decided on last.

        The activity comes before the epoch, so that no report of this epoch can show the agent
        at rest when it has decided to move.
        """
        signal, record = self._memory.state.signal, self._memory.state.record
        answered = (activity, why, signal.epoch if signal else 0, record.serial if record else 0)
        if answered == (self._activity, self._why, self._epoch, self._serial):
            return
        if why != self._why:
            log.info(why, extra=self._tag)
        self._activity, self._why, self._epoch, self._serial = answered
        self._tell()

    @property
    def _tag(self) -> dict[str, object]:
        return {"app": self.name}


def _decode(payload: bytes, into: type[_Value]) -> _Value:
    try:
        value = msgspec.json.decode(payload, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Untrusted(f"it cannot be understood: {error}") from None
    if value.version > VERSION:
        raise Untrusted(f"it is of version {value.version}; upgrade this agent to follow it")
    return value
