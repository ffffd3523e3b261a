"""The rollout's rules one by one, each with the sentence that people see."""

import pytest
from msgspec import structs

from headway.core import rollout, words
from headway.core.goal import has_failed
from headway.core.next_step import next_action
from headway.core.signalling import signal_of
from headway.errors import NotFound, Refused
from headway.model.build import Failure
from headway.model.hold import Hold, Scope
from headway.model.plan import (
    Action,
    AppConfig,
    ByGate,
    Checks,
    Gate,
    Guarding,
    Importance,
    Step,
)
from headway.model.rollout import (
    Abort,
    Advance,
    Alert,
    FleetView,
    NodeState,
    NodeView,
    Observed,
    Pause,
    Phase,
    PlaceHold,
    Resume,
    Retry,
    Revert,
    Rollout,
    RunSmoke,
    SmokeTested,
    Supersede,
    WriteSignal,
)
from headway.model.signal import Seat
from headway.model.verdict import Outcome, Verdict

BASE, TARGET, OLDER = "b" * 64, "a" * 64, "c" * 64
HOLD = Hold("h", Scope.APP, "web", "bob", "database upgrade", 0.0)


class Story:
    """A rollout, told event by event, over a fleet that does what the signal says at once."""

    def __init__(self, *steps: Step, base: str | None = BASE, size: int = 4, **facts: object):
        self.now = 0.0
        self.odd: dict[str, NodeState] = {}
        self.size = size
        self.plan = steps or (Step("canary", soak=10), Step("production", soak=10))
        self.app = AppConfig("web", plans={"default": self.plan}, metrics=())
        self.app = structs.replace(self.app, **facts)
        self.effects: list[object] = []
        self.state: Rollout | None = None
        self.take(self.start(base=base))

    def start(self, base: str | None = BASE, **facts: object) -> rollout.Decision:
        given = {
            "id": "r1",
            "app": self.app,
            "plan_name": "default",
            "base": base,
            "target": TARGET,
            "by": "alice",
            "reason": "",
            "epoch": 10,
            "fleet": self.fleet(),
            "holds": (),
            "now": self.now,
        }
        return rollout.start(**(given | facts))  # type: ignore[arg-type]

    def fleet(self) -> FleetView:
        tiers = {}
        for tier in dict.fromkeys(step.tier for step in self.plan):
            front = self.state.fractions.get(tier, 0.0) if self.state else 0.0
            tiers[tier] = tuple(
                NodeView(
                    node=(name := f"{tier}-{i}"),
                    zone="east",
                    position=i / self.size,
                    state=self.odd.get(name, NodeState.DONE),
                    running=TARGET if i / self.size < front else BASE,
                )
                for i in range(self.size)
            )
        return FleetView(tiers)

    def take(self, decision: rollout.Decision) -> None:
        self.state = decision.state
        self.why = decision.why
        self.effects = list(decision.effects)

    def send(self, event: rollout.Event) -> Phase:
        self.take(rollout.decide(self.state, event, self.now))
        return self.state.phase

    def look(self, dt: float = 0.0, *verdicts: Verdict, holds: tuple[Hold, ...] = ()) -> Phase:
        self.now += dt
        return self.send(Observed(self.fleet(), verdicts, holds))

    def until(self, phase: Phase, step: int | None = None, dt: float = 1.0) -> None:
        for _ in range(200):
            if self.state.phase is phase and (step is None or self.state.step == step):
                return
            self.look(dt)
        raise AssertionError(f"never {phase}, but {self.state.phase}: {self.why}")

    def refuses(self, event: rollout.Event, sentence: str) -> None:
        before = self.state
        with pytest.raises(Refused, match=sentence):
            rollout.decide(before, event, self.now)


def fail(action: Action = Action.REVERT) -> Verdict:
    return Verdict("errors", Outcome.FAIL, "errors on canary 30 %, above 2 %", action)


def silent() -> Verdict:
    return Verdict("errors", Outcome.NO_DATA, "errors: nothing yet")


def test_a_rollout_walks_its_plan_to_the_end() -> None:
    story = Story()
    assert story.state.epoch == 11
    (signal,) = (e.signal for e in story.effects if isinstance(e, WriteSignal))
    assert signal.prepare
    assert signal.fractions == {}
    assert signal.turned == 11
    story.until(Phase.SUCCEEDED)
    assert story.state.fractions == {"canary": 1.0, "production": 1.0}
    assert story.why == f"{TARGET[:12]} is live on every node"


