"""The virtual control plane: what ``headway.server.engine`` and ``publisher`` do, step by step.

It decides with the real core and sees the fleet through the real ``headway.server.fleet``. Its
life is a generator; at every ``yield`` it can be killed, frozen, or overtaken by the rest.
"""

from collections import deque
from collections.abc import Callable, Generator

from msgspec import Struct, structs

from headway.core import rollout as core
from headway.core.signalling import signal_of
from headway.errors import Conflict, Indeterminate, Refused, StoreError, Unavailable
from headway.model.hold import Hold, Scope
from headway.model.journal import HEADWAY
from headway.model.names import BuildId
from headway.model.plan import AppConfig
from headway.model.report import Report
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
    Decision,
    Event,
    FleetView,
    Observed,
    Pause,
    Phase,
    Resume,
    Retry,
    Revert,
    Rollout,
    RunSmoke,
    SmokeTested,
    Supersede,
    WriteSignal,
)
from headway.model.signal import NodeHold, NodeRecord, Signal, record_key, signal_key
from headway.model.verdict import Verdict
from headway.server.fleet import Fleet
from headway.testing.simulation.database import Database, Pending
from headway.testing.simulation.laws import APP, Laws
from headway.testing.simulation.machine import Clock
from headway.testing.simulation.network import Entry, Store, Value

ATTEMPTS = 8
AT_ONCE = 4

Judge = Callable[[], tuple[Verdict, ...]]
Work = Generator[None, None, None]


class Press(Struct, frozen=True):
    """A button that a person presses: an action, or ``deploy``, ``hold`` and ``node-hold``.

    ``on`` is the build to deploy or the node to hold.
    """

    action: str
    on: str = ""


