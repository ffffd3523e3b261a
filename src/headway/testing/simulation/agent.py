"""The virtual agent: the rules of ``headway.agent.worker`` and ``activation``, a step at a time.

Its life is a generator, and every ``yield`` is a point at which it can be interrupted: others move
on, it is killed (then the page cache and the app's process stay), or the power is cut (then what
was not synced is gone, and the app starts from what ``current`` leads to).
"""

from collections.abc import Callable, Iterator

from msgspec import structs

from headway.agent.state import Activation, Slot, State
from headway.core.goal import goal
from headway.model.build import Failure
from headway.model.names import BuildId
from headway.model.report import Activity, Report
from headway.model.signal import NodeRecord, Signal
from headway.testing.simulation.laws import APP, Laws
from headway.testing.simulation.machine import Clock, Disk

PARTS = 3
"""Of how many files a tree consists; a mixture is one that holds files of several builds."""

Tree = tuple[BuildId | None, ...]
Stage = str
Fails = Callable[[str, BuildId, Stage], bool]
Steps = Iterator[None]


def _tree(slot: str) -> str:
    return f"slots/{slot}"


class Agent:
    """One node with its disk, its agent and its app. ``fails`` tells which builds fail where."""

    def __init__(
        self, record: NodeRecord, base: BuildId | None, clock: Clock, laws: Laws, fails: Fails
    ) -> None:
        self.node, self.zone, self.tier = record.node, record.zone, record.seats[APP].tier
        self.alive = True
        self.disk = Disk({"state": State()})
        if base is not None:
            state = State(slots={"1": Slot(base, age=1)}, running="1")
            self.disk = Disk({"state": state, "current": "1", _tree("1"): (base,) * PARTS})
        self._clock = clock
        self._laws = laws
        self._fails = fails
        self._boot = 0
        self.serving: Tree | None = None
        self._start_app()
        self.restart()

    # What happens to it.

    def restart(self) -> None:
        """A new process: it knows what its disk holds, and nothing else."""
        self._boot += 1
        self._seq = 0
        self.state = self._remember()
        self.signal, self.record = self.state.signal, self.state.record
        self.activity, self._epoch, self._serial = Activity.IDLE, 0, 0
        self._life = self._live()

    def lose_power(self, survivors: int) -> None:
        """The machine stops, and starts again: the app from ``current``, and the agent."""
        self.disk.cut_power(survivors)
        self._start_app()
        self.restart()

    def step(self) -> None:
        """Go on to the next point at which something else can happen."""
        next(self._life)

    def offer(self, heard: Signal | NodeRecord) -> None:
        """Take in a signal or record, if it is newer than what is known."""
        if isinstance(heard, Signal):
            if self._is_newer(heard):
                self.signal = heard
        elif self.record is None or heard.serial > self.record.serial:
            self.record = heard

    def report(self) -> Report:
        """What it says of itself now."""
        self._seq += 1
        state, activity = self.state, self.activity
        between = activity in (Activity.RESTARTING, Activity.VERIFYING, Activity.FLIPPING_BACK)
        return Report(
            node=self.node,
            app=APP,
            boot=f"{self._boot}",
            seq=self._seq,
            epoch=self._epoch,
            activity=activity,
            running=None if between else self.running,
            prepared=None,
            why="",
            at=self._clock.now,
            failed=state.failed,
            serial=self._serial,
        )

    @property
    def running(self) -> BuildId | None:
        """The build that was verified here last."""
        slot = self.state.slots.get(self.state.running or "")
        return slot.build if slot else None

    @property
    def is_held(self) -> bool:
        """Whether it knows of a hold."""
        return self.record is not None and self.record.hold is not None

    def has_failed(self, build: BuildId | None) -> bool:
        """Whether the build has failed here since failed nodes were last asked to try again."""
        failed = self.state.failed
        return failed is not None and failed.build == build and failed.attempt >= self._attempt()

    @property
    def hot(self) -> str | None:
        """The slot that ``current`` leads to."""
        hot: str | None = self.disk.read("current")
        return hot

    def tree(self, slot: str) -> Tree:
        """What lies in a slot."""
        found: Tree | None = self.disk.read(_tree(slot))
        return found or (None,) * PARTS

    # What it does.

    def _live(self) -> Steps:
        yield from self._recover()
        while True:
            yield from self._turn()

    def _recover(self) -> Steps:
        activation = self.state.activation
        if activation is None:
            self._laws.arrives(self.node)
        elif activation.returning and activation.back is not None:
            yield from self._return(activation.back)
        elif self.hot == activation.slot:
            yield from self._finish(activation)
        else:
            yield from self._keep(activation=None)
            self._laws.arrives(self.node)

    def _turn(self) -> Steps:
        yield from self._learn()
        signal, failed = self.state.signal, self.state.failed
        decided = goal(signal, self.state.record, failed, self._clock.now, APP)
        run, ahead = decided.run, decided.prepare
        if signal is not None:
            self._laws.acts(self.node, signal.epoch)
        if run is not None and run != self.running and not self.has_failed(run):
            slot = self._holding(run)
            if slot is None:
                self._answer(Activity.FETCHING)
                yield from self._prepare(run)
            else:
                self._answer(Activity.DRAINING)
                yield from self._activate(run, slot)
        elif ahead is not None and not self._holding(ahead) and not self.has_failed(ahead):
            self._answer(Activity.FETCHING)
            yield from self._prepare(ahead)
        else:
            self._answer(Activity.IDLE)
            yield

    def _remember(self) -> State:
        """What the disk holds; made durable first, for an agent before may not have come to it."""
        self.disk.sync()
        state: State = self.disk.read("state")
        return state

    def _learn(self) -> Steps:
        """Make what was heard durable, before anything follows from it."""
        if self.signal is not self.state.signal or self.record is not self.state.record:
            yield from self._keep(signal=self.signal, record=self.record)

    def _prepare(self, build: BuildId) -> Steps:
        attempt = self._attempt()
        slot = self._spare()
        yield from self._mark_dirty(slot)
        self.activity = Activity.PREPARING
        for part in range(PARTS):
            tree = self.tree(slot)
            self.disk.write(_tree(slot), (*tree[:part], build, *tree[part + 1 :]))
            yield
            if not self._is_wanted(build):
                return
        if self._fails(self.node, build, "prepare"):
            if self.state.signal is not None and build == self.state.signal.target:
                yield from self._keep(failed=Failure(build, attempt))
            return
        self.disk.sync("slots")
        age = 1 + max((known.age for known in self.state.slots.values()), default=0)
        yield from self._keep(slots={**self.state.slots, slot: Slot(build, age=age)})

    def _activate(self, build: BuildId, slot: str) -> Steps:
        signal, record = self.state.signal, self.state.record
        if signal is not None and record is not None:
            self._laws.departs(record, build, signal)
        hot = self.hot
        back = hot if hot != slot else None
        activation = Activation(build, slot, back, self._attempt())
        yield from self._keep(activation=activation)
        if self._fails(self.node, build, "drain"):
            yield from self._keep(activation=None, failed=Failure(build, activation.attempt))
            self._laws.arrives(self.node)
            return
        self.activity = Activity.SWITCHING
        yield from self._switch(slot)
        yield from self._finish(activation)

    def _finish(self, activation: Activation) -> Steps:
        self.activity = Activity.RESTARTING
        yield
        self._start_app()
        self.activity = Activity.VERIFYING
        yield
        build = activation.build
        if self._fails(self.node, build, "verify"):
            failed = Failure(build, activation.attempt)
            if activation.back is None:
                yield from self._keep(activation=None, failed=failed)
                self._laws.arrives(self.node)
                return
            returning = structs.replace(activation, returning=True)
            yield from self._keep(activation=returning, failed=failed)
            yield from self._return(activation.back)
            return
        state = self.state
        yield from self._keep(
            activation=None,
            running=activation.slot,
            good=state.running if state.running != activation.slot else state.good,
            failed=None if state.failed and state.failed.build == build else state.failed,
        )
        self._laws.arrives(self.node)

    def _return(self, back: str) -> Steps:
        self._laws.note("flipped back")
        self.activity = Activity.FLIPPING_BACK
        yield from self._switch(back)
        self._start_app()
        yield
        yield from self._keep(activation=None, running=back)
        self._laws.arrives(self.node)

    # What it does that with.

    def _keep(self, **changes: object) -> Steps:
        """Change the state, durably."""
        changed = structs.replace(self.state, **changes)
        self.disk.write("state", changed)
        yield
        self.disk.sync()
        self.state = changed

    def _switch(self, slot: str) -> Steps:
        self.disk.write("current", slot)
        yield
        self.disk.sync()

    def _mark_dirty(self, slot: str) -> Steps:
        yield from self._keep(slots={**self.state.slots, slot: Slot()})

    def _start_app(self) -> None:
        hot = self.hot
        if hot is not None:
            self.serving = self.tree(hot)
            self._laws.serves(self.node, self.serving)

    def _answer(self, activity: Activity) -> None:
        signal = self.state.signal
        self.activity, self._epoch = activity, signal.epoch if signal else 0
        self._serial = self.state.record.serial if self.state.record else 0

    def _is_newer(self, heard: Signal) -> bool:
        return self.signal is None or heard.epoch > self.signal.epoch

    def _is_wanted(self, build: BuildId) -> bool:
        decided = goal(self.signal, self.record, self.state.failed, self._clock.now, APP)
        return build in (decided.run, decided.prepare)

    def _attempt(self) -> int:
        return self.signal.attempt if self.signal else 0

    def _holding(self, build: BuildId) -> str | None:
        ready = [name for name, slot in self.state.slots.items() if slot.build == build]
        hot = self.hot
        return hot if hot in ready else next(iter(ready), None)

    def _spare(self) -> str:
        """The oldest slot that nothing needs; a further one if there is none."""
        state, signal = self.state, self.signal
        kept = (signal.base, signal.target) if signal else ()
        spared = {self.hot, state.running, state.good}
        slots = {name: state.slots.get(name, Slot()) for name in ("1", "2", "3", *state.slots)}
        free = [
            name
            for name, slot in slots.items()
            if name not in spared and (slot.build is None or slot.build not in kept)
        ]
        if not free:
            return str(max(map(int, slots)) + 1)
        return min(free, key=lambda name: (slots[name].age, name))