def test_the_wave_rises_by_no_more_than_the_concurrency() -> None:
    story = Story(Step("production", concurrency=1), size=4)
    fronts = []
    while story.state.phase is Phase.ROLLING:
        story.odd = {}
        story.look()
        front = story.state.fractions.get("production", 0.0)
        if front not in fronts:
            fronts.append(front)
            story.odd = {f"production-{len(fronts) - 1}": NodeState.MOVING}
            story.look()
            assert story.state.fractions["production"] == front
    assert fronts == [0.25, 0.5, 0.75, 1.0]


def test_a_manual_gate_waits_for_a_person() -> None:
    story = Story(Step("canary", soak=0), Step("production", soak=0, gate=Gate.MANUAL))
    story.until(Phase.WAITING)
    assert "production 100 % waits for a person" in story.why
    assert next_action(story.state, story.fleet(), (), (), story.now)[0] == "advance"
    assert story.look(9999) is Phase.WAITING
    assert story.send(Advance("alice", story.fleet())) is Phase.ROLLING
    assert story.why == "alice begins production 100 %"


def test_an_assisted_gate_opens_by_itself_unless_somebody_pauses() -> None:
    story = Story(Step("canary", soak=0), Step("production", soak=0, gate=Gate.ASSISTED, notice=30))
    story.until(Phase.WAITING)
    assert story.look(29) is Phase.WAITING
    assert story.look(2) is Phase.ROLLING
    assert "nobody objected" in story.why


def test_a_step_that_is_not_green_does_not_advance() -> None:
    story = Story(Step("canary", soak=0), Step("production", gate=Gate.MANUAL))
    story.refuses(Advance("alice", story.fleet()), "canary 100 % is still rolling")
    story.until(Phase.WAITING)
    story.odd = {"canary-1": NodeState.UNKNOWN}
    story.refuses(Advance("alice", story.fleet()), "not green any more: waiting for canary-1")


def test_an_unknown_node_blocks_green_and_is_named_at_the_deadline() -> None:
    story = Story(Step("canary", soak=0, deadline=100))
    story.odd = {"canary-2": NodeState.UNKNOWN}
    for _ in range(50):
        story.look(1)
    assert story.state.phase is Phase.ROLLING
    assert "waiting for canary-2" in story.why
    assert story.look(60) is Phase.PAUSED
    assert "canary-2" in story.why
    story.send(Resume("alice"))
    for _ in range(10):
        assert story.look(60) is Phase.ROLLING, "overruled, but never green"
    story.odd = {}
    story.until(Phase.SUCCEEDED)


def test_nobody_waits_for_a_time_that_a_wrong_clock_has_noted() -> None:
    story = Story(Step("canary", soak=10), Step("production", soak=0))
    story.now = 86400.0
    story.until(Phase.SOAKING)
    story.now = 5.0
    story.look()
    assert story.state.phase is Phase.SOAKING
    assert story.state.since == 5.0
    story.look(9.0)
    assert story.state.step == 0
    story.until(Phase.SUCCEEDED)
    assert story.now < 60


def test_an_advance_is_refused_where_a_node_has_failed_meanwhile() -> None:
    story = Story(Step("canary", soak=0), Step("production", gate=Gate.MANUAL))
    story.until(Phase.WAITING)
    story.odd["canary-1"] = NodeState.FAILED
    story.refuses(Advance("alice", story.fleet()), "not green any more: 1 of 4 nodes")


def test_a_step_with_a_node_on_its_way_back_is_not_complete() -> None:
    story = Story(Step("canary", soak=0, max_failed=1), Step("production"))
    story.until(Phase.ROLLING)
    for _ in range(10):
        nodes = [
            structs.replace(node, state=NodeState.FAILED, away=True)
            if node.node == "canary-1"
            else node
            for node in story.fleet().tiers["canary"]
        ]
        story.send(Observed(FleetView({**story.fleet().tiers, "canary": tuple(nodes)})))
    assert (story.state.phase, story.state.step) == (Phase.ROLLING, 0)
    assert "canary-1" in story.why
    story.odd["canary-1"] = NodeState.FAILED
    story.until(Phase.ROLLING, step=1)


def test_failed_nodes_beyond_the_budget_pause_and_one_more_pauses_again() -> None:
    story = Story(Step("canary", soak=50, max_failed=1, concurrency="100%"))
    story.look()
    story.odd = {"canary-0": NodeState.FAILED}
    story.look(1)
    assert story.state.phase is not Phase.PAUSED
    story.odd["canary-1"] = NodeState.FAILED
    assert story.look(1) is Phase.PAUSED
    assert "2 of 4 nodes of canary 100 % failed" in story.why
    story.send(Resume("alice", "they are being repaired"))
    assert "overrules nodes:2" in story.why
    assert story.look(1) is not Phase.PAUSED
    story.odd["canary-2"] = NodeState.FAILED
    assert story.look(1) is Phase.PAUSED


