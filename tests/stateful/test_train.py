"""The train against a second model of it, a rollout that has a will of its own, and rude people."""

import copy

import hypothesis.strategies as st
import msgspec
from hypothesis import event as statistic
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import structs

from headway.core import journal, patch, train
from headway.core.riding import leader, missing
from headway.errors import Refused
from headway.model.hold import Hold, Scope
from headway.model.plan import TrainSettings
from headway.model.rollout import LIVE, Phase, PlaceHold
from headway.model.train import (
    Act,
    At,
    Begin,
    Carries,
    Config,
    Done,
    Door,
    Drive,
    Event,
    Good,
    Join,
    Kick,
    Leave,
    LiftHold,
    Message,
    Run,
    Say,
    Seen,
    State,
    Stop,
    Tell,
    Train,
    Uhoh,
    Undo,
    Unhold,
)
from tests.stateful.train_model import Model

PEOPLE = ("alice", "bob", "carol", "dan", "eve", "frank")
TIERS = ("staging", "canary", "production")
SIZE = 3
SETTINGS = TrainSettings(size=SIZE, remind=600, lease=900)
who = st.sampled_from(PEOPLE)


class TrainMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.state = Train("web")
        self.model = Model(SIZE)
        self.rows: list[dict[str, object]] = []
        self.run: Run | None = None
        self.holds: tuple[Hold, ...] = ()
        self.frozen = ""
        self.builds = 0

    @initialize()
    def begin(self) -> None:
        self.look()

    # What the control plane does.

    def look(self) -> None:
        self.take(Seen(self.run, TIERS, self.holds, self.frozen, "frank"))

    def take(self, event: Event) -> bool:
        """Feed an event and run its effects; whether it was accepted."""
        before = self.state
        try:
            decision = train.decide(before, event, self.now, SETTINGS)
        except Refused as refusal:
            assert refusal.sentence
            self.refused = refusal.sentence
            return False
        after = decision.state
        assert after.state in train.TABLE[before.state][type(event)], (before.state, after.state)
        if not isinstance(event, Seen):
            assert decision.why
        if after.state is not before.state:
            statistic(f"{before.state} → {after.state}")
        for effect in decision.effects:
            after = self.run_effect(effect, event, before, after)
        self.keep(before, after)
        return True

    def keep(self, before: Train, after: Train) -> None:
        if after != before:
            row = patch.difference(before, after)
            self.rows.append(msgspec.json.decode(msgspec.json.encode(row)))
        self.state = after

    def run_effect(self, effect, event, before: Train, after: Train) -> Train:
        match effect:
            case Begin():
                self.may_leave(before, after)
                self.builds += 1
                self.run = Run(
                    f"web-{self.builds}", f"{self.builds:064x}", Phase.ROLLING, "staging"
                )
                begun = train.boarded(after, self.run, self.now)
                assert begun.state.state in train.TABLE[before.state][At]
                self.model.under_way = (self.run.build, "staging")
                return begun.state
            case Act(action="advance"):
                assert self.run.phase is Phase.WAITING
                self.may_go_on(before)
                at = TIERS.index(self.run.tier) + 1
                self.run = structs.replace(
                    self.run, tier=TIERS[at], phase=Phase.ROLLING, attested=False, gate=""
                )
            case Act(action="pause") if self.run.phase in LIVE - {Phase.REVERTING}:
                self.run = structs.replace(self.run, phase=Phase.PAUSED, resumable=True, gate="")
            case Act(action="resume"):
                assert self.run.phase is Phase.PAUSED
                assert not self.holds
                assert not self.frozen
                assert not self.model.against
                phase = Phase.SOAKING if self.run.attested else Phase.ROLLING
                self.run = structs.replace(self.run, phase=phase, resumable=False)
            case Act(action="revert"):
                self.run = structs.replace(self.run, phase=Phase.REVERTING, gate="")
            case PlaceHold(hold=hold):
                self.holds = (*self.holds, hold)
            case LiftHold(hold=hold):
                self.holds = tuple(h for h in self.holds if h.id != hold.id)
            case Tell(sentence=sentence):
                assert sentence
        return after

    def fresh_run(self) -> Run:
        return Run(f"web-{self.builds}", f"{self.builds:064x}", Phase.ROLLING, "staging")

    def may_leave(self, before: Train, after: Train) -> None:
        assert not self.holds, "left although it is held"
        assert not self.frozen, "left in a freeze"
        if self.model.leader in self.model.aboard:
            self.model.signed[self.model.leader] = ("", "")
        assert self.model.may_go(), "left without somebody who is not in"

    def may_go_on(self, before: Train) -> None:
        assert not self.holds, "went on although it is held"
        assert not self.frozen, "went on in a freeze"
        assert self.model.may_go(), "went on without a sign-off"

    def again(self, event: Event) -> None:
        """Whoever says it twice changes nothing the second time."""
        before = self.state
        try:
            decision = train.decide(before, event, self.now, SETTINGS)
        except Refused:
            return
        assert structs.replace(decision.state, lease=before.lease) == before
        assert not decision.effects, "the same word twice had an effect twice"

    # What people say.

    @rule(
        by=who,
        how=st.sampled_from(["", "", "with", "before", "last"]),
        other=who,
        door=st.sampled_from(["open", "open", "open", "askme", "hold"]),
    )
    def joins(self, by, how, other, door) -> None:
        event = Join(
            by,
            beside=other if how == "with" else "",
            before=other if how == "before" else "",
            last=how == "last",
            door=Door(door),
        )
        unled = self.model.nobody
        model_says = self.model.join(by, how, other, door)
        assert self.take(event) == model_says
        if model_says and not unled:
            self.again(event)

    @rule(by=who)
    def leaves(self, by) -> None:
        before = self.state
        if self.take(Leave(by)):
            if by in self.model.aboard or by == self.model.driver:
                self.model.out(by)
            self.again(Leave(by))
        else:
            assert before.state is State.CLEAR
        self.look()

    @rule(by=who, whom=who)
    def kicks(self, by, whom) -> None:
        model = self.model
        woken = model.nobody and model.cars and by in model.cars[0]
        leads = by if woken else model.leader
        known = whom in model.aboard | model.against | {leads}
        car = model.car(whom)
        head = car >= 0 and model.cars[car][:1] == [by]
        allowed = by in (leads, whom, "frank") or head
        accepted = self.take(Kick(by, whom))
        if not accepted:
            assert not model.cars or (known and not allowed)
        else:
            if woken:
                model.lead(by)
            if known:
                assert allowed
                model.out(whom)
        self.look()

    @rule(by=who)
    def drives(self, by) -> None:
        model = self.model
        if self.take(Drive(by)):
            assert by in model.cars[0] or not model.leader or by in ("frank", model.leader)
            if model.leader != by:
                model.lead(by)
            self.again(Drive(by))
        elif model.cars:
            assert by not in model.cars[0]
            assert model.leader

    @rule(by=who)
    def good(self, by) -> None:
        model, run = self.model, self.run
        woken = model.nobody and model.cars and by in model.cars[0]
        if self.take(Good(by)):
            if woken:
                model.lead(by)
            model.against.discard(by)
            if by in model.cars[0] and (run is None or run.attested):
                model.signed[by] = model.under_way or ("", "")
            self.again(Good(by))
        else:
            aboard = model.cars and by in model.cars[0]
            assert not aboard or (run is not None and not run.attested)

    @rule()
    def all_good(self) -> None:
        for name in list(self.model.cars[0]) if self.model.cars else ():
            self.good(name)

    @rule(by=who)
    def uhoh(self, by) -> None:
        if self.take(Uhoh(by, "it is red")):
            assert self.model.cars
            self.model.against.add(by)
            self.model.signed.pop(by, None)
            self.look()
            if self.run is not None:
                assert self.run.phase not in LIVE - {Phase.PAUSED, Phase.REVERTING}, "went on"
            self.again(Uhoh(by, "it is red"))

    @rule(by=who, stage=st.sampled_from(["staging", "stag", "canary", "prod", "nowhere"]))
    def at(self, by, stage) -> None:
        asleep, model = copy.deepcopy(self.model), self.model
        if model.nobody and model.cars and by in model.cars[0]:
            model.lead(by)
        if not self.take(At(by, stage)):
            self.model = asleep
        else:
            assert by == model.leader, "somebody drove who does not lead"
            self.sync()
            self.look()
            if self.run is not None and self.run.phase is not Phase.PAUSED:
                self.again(At(by, stage))

    @rule()
    def the_leader_goes_on(self) -> None:
        if self.model.leader:
            self.at(self.model.leader, "staging" if self.run is None else "prod")

    @rule(by=who)
    def done(self, by) -> None:
        model = self.model
        woken = model.nobody and model.cars and by in model.cars[0]
        before = self.run
        if self.take(Done(by)):
            if woken:
                model.lead(by)
            assert before.phase is Phase.SUCCEEDED
            assert by == model.leader
            assert model.may_go(), "ended without a sign-off"
            self.run = None
            model.under_way = None
            model.ends()

    @rule(by=who, until=st.sampled_from([None, 30.0]))
    def hold(self, by, until) -> None:
        until = None if until is None else self.now + until
        hold = Hold(f"h{self.now}", Scope.TRAIN, "web", by, "lunch", self.now, until)
        assert self.take(Stop(hold))
        self.again(Stop(hold))

    @rule(by=who)
    def unhold(self, by) -> None:
        assert self.take(Unhold(by))
        assert not self.holds
        assert not self.state.holds
        assert self.state.frozen == self.frozen, "lifting a hold ended a freeze"

    @rule(frozen=st.sampled_from(["", "frozen until Monday"]))
    def freezes(self, frozen) -> None:
        self.frozen = frozen
        self.look()

    @rule(by=who, text=st.sampled_from(["", "be quick"]))
    def message(self, by, text) -> None:
        assert self.take(Message(by, text))
        self.again(Message(by, text))
        assert self.take(Say(by, "hello"))

    @rule(by=who, on=st.booleans())
    def config(self, by, on) -> None:
        if self.take(Config(by, on)):
            assert self.state.riders[by].config is on
            self.again(Config(by, on))

    @rule(by=who, dark=st.booleans())
    def carries(self, by, dark) -> None:
        assert self.take(Carries(by, ("c1",), dark))
        if by in self.model.aboard:
            (self.model.dark.add if dark else self.model.dark.discard)(by)
        self.look()

    @rule(by=who)
    def undo(self, by) -> None:
        if self.run is None or self.run.phase not in LIVE | {Phase.SUCCEEDED}:
            return
        self.take(Undo(by))
        self.look()

    @rule(people=st.lists(who, min_size=1, max_size=4, unique=True))
    def many_join(self, people) -> None:
        for name in people:
            self.joins(name, "", name, "open")

    @rule(legs=st.integers(1, 4), all_sign=st.sampled_from([True, True, False]))
    def it_goes_well(self, legs, all_sign) -> None:
        """People do what they should, leg by leg; the last may lack a word."""
        if not self.model.cars:
            self.many_join(["alice", "bob", "carol"])
        self.freezes("")
        self.unhold("dan")
        for leg in range(legs):
            for name in tuple(self.model.against):
                self.good(name)
            if all_sign or leg < legs - 1:
                self.all_good()
            self.the_leader_goes_on()
            self.rolls(4)
        if self.state.state is State.ARRIVED and all_sign:
            self.all_good()
            self.done(self.model.leader or "dan")

    # What the rollout does.

    @precondition(lambda self: self.run is not None)
    @rule(steps=st.integers(1, 4))
    def rolls(self, steps) -> None:
        for _ in range(steps):
            run = self.run
            if run is None:
                return
            last = run.tier == TIERS[-1]
            match run.phase:
                case Phase.ROLLING if run.quarter < 3 and not self.holds:
                    run = structs.replace(run, quarter=run.quarter + 1)
                case Phase.ROLLING if not self.holds:
                    run = structs.replace(run, phase=Phase.SOAKING, attested=True, quarter=4)
                case Phase.SOAKING if last:
                    run = structs.replace(run, phase=Phase.SUCCEEDED)
                case Phase.SOAKING:
                    gate = TIERS[TIERS.index(run.tier) + 1]
                    run = structs.replace(run, phase=Phase.WAITING, gate=gate)
                case Phase.REVERTING:
                    run = structs.replace(run, phase=Phase.REVERTED)
            self.run = run
            self.sync()
            self.look()
            if run.phase in (Phase.REVERTED, Phase.ABORTED):
                self.came_back()

    def came_back(self) -> None:
        self.run = None
        self.model.under_way = None
        self.model.back()
        for name in self.model.cars[0]:
            self.model.signed.pop(name, None)
        self.model._sweep()

    @precondition(lambda self: self.run is not None and self.run.phase in LIVE)
    @rule(phase=st.sampled_from([Phase.PAUSED, Phase.REVERTING, Phase.ABORTED]), mine=st.booleans())
    def somebody_acts_elsewhere(self, phase, mine) -> None:
        if self.run.phase is Phase.REVERTING:
            return
        self.run = structs.replace(self.run, phase=phase, resumable=mine, gate="")
        self.look()
        if phase is Phase.ABORTED:
            self.came_back()

    @precondition(lambda self: self.run is not None and self.run.phase is not Phase.REVERTING)
    @rule()
    def hotfix(self) -> None:
        self.builds += 1
        self.run = self.fresh_run()
        self.model.against = set()
        self.sync()
        self.look()
        for name in self.model.cars[0]:
            assert self.state.riders[name].signed != (self.run.build, self.run.tier)
        assert set(missing(self.state)) == set(self.model.cars[0]) - self.model.dark

    def sync(self) -> None:
        if self.run is not None:
            self.model.under_way = (self.run.build, self.run.tier)

    # What time does.

    @rule(dt=st.sampled_from([1.0, 60.0, 700.0, 1000.0, 2000.0]))
    def time_passes(self, dt) -> None:
        self.now += dt
        self.holds = tuple(h for h in self.holds if h.until is None or self.now < h.until)
        before, waits = self.state, train.lead.is_waiting(self.state)
        awaited = leader(before)
        self.look()
        model = self.model
        if not leader(self.state) and self.model.leader:
            model.nobody, model.driver = True, ""
        elif leader(self.state) != awaited:
            assert waits, "somebody lost the lead while the machine worked"
            assert dt >= 700, "somebody lost the lead at once"
            self.follow_succession(awaited)
        self.look()

    def follow_succession(self, late: str) -> None:
        model = self.model
        heir = leader(self.state)
        if heir in model.cars[0]:
            model.driver = ""
            model.cars[0].remove(heir)
            if late in model.cars[0]:
                model.cars[0].remove(late)
                model.cars[0].append(late)
            model.cars[0].insert(0, heir)
        else:
            assert model.under_way is None, "a car under way gave way"
            model.driver = ""
            model.cars.append(model.cars.pop(0))

    @rule()
    def nobody_waits_for_ever(self) -> None:
        """However long nobody says a word, the lead passes through the car and then is open."""
        for _ in range(3 * SIZE * len(self.state.order) + 8):
            self.time_passes(2000.0)
            if not train.lead.is_waiting(self.state):
                return
        assert len(self.state.order) > 1, "it waits for one who is not there, for ever"

    # What must always hold.

    @invariant()
    def the_two_models_agree(self) -> None:
        cars = [list(self.state.cars[car].riders) for car in self.state.order]
        assert cars == self.model.cars
        assert leader(self.state) == self.model.leader
        assert set(self.state.objections) == self.model.against
        signed = {
            name: (rider.signed.build, rider.signed.tier)
            for name, rider in self.state.riders.items()
            if rider.signed is not None
        }
        assert signed == self.model.signed

    @invariant()
    def cars_are_cars(self) -> None:
        riders = [name for car in self.state.cars.values() for name in car.riders]
        assert sorted(riders) == sorted(self.state.riders), "in two cars, or in none"
        assert set(self.state.order) == set(self.state.cars)
        for car in self.state.cars.values():
            assert len(car.riders) <= SIZE
        if self.state.run is not None:
            assert self.state.order, "a car under way has vanished"

    @invariant()
    def the_journal_gives_the_state(self) -> None:
        assert journal.fold_train("web", self.rows) == self.state


TestTrain = TrainMachine.TestCase
TestTrain.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
