"""A world: a fleet, control planes, people, and everything that can go wrong, moved by choices.

A choice is a number. Its low byte says what happens next, the rest to whom and how; every choice
means something in every state. So a list of choices is a schedule, any part of it is one too, and
what a seed has broken can be made shorter by leaving choices out.
"""

import random
from collections.abc import Callable
from hashlib import sha256

from headway.core.goal import goal
from headway.core.signalling import signal_of
from headway.model.names import BuildId
from headway.model.plan import Action
from headway.model.report import Activity, Report
from headway.model.rollout import LIVE, Decision, Phase
from headway.model.signal import Signal, record_key, signal_key
from headway.model.verdict import Outcome, Verdict
from headway.testing.simulation import shape
from headway.testing.simulation.agent import Agent
from headway.testing.simulation.database import Database
from headway.testing.simulation.laws import APP, Broken, Laws
from headway.testing.simulation.machine import SECONDS_A_STEP, Clock
from headway.testing.simulation.network import Fault, Network, Store, Value
from headway.testing.simulation.plane import Plane, Press

CHOICE_BITS = 30
CALM_ROUNDS = 600
"""So many rounds, of half a second each, a fleet without faults is given to come to rest."""

BUILDS: tuple[BuildId, ...] = tuple(sha256(name.encode()).hexdigest() for name in "abcd")

_WEIGHTS = {
    "agent": 104,
    "deliver": 62,
    "report": 38,
    "plane": 26,
    "wait": 4,
    "drop": 2,
    "duplicate": 3,
    "reconnect": 3,
    "press": 3,
    "metrics": 2,
    "smoke": 1,
    "spoil": 2,
    "store": 1,
    "kill": 1,
    "cut_power": 1,
    "fall": 1,
    "cut": 1,
    "disturb": 1,
}
"""What happens how often, of 256 times."""

_ACTIONS = (
    *("advance", "advance", "advance", "resume", "resume", "resume", "retry", "retry"),
    *("pause", "revert", "abort", "hold", "node-hold", "node-hold"),
)