def test_retry_lets_failed_nodes_try_again_within_the_concurrency() -> None:
    story = Story(Step("canary", soak=0, max_failed=4, concurrency=1), size=4)
    story.until(Phase.SOAKING, dt=0.0)
    story.odd = {"canary-0": NodeState.FAILED, "canary-3": NodeState.FAILED}
    assert story.send(Retry("alice")) is Phase.ROLLING
    assert story.state.attempt == story.state.epoch
    assert story.state.retry == {"canary": 0.0}
    story.look()
    assert story.state.retry == {"canary": 0.75}, "one at a time"


def test_retry_ends_a_pause_that_was_about_failed_nodes_and_accepts_nothing() -> None:
    story = Story(Step("canary", soak=50, concurrency="100%"))
    story.look()
    story.odd = {"canary-0": NodeState.FAILED}
    assert story.look(1) is Phase.PAUSED
    assert next_action(story.state, story.fleet(), (), (), story.now)[0] == "retry"
    assert story.send(Retry("alice", "repaired")) is Phase.ROLLING
    assert story.why == "alice asks the failed nodes to try again: repaired"
    assert story.look(1) is Phase.ROLLING, "its turn to try again comes first"
    assert story.state.retry["canary"] == 1.0
    assert story.look(1) is Phase.PAUSED, "it failed once more, and was not accepted"


def test_retry_leaves_a_persons_pause_alone_and_says_so() -> None:
    story = Story()
    story.send(Pause("alice", "lunch"))
    assert story.send(Retry("bob")) is Phase.PAUSED
    assert "still paused by alice: lunch" in story.why


def test_a_retry_during_a_pause_has_its_turn_also_where_the_step_was_complete() -> None:
    story = Story(Step("canary", soak=10), Step("production", soak=0))
    story.until(Phase.SOAKING)
    story.send(Pause("alice", "a look"))
    story.odd = {"canary-0": NodeState.FAILED}
    assert story.send(Retry("bob")) is Phase.PAUSED
    assert story.send(Resume("alice")) is Phase.ROLLING
    assert story.look(1) is Phase.ROLLING
    assert story.state.retry["canary"] == 1.0
    assert story.look(1) is Phase.PAUSED, "it failed once more: nobody goes on without it"
    assert story.state.objections == ("nodes:1",)


def test_the_end_names_who_does_not_run_it() -> None:
    story = Story(Step("canary", soak=0), size=2)
    story.until(Phase.SOAKING)
    story.odd = {"canary-1": NodeState.HELD}
    held = structs.replace(story.fleet().tiers["canary"][1], state=NodeState.HELD, running=BASE)
    tiers = {"canary": (story.fleet().tiers["canary"][0], held)}
    assert story.send(Observed(FleetView(tiers))) is Phase.SUCCEEDED
    assert story.why == f"{TARGET[:12]} is live, but not on canary-1"


def test_an_aborted_rollout_can_be_brought_back() -> None:
    story = Story(Step("production", soak=0, share=0.5), Step("production", gate=Gate.MANUAL))
    story.until(Phase.WAITING)
    story.send(Abort("alice", "lunch"))
    blockers = next_action(story.state, story.fleet(), (), (), story.now)[2]
    assert blockers == ("r1 left nodes on different builds",)
    assert story.send(Revert("alice", "tidy up")) is Phase.REVERTING
    assert story.look(1) is Phase.REVERTED


def test_a_new_rollout_tries_again_what_failed_in_an_earlier_one() -> None:
    signal = signal_of(Story().state)
    seat = Seat("production", 0.75)
    assert not has_failed(Failure(TARGET, 10), TARGET, signal, seat)
    assert has_failed(Failure(TARGET, signal.attempt), TARGET, signal, seat)


def test_a_failing_metric_reverts_holds_and_alerts() -> None:
    story = Story()
    story.until(Phase.SOAKING)
    assert story.look(1, fail()) is Phase.REVERTING
    assert "errors on canary 30 %" in story.why
    assert "by headway" in story.why
    (hold,) = (e.hold for e in story.effects if isinstance(e, PlaceHold))
    assert hold.on == "web"
    (signal,) = (e.signal for e in story.effects if isinstance(e, WriteSignal))
    assert signal.fractions == {}
    assert signal.turned == signal.epoch
    assert not signal.prepare
    assert story.look(1) is Phase.REVERTED


