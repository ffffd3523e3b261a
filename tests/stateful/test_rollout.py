"""The rollout against a model fleet that lies late: reports are stale, nodes fail and fall silent.

The machine below keeps the truth (what each node really runs) apart from what has been
reported, and holds the core's decisions against the truth.
"""

from collections import Counter
from dataclasses import dataclass

import hypothesis.strategies as st
import msgspec
from hypothesis import event as statistic
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headway.core import journal, positions, rollout
from headway.core.emergency import go_back, goes_back
from headway.core.fleet import Member, view
from headway.core.goal import goal
from headway.core.signalling import signal_of
from headway.core.transitions import TABLE
from headway.core.wave import within
from headway.errors import Refused
from headway.model.build import Failure
from headway.model.hold import Hold, Scope
from headway.model.names import share
from headway.model.plan import Action, AppConfig, Gate, Metric, Step
from headway.model.report import Activity, Report
from headway.model.rollout import (
    LIVE,
    Abort,
    Advance,
    Behind,
    Decision,
    Event,
    NodeState,
    Observed,
    Overtaken,
    Pause,
    Phase,
    PlaceHold,
    Resume,
    Retry,
    Revert,
    Rollout,
    RunSmoke,
    SignOff,
    SmokeTested,
    WriteSignal,
)
from headway.model.signal import NodeHold, NodeRecord, Seat, Signal
from headway.model.verdict import Outcome, Verdict

BASE, TARGET = "b" * 64, "a" * 64
SILENT_AFTER = 15.0
ZONES = ("east", "west", "north")


@dataclass
class Node:
    """One node's truth, and the last report that arrived."""

    record: NodeRecord
    running: str | None
    epoch: int = 0
    moving_to: str | None = None
    failed: Failure | None = None
    dead: bool = False
    report: Report | None = None
    last_seen: float | None = None
    seq: int = 0

    def reports(self, now: float) -> None:
        self.seq += 1
        self.last_seen = now
        self.report = Report(
            node=self.record.node,
            app="web",
            boot="boot",
            seq=self.seq,
            epoch=self.epoch,
            activity=Activity.RESTARTING if self.moving_to else Activity.IDLE,
            running=self.running,
            prepared=None,
            why="",
            at=now,
            failed=self.failed,
        )


class RolloutMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.now = 1000.0
        self.holds: tuple[Hold, ...] = ()
        self.state: Rollout | None = None
        self.signal: Signal | None = None
        self.rows: list[dict[str, object]] = []
        self.smoke_wanted: int | None = None
        self.barred = ""

    @initialize(
        sizes=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 8)),
        gates=st.lists(st.sampled_from(Gate), min_size=4, max_size=4),
        concurrency=st.sampled_from([1, 2, "25%", "50%", "100%"]),
        zone_concurrency=st.sampled_from([1, "50%", "100%"]),
        max_failed=st.sampled_from([0, 1, "30%"]),
        revert_concurrency=st.sampled_from([1, "50%", "100%"]),
        has_base=st.booleans(),
        sign_off=st.sampled_from([0, 0, 0, 1, 2]),
    )
    def begin(
        self,
        sizes,
        gates,
        concurrency,
        zone_concurrency,
        max_failed,
        revert_concurrency,
        has_base,
        sign_off,
    ) -> None:
        for tier, size in zip(("staging", "canary", "production"), sizes, strict=True):
            places = {f"{tier}-{i}": ZONES[i % 3] for i in range(size)}
            for name, position in positions.assign(places).items():
                seats = {"web": Seat(tier, position)}
                record = NodeRecord(name, 1, places[name], seats)
                self.nodes.append(Node(record, BASE if has_base else None))
        common = {
            "concurrency": concurrency,
            "zone_concurrency": zone_concurrency,
            "max_failed": max_failed,
            "soak": 10,
            "notice": 5,
            "deadline": 300,
            "patience": 20,
        }
        plan = (
            Step("staging", smoke=True, gate=gates[0], sign_off=sign_off, **common),
            Step("canary", gate=gates[1], **common),
            Step("production", share=0.4, gate=gates[2], **common),
            Step("production", gate=gates[3], **common),
        )
        self.app = AppConfig(
            "web",
            plans={"default": plan},
            metrics=(Metric("errors", "errors"),),
            revert_concurrency=revert_concurrency,
        )
        decision = rollout.start(
            id="r1",
            app=self.app,
            plan_name="default",
            base=BASE if has_base else None,
            target=TARGET,
            by="alice",
            reason="",
            epoch=7,
            fleet=self.fleet(),
            holds=(),
            now=self.now,
        )
        self.take(decision)

    # What the control plane does.

    def fleet(self):
        members = [Member(node.record, node.report, node.last_seen) for node in self.nodes]
        signal = signal_of(self.state) if self.state else None
        return view("web", members, signal, self.now, SILENT_AFTER)

    def take(self, decision: Decision) -> None:
        before, after = self.state, decision.state
        if before != after:
            row = journal.changes(before, after)
            self.rows.append(msgspec.json.decode(msgspec.json.encode(row)))
        for effect in decision.effects:
            if isinstance(effect, WriteSignal):
                assert effect.signal.epoch > (self.signal.epoch if self.signal else 7)
                assert effect.signal.epoch == after.epoch
                self.signal = effect.signal
            elif isinstance(effect, RunSmoke):
                self.smoke_wanted = effect.step
            elif isinstance(effect, PlaceHold):
                assert after.phase is Phase.REVERTING
                self.holds = (*self.holds, effect.hold)
        assert decision.why
        self.state = after

    def send(self, event: Event) -> bool:
        """Feed an event; True when it was accepted. A refusal must change nothing."""
        before = self.state
        try:
            decision = rollout.decide(before, event, self.now)
        except Refused as refusal:
            assert refusal.sentence
            return False
        if decision.state != before:
            assert decision.state.phase in TABLE[before.phase][type(event)]
        self.leaving_a_step(before, decision.state)
        if decision.state.phase is Phase.REVERTED and before.phase is not Phase.REVERTED:
            self.everybody_is_back()
        if decision.state.phase is not before.phase:
            statistic(f"{before.phase} → {decision.state.phase}")
        self.take(decision)
        return True

    def everybody_is_back(self) -> None:
        for node in self.nodes:
            if node.record.hold is None:
                assert node.running == BASE, "reverted with a node that does not run the base"
                assert node.moving_to in (None, BASE), "reverted with a node on its way out"

    def leaving_a_step(self, before: Rollout, after: Rollout) -> None:
        """Whoever leaves a step for the next leaves it green: everyone has spoken, truly."""
        onward = after.step > before.step or after.phase is Phase.SUCCEEDED
        if not onward or before.phase is Phase.SUCCEEDED:
            return
        step = before.plan[before.step]
        if after.step > before.step:
            assert not self.barred, "a step began while that was barred"
            assert after.signed_off == (), "a sign-off was taken for another step's"
        assert len(before.signed_off) >= step.sign_off, "green without the people who answer"
        covered = [
            node
            for node in self.nodes
            if (seat := node.record.seats["web"]).tier == step.tier and seat.position < step.share
        ]
        failed = 0
        for node in covered:
            if node.record.hold is not None:
                continue
            assert node.last_seen is not None
            assert self.now - node.last_seen <= SILENT_AFTER, "green with an unknown node"
            if node.failed is not None:
                failed += 1
            else:
                assert node.running == TARGET, "green with a node that does not run it"
        tolerated = max([share(step.max_failed, len(covered)), *self.waived_failures(before)])
        assert failed <= tolerated, "green beyond the failure budget"

    def waived_failures(self, state: Rollout) -> list[int]:
        return [int(key.split(":")[1]) for key in state.waived if key.startswith("nodes:")]

    @rule(
        dt=st.sampled_from([0.1, 1.0, 6.0, 11.0]),
        outcome=st.sampled_from([Outcome.PASS] * 12 + [Outcome.NO_DATA, Outcome.FAIL]),
        action=st.sampled_from(Action),
    )
    def observe(self, dt, outcome, action) -> None:
        self.now += dt
        for node in self.nodes:
            if not node.dead and self.now - (node.last_seen or 0) > 5:
                node.reports(self.now)
        before = self.state
        verdict = Verdict("errors", outcome, f"errors: {outcome}", action)
        self.send(Observed(self.fleet(), (verdict,), self.holds, self.barred))
        if before.phase is Phase.PAUSED:
            assert self.state.phase is Phase.PAUSED, "pause is sticky"
            assert self.state.fractions == before.fractions
        if outcome is not Outcome.PASS and before.phase in (Phase.SOAKING, Phase.WAITING):
            waived = {"metric:errors", "data:errors"} & set(before.waived)
            alert_only = outcome is Outcome.FAIL and action is Action.ALERT
            if before.phase is Phase.SOAKING and not waived and not alert_only:
                assert self.state.step == before.step, "advanced on a bad or missing verdict"

    @precondition(lambda self: self.smoke_wanted is not None)
    @rule(passed=st.sampled_from([True, True, True, False]))
    def smoke_ends(self, passed) -> None:
        step, self.smoke_wanted = self.smoke_wanted, None
        self.send(SmokeTested(step, passed, "smoke test " + ("passed" if passed else "failed")))

    # What the nodes do.

    @rule(i=st.integers(0, 99))
    def node_decides(self, i) -> None:
        node = self.nodes[i % len(self.nodes)]
        if node.dead or node.moving_to or self.signal is None:
            return
        node.epoch = self.signal.epoch
        wanted = goal(self.signal, node.record, node.failed, self.now, "web")
        if wanted.run is not None and wanted.run != node.running:
            node.moving_to = wanted.run

    @rule()
    def all_decide(self) -> None:
        for i in range(len(self.nodes)):
            self.node_decides(i)

    @rule(i=st.integers(0, 99), works=st.sampled_from([True] * 7 + [False]))
    def node_arrives(self, i, works) -> None:
        node = self.nodes[i % len(self.nodes)]
        if node.dead or node.moving_to is None:
            return
        if works:
            node.running, node.failed = node.moving_to, None
        else:
            node.failed = Failure(node.moving_to, self.signal.attempt)
        node.moving_to = None

    @rule()
    def all_arrive(self) -> None:
        for i in range(len(self.nodes)):
            self.node_arrives(i, True)

    @rule()
    def all_report(self) -> None:
        for node in self.nodes:
            if not node.dead:
                node.reports(self.now)

    @rule(i=st.integers(0, 99))
    def node_reports(self, i) -> None:
        node = self.nodes[i % len(self.nodes)]
        if not node.dead:
            node.reports(self.now)

    @rule(i=st.integers(0, 99), dead=st.sampled_from([True, False, False]))
    def node_dies_or_returns(self, i, dead) -> None:
        self.nodes[i % len(self.nodes)].dead = dead

    @precondition(lambda self: self.state is not None and self.state.phase in LIVE)
    @rule(
        rounds=st.integers(1, 12),
        the_dead_rise=st.booleans(),
        outcome=st.sampled_from([Outcome.PASS, Outcome.PASS, Outcome.NO_DATA]),
    )
    def all_goes_well(self, rounds, the_dead_rise, outcome) -> None:
        for node in self.nodes:
            node.dead = node.dead and not the_dead_rise
        for _ in range(rounds):
            self.all_decide()
            self.transitions_stay_within_concurrency()
            self.all_arrive()
            self.all_report()
            self.observe(6.0, outcome, Action.REVERT)
            if self.state.phase is Phase.SOAKING and the_dead_rise:
                self.sign_off("alice")
                self.sign_off("bob")
            if self.smoke_wanted is not None:
                self.smoke_ends(True)

    @precondition(lambda self: self.state is not None and self.state.phase in LIVE)
    @rule(i=st.integers(0, 99))
    def all_goes_well_but_one_dies(self, i) -> None:
        self.nodes[i % len(self.nodes)].dead = True
        self.all_goes_well(8, False, Outcome.PASS)

    # What people do.

    @rule(i=st.integers(0, 99), held=st.booleans())
    def node_held(self, i, held) -> None:
        node = self.nodes[i % len(self.nodes)]
        if node.moving_to is None:
            hold = NodeHold("bob", "disk swap") if held else None
            node.record = msgspec.structs.replace(node.record, hold=hold)

    @rule()
    def advance(self) -> None:
        self.send(Advance("alice", self.fleet(), self.holds, self.barred))

    @rule(who=st.sampled_from(["alice", "bob"]))
    def sign_off(self, who) -> None:
        before = self.state
        if self.send(SignOff(who)):
            assert before.phase is Phase.SOAKING
            assert self.state.signed_off.count(who) == 1
            assert self.state.phase is before.phase

    @rule(barred=st.sampled_from(["", "", "frozen until Monday"]))
    def hours_change(self, barred) -> None:
        self.barred = barred

    @rule()
    def pause(self) -> None:
        if self.send(Pause("alice", "a look")):
            assert self.state.phase is Phase.PAUSED

    @rule()
    def resume(self) -> None:
        self.send(Resume("alice"))

    @rule()
    def retry(self) -> None:
        self.send(Retry("alice"))

    @rule(sure=st.sampled_from([True, False, False]))
    def revert(self, sure) -> None:
        before = self.state
        if not sure and before.phase is Phase.ROLLING:
            return
        accepted = self.send(Revert("alice", "graphs look odd"))
        if before.phase in LIVE | {Phase.SUCCEEDED} and before.base is not None:
            assert accepted, "revert is reachable from every live state"
            assert self.state.phase is Phase.REVERTING

    @rule()
    def revert_in_full_flight(self) -> None:
        self.all_report()
        self.observe(0.1, Outcome.PASS, Action.REVERT)
        self.all_decide()
        self.revert(sure=True)
        self.observe(0.1, Outcome.PASS, Action.REVERT)

    @precondition(lambda self: self.state is not None and self.state.phase is Phase.REVERTING)
    @rule()
    def abort(self) -> None:
        assert self.send(Abort("alice", "enough"))

    @rule(on=st.sampled_from(["web", "web/production"]))
    def hold_or_lift(self, on) -> None:
        kept = tuple(hold for hold in self.holds if hold.on != on)
        if len(kept) == len(self.holds):
            kept = (*kept, Hold("h", Scope.APP, on, "bob", "lunch", self.now))
        self.holds = kept

    # What happens in the signal store behind everybody's back.

    @precondition(lambda self: self.state is not None and self.state.phase is not Phase.SUPERSEDED)
    @rule(behind=st.integers(0, 3))
    def somebody_takes_all_back(self, behind) -> None:
        """By hand; perhaps in an older copy of the store, which nodes have passed."""
        standing = msgspec.structs.replace(self.signal, epoch=max(1, self.signal.epoch - behind))
        try:
            told = go_back(standing, None, 0, "root", "all is red", self.now)
        except Refused:
            return
        reached = self.state.epoch
        if told.epoch > reached:
            self.signal = told
        assert self.send(Overtaken(told, reached))
        assert self.state.phase is Phase.REVERTING
        assert self.signal.base == BASE
        assert goes_back(self.signal), "the emergency was written over"
        assert self.signal.epoch == self.state.epoch

    @precondition(lambda self: self.state is not None and self.state.phase is not Phase.SUPERSEDED)
    @rule(lost=st.integers(1, 9))
    def the_store_forgets(self, lost) -> None:
        before, known = self.state, self.signal
        assert self.send(Behind(max(0, known.epoch - lost)))
        assert self.state.phase is before.phase
        assert self.signal.epoch > known.epoch
        assert (self.signal.fractions, self.signal.base) == (before.fractions, before.base)

    # What must always hold.

    @invariant()
    def journal_gives_the_state(self) -> None:
        if self.state is not None:
            assert journal.fold(self.rows, Rollout) == self.state

    @invariant()
    def transitions_stay_within_concurrency(self) -> None:
        """Of those told to go forward; a revert goes by its own, counted without silent nodes."""
        if self.state is None or self.state.phase in (Phase.REVERTING, Phase.REVERTED):
            return
        if self.state.base is None or self.state.turned != 8:
            return
        going = Counter(
            node.record.seats["web"].tier for node in self.nodes if node.moving_to == TARGET
        )
        for tier, count in going.items():
            size = sum(node.record.seats["web"].tier == tier for node in self.nodes)
            step = next(step for step in self.state.plan if step.tier == tier)
            assert count <= max(1, share(step.concurrency, size)), f"{count} of {size} in {tier}"

    @invariant()
    def the_wave_covers_what_it_says(self) -> None:
        if self.state is None or self.state.phase not in LIVE:
            return
        for tier, nodes in self.fleet().tiers.items():
            front = self.state.fractions.get(tier, 0.0)
            assert all(
                node.state is not NodeState.DONE or node.running == TARGET
                for node in within(nodes, front)
            )


RolloutMachine.TestCase.settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
TestRollout = RolloutMachine.TestCase