class Plane:
    """One control plane on its database; ``judge`` is its guard."""

    def __init__(
        self,
        app: AppConfig,
        database: Database,
        store: Store,
        clock: Clock,
        laws: Laws,
        judge: Judge,
    ) -> None:
        self.database = database
        self.frozen = False
        self.smoke_passes = True
        self._app = app
        self._store = store
        self._clock = clock
        self._laws = laws
        self._judge = judge
        self.restart()

    # What happens to it.

    def restart(self) -> None:
        """A new process: it knows what the database holds."""
        self.presses: deque[Press] = deque(maxlen=32)
        self._fleet = Fleet()
        self._unsaved: dict[str, tuple[Report, float]] = {}
        self._unsent = set(self.database.records)
        self._began = self._clock.now
        self._passed = 0
        for record in self.database.records.values():
            self._fleet.place(record)
        for report, at in self.database.reports.values():
            self._fleet.hear(report, at)
        self._life = self._live()

    def step(self) -> None:
        """Go on to the next point at which something else can happen."""
        if not self.frozen:
            next(self._life)

    def hear(self, report: Report) -> None:
        """Take a report in; it is durable with the next transaction."""
        if self._fleet.hear(report, self._clock.now):
            self._unsaved[report.node] = report, self._clock.now

    def heard(self, node: str) -> float | None:
        """When the node was heard last."""
        known = self._fleet.heard(node, APP)
        return known[1] if known else None

    def view(self) -> FleetView:
        """The fleet, held against the latest rollout."""
        latest = self.database.latest
        signal = signal_of(latest) if latest else None
        return self._fleet.view(APP, signal, self._clock.now, self._app.silent_after)

    # What it does.

    def _live(self) -> Work:
        yield
        yield from self._guarded(self._carry_on())
        while True:
            yield
            self.database.reports |= self._unsaved
            self._unsaved.clear()
            if self.presses:
                yield from self._guarded(self._serve(self.presses.popleft()))
            if self._unsent:
                yield from self._guarded(self.catch_up())
            yield from self._guarded(self._run_effects())
            yield from self._follow()

    def _guarded(self, work: Work) -> Work:
        """What is refused, or cannot be reached, changes nothing: it is tried again, or not."""
        try:
            yield from work
        except (StoreError, Refused):
            self._laws.note("refused")

    def _carry_on(self) -> Work:
        """After a restart: whoever finds that the store has moved on, pauses."""
        self._adopt_records()
        state = self.database.latest
        if state is None or state.phase not in LIVE:
            return
        signal = self._read_signal()
        yield
        if signal is None or signal.epoch <= state.epoch:
            return
        if state.phase not in (Phase.PAUSED, Phase.REVERTING):
            yield from self._decide(state, Pause(HEADWAY, "the store has moved on"))

    def _follow(self) -> Work:
        for _ in range(AT_ONCE):
            state = self.database.latest
            if state is None or state.phase not in LIVE or not self._settled():
                return
            event = Observed(self.view(), self._judge(), tuple(self.database.holds.values()))
            if not (yield from self._decide(state, event)):
                return

    def _settled(self) -> bool:
        if self._clock.now - self._began >= self._app.silent_after:
            return True
        return self._fleet.all_heard_since(APP, self._began)

    def _serve(self, press: Press) -> Work:
        if press.action == "deploy":
            yield from self._deploy(press.on)
        elif press.action == "hold":
            self._hold_or_lift()
        elif press.action == "node-hold":
            yield from self._hold_node(press.on)
        elif (state := self.database.latest) is not None:
            yield from self._decide(state, self._event(press.action))

    def _event(self, action: str) -> Event:
        match action:
            case "advance":
                return Advance("ann", self.view(), tuple(self.database.holds.values()))
            case "pause":
                return Pause("ann", "lunch")
            case "resume":
                return Resume("ann")
            case "revert":
                return Revert("ann", "graphs look odd")
            case "abort":
                return Abort("ann", "enough")
            case _:
                return Retry("ann")

    def _deploy(self, build: BuildId) -> Work:
        """As the engine's ``deploy``, with supersede."""
        signal = self._read_signal()
        yield
        known, now = self.database, self._clock.now
        epoch = max(known.last_epoch, signal.epoch if signal else 0)
        before = known.latest
        steps: list[tuple[Rollout | None, Decision]] = []
        if before is not None and before.phase in LIVE:
            lifted = structs.replace(before, epoch=epoch)
            ended = core.decide(lifted, Supersede("ann", f"{APP}-{epoch + 2}"), now)
            steps.append((before, ended))
            before, epoch = ended.state, ended.state.epoch
        unfinished = before is not None and before.phase in (Phase.ABORTED, Phase.SUPERSEDED)
        started = core.start(
            id=f"{APP}-{epoch + 1}",
            app=self._app,
            plan_name="default",
            base=known.live_build,
            target=build,
            by="ann",
            reason="",
            epoch=epoch,
            fleet=self.view(),
            holds=tuple(known.holds.values()),
            now=now,
            predecessor=before if unfinished else None,
        )
        self._record([*steps, (None, started)])
        self._laws.begins(started.state)
        yield

    def _hold_or_lift(self) -> None:
        if self.database.holds:
            self.database.holds.clear()
        else:
            hold = Hold("h", Scope.APP, APP, "bob", "lunch", self._clock.now)
            self.database.holds[hold.id] = hold

    def _hold_node(self, node: str) -> Work:
        known = self.database.records[node]
        hold = None if known.hold else NodeHold("bob", "disk swap")
        record = structs.replace(known, serial=known.serial + 1, hold=hold)
        self.database.records[node] = record
        self._fleet.place(record)
        self._laws.holds(record)
        self._unsent.add(node)
        yield

    def _adopt_records(self) -> None:
        """What the store knows of nodes beyond the database counts."""
        for node, known in tuple(self.database.records.items()):
            entry = self._store.get(record_key(node))
            if entry is not None and entry.value.serial > known.serial:
                self.database.records[node] = entry.value
                self._fleet.place(entry.value)
                self._laws.holds(entry.value)

    def catch_up(self) -> Work:
        """Bring into the store what the database knows of nodes beyond it."""
        for node in sorted(self._unsent):
            yield from self._raise_to(record_key(node), self.database.records[node], _serial)
            self._unsent.discard(node)

    # How it does that.

    def _decide(self, before: Rollout, event: Event) -> Generator[None, None, bool]:
        state = before
        if self._passed > before.epoch:
            state = structs.replace(before, epoch=self._passed)
        now = self._clock.now
        decision = core.decide(state, event, now)
        if decision.state == state:
            return False
        self._laws.decided(self, before, event, decision, now)
        yield
        self._record([(before, decision)])
        yield
        yield from self._guarded(self._run_effects())
        return True

    def _record(self, steps: list[tuple[Rollout | None, Decision]]) -> None:
        for before, decision in steps:
            row = self.database.record(before, decision)
            self._laws.recorded(self.database, decision.state, row)

    def _run_effects(self) -> Work:
        for pending in tuple(self.database.outbox.values()):
            match pending.effect:
                case WriteSignal(signal=signal):
                    reached = yield from self._raise_to(signal_key(APP), signal, _epoch)
                    self._passed = max(self._passed, reached)
                    self.database.outbox.pop(pending.id, None)
                case RunSmoke(step=step):
                    yield from self._smoke(pending, step)
                case _:
                    self.database.outbox.pop(pending.id, None)

    def _smoke(self, pending: Pending, step: int) -> Work:
        before = self.database.rows[pending.rollout]
        yield
        result = "passed" if self.smoke_passes else "failed"
        event = SmokeTested(step, self.smoke_passes, f"the smoke test {result}")
        decision = core.decide(before, event, self._clock.now)
        if decision.state != before:
            self._record([(before, decision)])
        self.database.outbox.pop(pending.id, None)

    def _raise_to(
        self, key: str, value: Value, number_of: Callable[[Entry | None], int]
    ) -> Generator[None, None, int]:
        """Compare and set until the key has reached the value's number; the number it then has."""
        number = number_of(Entry(value, 0))
        for _ in range(ATTEMPTS):
            entry = self._store.get(key)
            yield
            if (there := number_of(entry)) >= number:
                return there
            try:
                self._store.put(key, value, entry.revision if entry else None)
            except (Conflict, Indeterminate) as error:
                self._laws.note(error.code)
                continue
            return number
        raise Unavailable(f"{key} changes faster than it can be written")

    def _read_signal(self) -> Signal | None:
        entry = self._store.get(signal_key(APP))
        signal: Signal | None = entry.value if entry else None
        if signal is not None:
            self._passed = max(self._passed, signal.epoch)
        return signal


def _epoch(entry: Entry | None) -> int:
    return entry.value.epoch if entry else 0


def _serial(entry: Entry | None) -> int:
    value: NodeRecord | None = entry.value if entry else None
    return value.serial if value else 0