def test_a_metric_may_ask_for_a_pause_or_only_an_alert() -> None:
    story = Story()
    story.until(Phase.SOAKING)
    assert story.look(1, fail(Action.ALERT)) is Phase.SOAKING
    assert [type(effect) for effect in story.effects] == [Alert]
    story.look(1, fail(Action.ALERT))
    assert story.effects == [], "once"
    assert story.look(1, fail(Action.PAUSE)) is Phase.PAUSED


def test_without_a_base_there_is_nothing_to_revert_to() -> None:
    story = Story(base=None)
    story.refuses(Revert("alice", "odd"), "no earlier build")
    story.until(Phase.SOAKING)
    assert story.look(1, fail()) is Phase.PAUSED


def test_no_data_waits_then_pauses_and_never_passes() -> None:
    steps = Step("canary", soak=10, patience=20), Step("production")
    story = Story(*steps, metrics=AppConfig("web").metrics[:1])
    story.until(Phase.SOAKING)
    assert story.look(15, silent()) is Phase.SOAKING
    assert story.why == "waiting for data on errors"
    assert story.look(20, silent()) is Phase.PAUSED
    assert "no data on errors" in story.why
    story.send(Resume("alice", "night, no traffic"))
    story.look(11, silent())
    assert story.state.step == 1


def test_a_pause_for_want_of_data_says_what_it_would_take() -> None:
    steps = Step("canary", soak=10, patience=20), Step("production")
    story = Story(*steps, metrics=AppConfig("web").metrics[:1])
    story.until(Phase.SOAKING)
    thin = Verdict("errors", Outcome.NO_DATA, "342 requests so far would show 6 %")
    assert story.look(31, thin) is Phase.PAUSED
    assert "342 requests so far would show 6 %" in story.why


def test_a_soak_is_cut_short_only_where_that_is_configured_and_everything_passes() -> None:
    passed = Verdict("errors", Outcome.PASS, "errors are in line")
    for earliest, verdict, begun in (
        (20.0, passed, True),
        (None, passed, False),
        (20.0, silent(), False),
        (40.0, passed, False),
    ):
        steps = Step("canary", soak=100, earliest=earliest), Step("production")
        story = Story(*steps, metrics=AppConfig("web").metrics[:1])
        story.until(Phase.SOAKING)
        assert story.look(10, verdict) is Phase.SOAKING
        story.look(15, verdict)
        assert (story.state.step == 1) is begun
        if not begun:
            story.look(80, passed)
            assert story.state.step == 1


def test_a_step_may_count_only_some_metrics() -> None:
    metrics = AppConfig("web").metrics[:2]
    steps = Step("canary", soak=0, metrics=("latency",)), Step("production", soak=0)
    story = Story(*steps, metrics=metrics)
    story.until(Phase.SOAKING)
    passed = Verdict("latency", Outcome.PASS, "in line")
    story.look(1, fail(), passed)
    assert story.state.step == 1, "errors do not count in the canary"
    assert story.look(1, fail(), passed) is Phase.REVERTING


@pytest.mark.parametrize(
    ("gate", "phase"), [(Gate.MANUAL, Phase.PAUSED), (Gate.AUTO, Phase.REVERTING)]
)
def test_what_follows_depends_on_the_gate(gate: Gate, phase: Phase) -> None:
    guard = Guarding(at_most_in=ByGate(manual=Action.PAUSE))
    story = Story(Step("canary", soak=10, gate=gate), guard=guard)
    story.until(Phase.SOAKING)
    assert story.look(1, fail()) is phase


def test_a_step_that_only_watches_does_not_need_data() -> None:
    story = Story(Step("canary", soak=0, checks=Checks.WATCH), metrics=AppConfig("web").metrics[:1])
    story.until(Phase.SUCCEEDED)


def test_no_step_waits_for_a_metric_that_is_only_watched() -> None:
    errors, *_ = AppConfig("web").metrics
    watched = structs.replace(errors, importance=Importance.WATCH)
    story = Story(Step("canary", soak=10), Step("production"), metrics=(watched,))
    story.until(Phase.SOAKING)
    story.look(11, silent())
    assert story.state.step == 1