class World:
    """One fleet with its history. The same shape and the same choices give the same history."""

    def __init__(self, number: int) -> None:
        dice = random.Random(number)  # noqa: S311 - a simulation is to be repeatable
        self.clock = Clock()
        self.laws = Laws(self.clock, shape.SILENT_AFTER)
        self.network = Network()
        self.store = Store(self._published)
        self.steps = 0
        self._bad: dict[str, tuple[BuildId, str]] = {}
        self._verdict = _verdict(Outcome.PASS, Action.REVERT)
        self._base = BUILDS[0] if dice.random() < 0.9 else None
        self._app = shape.app(dice)
        self.laws.builds.update([self._base] if self._base else [])
        records = shape.fleet(dice)
        self.agents = [
            Agent(record, self._base, self.clock, self.laws, self._fails) for record in records
        ]
        self._agents = self.laws.agents
        self._agents.update((agent.node, agent) for agent in self.agents)
        database = Database(records={record.node: record for record in records})
        self.planes = [self._new_plane(database)]
        for _ in self.planes[0].catch_up():
            pass
        if self._base is not None:
            self._found(self._base)
        happenings = [getattr(self, f"_{kind}") for kind in _WEIGHTS]
        self._table: list[Callable[[int], None]] = [
            happening
            for happening, weight in zip(happenings, _WEIGHTS.values(), strict=True)
            for _ in range(weight)
        ]

    def step(self, choice: int) -> None:
        """Let one thing happen. Raises Broken."""
        self.clock.now += SECONDS_A_STEP
        self.steps += 1
        self._table[choice & 255](choice >> 8)

    def describe(self, choice: int) -> str:
        """What a choice means here, in a few words."""
        kind = self._table[choice & 255].__name__.strip("_").replace("_", " ")
        argument = choice >> 8
        if kind in ("agent", "report", "reconnect", "kill", "cut power", "fall", "cut", "spoil"):
            return f"{kind} {self._any(argument).node}"
        if kind == "press":
            return f"press {self._pressed(argument).action}"
        if kind == "deliver" and self.network.flight:
            flight = self.network.flight
            message = flight[argument % len(flight)]
            what = type(message.content).__name__.lower()
            return f"deliver a {what} of {message.node}"
        return kind

    def calm(self) -> None:
        """End all faults, and see the fleet come to rest; then go back. Raises Broken."""
        self._heal()
        self._come_to_rest()
        latest = self.planes[0].database.latest
        if latest is not None and latest.phase is Phase.SUCCEEDED and latest.base is not None:
            self.planes[0].presses.append(Press("revert"))
            self._round()
            self._come_to_rest()

    # What can happen next.

    def _agent(self, argument: int) -> None:
        agent = self._any(argument)
        if agent.alive:
            agent.step()

    def _deliver(self, argument: int) -> None:
        message = self.network.take(argument)
        if message is None:
            return
        if type(message.content) is Report:
            for plane in self.planes:
                if not plane.frozen:
                    plane.hear(message.content)
            return
        agent = self._agents[message.node]
        if agent.alive:
            agent.offer(message.content)  # type: ignore[arg-type]

    def _report(self, argument: int) -> None:
        agent = self._any(argument)
        if agent.alive:
            self.network.send(agent.node, agent.report())

    def _plane(self, argument: int) -> None:
        self.planes[argument % len(self.planes)].step()

    def _wait(self, argument: int) -> None:
        self.clock.now += (0.5, 1.0, 2.0, 5.0)[argument & 3]

    def _drop(self, argument: int) -> None:
        self.network.take(argument)

    def _duplicate(self, argument: int) -> None:
        self.network.duplicate(argument)

    def _reconnect(self, argument: int) -> None:
        """A watch begins again, with the values as they are now."""
        agent = self._any(argument)
        for key in (signal_key(APP), record_key(agent.node)):
            value = self.store.glimpse(key)
            if value is not None:
                self.network.send(agent.node, value)

    def _press(self, argument: int) -> None:
        plane = self.planes[argument % len(self.planes)]
        plane.presses.append(self._pressed(argument))

    def _metrics(self, argument: int) -> None:
        outcome = (Outcome.NO_DATA, Outcome.FAIL, *[Outcome.PASS] * 6)[argument & 7]
        self._verdict = _verdict(outcome, tuple(Action)[(argument >> 3) % 3])

    def _smoke(self, argument: int) -> None:
        for plane in self.planes:
            plane.smoke_passes = argument % 4 != 0

    def _spoil(self, argument: int) -> None:
        """A build does not work on a node; or what was wrong there is put right."""
        node, dice = self._any(argument).node, argument >> 4
        if self._bad.pop(node, None) is None and dice & 3:
            stage = ("verify", "verify", "drain", "prepare")[dice >> 2 & 3]
            latest = self.planes[-1].database.latest
            self._bad[node] = latest.target if latest else BUILDS[dice % len(BUILDS)], stage

    def _store(self, argument: int) -> None:
        self.store.fault = tuple(Fault)[argument % 3]

    def _kill(self, argument: int) -> None:
        self._any(argument).restart()

    def _cut_power(self, argument: int) -> None:
        self._any(argument).lose_power(argument >> 8)

    def _fall(self, argument: int) -> None:
        """A machine goes down, or all come up again."""
        down = [agent for agent in self.agents if not agent.alive]
        if not down or argument >> 4 & 3 == 0:
            self._any(argument).alive = False
            return
        for agent in down:
            agent.alive = True
            agent.lose_power(argument >> 8)

    def _cut(self, argument: int) -> None:
        """A node is cut off, or all are connected again."""
        if not self.network.cut or argument >> 4 & 3 == 0:
            self.network.cut.add(self._any(argument).node)
        else:
            self.network.cut.clear()

    def _disturb(self, argument: int) -> None:
        """A control plane dies, is frozen and replaced by a standby, wakes up, or is removed."""
        match argument & 31:
            case 0 | 1 | 2 | 3 | 4 | 5:
                self.planes[-1].restart()
            case 6 if len(self.planes) == 1:
                self.planes[0].frozen = True
                self.planes.append(self._new_plane(self.planes[0].database.copy()))
                self.laws.contested = True
                self.laws.note("forked")
            case 7 | 8 | 9 | 10:
                self.planes[0].frozen = False
            case 11 if len(self.planes) > 1:
                del self.planes[0]

    # How it is put together.

    def _new_plane(self, database: Database) -> Plane:
        def judge() -> tuple[Verdict, ...]:
            return (self._verdict,)

        return Plane(self._app, database, self.store, self.clock, self.laws, judge)

    def _published(self, value: Value) -> None:
        """Every watch is told of a new value."""
        if isinstance(value, Signal):
            self.laws.signalled(value)
            for agent in self.agents:
                self.network.send(agent.node, value)
        else:
            self.network.send(value.node, value)

    def _fails(self, node: str, build: BuildId, stage: str) -> bool:
        return self._bad.get(node) == (build, stage)

    def _any(self, argument: int) -> Agent:
        return self.agents[argument % len(self.agents)]

    def _pressed(self, argument: int) -> Press:
        """What a person does: often what there is to do next, sometimes anything."""
        database, dice = self.planes[argument % len(self.planes)].database, argument >> 4
        latest = database.latest
        if latest is None or (latest.phase not in LIVE and dice & 3) or dice & 7 == 0:
            if database.holds and dice & 8:
                return Press("hold")
            return Press("deploy", BUILDS[(dice >> 5) % len(BUILDS)])
        action = _ACTIONS[(dice >> 5) % len(_ACTIONS)]
        return Press(action, self._any(dice >> 10).node if action == "node-hold" else "")

    def _found(self, build: BuildId) -> None:
        """Make a build the one that is live."""
        database = self.planes[0].database
        state = shape.founded(self._app, list(database.records.values()), build, self.clock.now)
        self.laws.recorded(database, state, database.record(None, Decision(state)))
        self.store.put(signal_key(APP), signal_of(state), None)

    # How it ends.

    def _heal(self) -> None:
        self.network.cut.clear()
        self.store.fault = None
        self._bad.clear()
        self._verdict = _verdict(Outcome.PASS, Action.REVERT)
        del self.planes[:-1]
        plane = self.planes[0]
        plane.frozen, plane.smoke_passes = False, True
        plane.presses.clear()
        if self.laws.contested:
            plane.restart()
            plane.presses.append(Press("retry"))
            self._round()
        for record in plane.database.records.values():
            if record.hold is not None:
                plane.presses.append(Press("node-hold", record.node))
        for agent in self.agents:
            if not agent.alive:
                agent.alive = True
                agent.lose_power(0)

    def _come_to_rest(self) -> None:
        for count in range(CALM_ROUNDS):
            if count % 4 == 0 and self._is_at_rest():
                return
            if count % 32 == 16:
                self._attend(patient=count % 64 == 16)
            self._round()
        latest = self.planes[0].database.latest
        why = f"{latest.phase}: {latest.why}" if latest else "nothing was deployed"
        late = ", ".join(agent.node for agent in self.agents if not self._is_settled(agent))
        raise Broken("liveness", f"without faults the fleet does not come to rest ({why}; {late})")

    def _round(self) -> None:
        """Half a second in which everybody has a turn, and every message arrives."""
        self.clock.now += 0.5
        for agent in self.agents:
            for _ in range(3):
                agent.step()
            self.network.send(agent.node, agent.report())
            self.network.send(agent.node, self.planes[0].database.records[agent.node])
            signal = self.store.glimpse(signal_key(APP))
            if signal is not None:
                self.network.send(agent.node, signal)
        arrived, self.network.flight = self.network.flight, []
        for message in arrived:
            if type(message.content) is Report:
                self.planes[0].hear(message.content)
            else:
                self._agents[message.node].offer(message.content)  # type: ignore[arg-type]
        for _ in range(6):
            self.planes[0].step()
        self.steps += 5 * len(self.agents) + 6

    def _attend(self, patient: bool) -> None:
        """A person does what there is to do next: has failed nodes try again, or goes on."""
        plane = self.planes[0]
        plane.database.holds.clear()
        latest = plane.database.latest
        if latest is None:
            return
        match latest.phase:
            case Phase.PAUSED:
                plane.presses.append(Press("retry" if patient else "resume"))
            case Phase.WAITING:
                plane.presses.append(Press("advance"))
            case Phase.REVERTING:
                plane.presses.append(Press("retry"))

    def _is_at_rest(self) -> bool:
        database = self.planes[0].database
        latest = database.latest
        if self.planes[0].presses or (latest is not None and latest.phase in LIVE):
            return False
        return not database.outbox and all(map(self._is_settled, self.agents))

    def _is_settled(self, agent: Agent) -> bool:
        """Whether an agent runs what it is to run, by the last signal and its record."""
        signal = self.store.glimpse(signal_key(APP))
        record = self.planes[0].database.records[agent.node]
        if agent.state.signal != signal or agent.state.record != record:
            return False
        decided = goal(agent.state.signal, record, agent.state.failed, self.clock.now, APP)
        there = decided.run in (None, agent.running) or agent.has_failed(decided.run)
        return there and agent.activity is Activity.IDLE and agent.state.activation is None


def _verdict(outcome: Outcome, action: Action) -> Verdict:
    return Verdict("errors", outcome, f"errors: {outcome}", action)