def test_the_smoke_test_runs_once_the_nodes_have_attested() -> None:
    story = Story(Step("staging", soak=0, smoke=True), Step("production"))
    story.until(Phase.SOAKING)
    assert [e for e in story.effects if isinstance(e, RunSmoke)] == [RunSmoke("r1", 0)]
    assert story.look(99) is Phase.SOAKING
    story.send(SmokeTested(0, False, "GET / answered 500"))
    assert story.look(1) is Phase.PAUSED
    assert "smoke test of staging failed: GET / answered 500" in story.why
    story.send(Resume("alice"))
    story.look(1)
    assert story.state.step == 1


def test_a_hold_stops_the_wave_and_the_gates_but_never_a_revert() -> None:
    story = Story()
    story.look()
    front = story.state.fractions
    story.odd = {}
    story.look(1, holds=(HOLD,))
    assert story.state.fractions == front
    held = f"web is held by bob: database upgrade; `headway hold lift {HOLD.id}` lifts it"
    assert story.why == held
    assert story.send(Revert("alice", "odd")) is Phase.REVERTING
    with pytest.raises(Refused, match=held):
        Story().start(holds=(HOLD,))


def test_pausing_twice_is_harmless_and_resuming_carries_on() -> None:
    story = Story()
    story.until(Phase.SOAKING)
    story.send(Pause("alice", "a look"))
    paused = story.state
    assert story.send(Pause("bob", "me too")) is Phase.PAUSED
    assert story.state == paused
    assert story.look(9999, fail()) is Phase.PAUSED, "only a person ends a pause"
    assert story.send(Resume("alice")) is Phase.SOAKING
    story.refuses(Resume("alice"), "not paused|still soaking")


def test_a_revert_by_its_own_concurrency_falls_step_by_step() -> None:
    story = Story(Step("production", soak=0, concurrency="100%"), revert_concurrency=1)
    story.until(Phase.SUCCEEDED)
    story.send(Revert("alice", "odd"))
    fronts = [story.state.fractions.get("production")]
    story.look()
    fronts.append(story.state.fractions.get("production"))
    assert fronts == [1.0, 0.75]


def test_a_live_build_can_be_reverted_after_the_end() -> None:
    story = Story()
    story.until(Phase.SUCCEEDED)
    assert story.send(Revert("alice", "slow pages")) is Phase.REVERTING
    assert story.look(1) is Phase.REVERTED


def test_what_an_aborted_rollout_left_stays_until_reached() -> None:
    story = Story(Step("production", soak=0, share=0.5), Step("production", gate=Gate.MANUAL))
    story.until(Phase.WAITING)
    story.send(Abort("alice", "lunch"))
    left = story.state
    assert left.phase is Phase.ABORTED
    again = story.start(target=OLDER, epoch=left.epoch, predecessor=left).state
    assert again.layer.build == TARGET
    assert again.layer.fractions == {"production": 0.5}
    unfinished = structs.replace(again, fractions={"production": 0.1}, phase=Phase.ABORTED)
    with pytest.raises(Refused, match="two unfinished rollouts"):
        story.start(target=BASE, epoch=99, predecessor=unfinished)


def test_an_ended_rollout_refuses_everything_with_its_reason() -> None:
    story = Story()
    story.send(Supersede("bob", "r2"))
    for event in (Pause("a", "b"), Resume("a"), Revert("a", "b"), Abort("a", "b"), Retry("a")):
        story.refuses(event, "has ended")


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"target": BASE}, "is live already"),
        ({"fleet": FleetView()}, "no node is enrolled"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(facts, sentence) -> None:
    with pytest.raises(Refused, match=sentence):
        Story().start(**facts)


def test_a_plan_that_is_none_is_not_found() -> None:
    with pytest.raises(NotFound, match='web has no plan "fast"; it has default'):
        Story().start(plan_name="fast")


def test_a_pause_is_not_said_twice() -> None:
    story = Story()
    story.send(Pause("alice", "lunch"))
    story.refuses(Advance("bob", FleetView()), "the rollout is paused by alice: lunch; resume it")
    story.send(Retry("bob"))
    asked = "bob asks the failed nodes to try again; still paused by alice: lunch"
    assert story.why == asked
    story.refuses(Advance("bob", FleetView()), f"the rollout is paused: {asked}; resume it first")
    story.send(Retry("bob"))
    assert story.why == asked


def test_one_node_is_one_node() -> None:
    assert [words.count(n, "node") for n in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]
    assert [words.one(role) for role in ("admin", "viewer")] == ["an admin", "a viewer"]
    assert [words.ended(p) for p in (Phase.SUCCEEDED, Phase.ABORTED)] == [
        "has succeeded",
        "was aborted",
    ]
