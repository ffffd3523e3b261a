"""The guard catches what is bad, and keeps fault, incident, silence and thin evidence apart."""

import msgspec
import pytest

from headway.guard.counters import RESTARTS
from headway.guard.course import FIRST_LOOKS
from headway.guard.evidence import Evidence, replay
from headway.guard.watch import WATCHED
from headway.model.plan import Action, Direction, Guarding, Importance, Kind, Metric
from headway.model.rollout import Phase
from headway.model.verdict import Outcome
from tests.unit.guard.test_counters import NEW, report
from tests.unit.guard.traffic import BEGIN, ERRORS, Traffic, app, judged, rollout


def test_more_errors_than_control_revert_with_a_number() -> None:
    traffic = Traffic(1)
    traffic.before(300, errors=0.01)
    verdict = judged(traffic, 90, canary=0.06, control=0.01)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.REVERT
    assert verdict.score is not None
    assert verdict.limit == pytest.approx(100.0)
    assert verdict.score >= verdict.limit
    assert "× control" in verdict.sentence
    assert "e-value" in verdict.sentence
    assert "≥ 100" in verdict.sentence


def test_a_healthy_canary_passes_once_a_fault_would_have_shown() -> None:
    traffic = Traffic(2)
    traffic.before(300, errors=0.01)
    early = judged(traffic, 10, canary=0.01, control=0.01)
    assert early.outcome is Outcome.NO_DATA
    assert "requests so far would show" in early.sentence
    assert "must be seen, it takes about" in early.sentence
    late = judged(traffic, 240, canary=0.01, control=0.01)
    assert late.outcome is Outcome.PASS
    assert "< 100" in late.sentence


def test_too_little_traffic_never_passes() -> None:
    traffic = Traffic(3, canary=0.3)
    traffic.before(300, errors=0.01)
    for _ in range(20):
        verdict = judged(traffic, 30, canary=0.0, control=0.01)
        assert verdict.outcome is Outcome.NO_DATA


def test_errors_that_were_never_seen_count_as_none() -> None:
    """Neither arm has the counter at all: with traffic, that is 0 and no gap."""
    traffic = Traffic(4)
    traffic.before(300)
    for _ in range(30):
        traffic.run(5, {}, {})
        verdict = traffic.verdicts()["errors"]
    assert verdict.outcome is Outcome.PASS


def test_errors_that_only_the_canary_has_are_caught() -> None:
    traffic = Traffic(5)
    traffic.before(300)
    verdict = judged(traffic, 60, canary=0.05, control=0.0)
    assert verdict.outcome is Outcome.FAIL
    assert "where control has none" in verdict.sentence


def test_both_arms_moving_is_an_incident_that_pauses() -> None:
    traffic = Traffic(6)
    traffic.before(600, errors=0.01)
    verdict = judged(traffic, 90, canary=0.08, control=0.08)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.PAUSE
    assert "an incident, not this build" in verdict.sentence


def test_what_was_before_the_deploy_is_remembered_through_a_long_one() -> None:
    """The counters reach back half an hour; the canary alone is watched for longer."""
    traffic = Traffic(28)
    traffic.before(600, errors=0.01)
    judged(traffic, 2400, canary=0.01, control=0.01)
    traffic.run(5, {"errors": 0.01}, {"errors": 0.01})
    traffic.verdicts(state=rollout(step=1))
    (evidence,) = traffic.guard.evidence("r")
    assert evidence.stretches[-1].tier == "production"
    assert evidence.stretches[-1].before


def test_a_canary_far_worse_than_an_incident_is_to_blame() -> None:
    traffic = Traffic(7)
    traffic.before(600, errors=0.01)
    verdict = judged(traffic, 90, canary=0.30, control=0.03)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.REVERT


def test_the_old_builds_errors_are_not_the_new_ones() -> None:
    traffic = Traffic(8)
    traffic.before(600, errors=0.01)
    verdict = judged(traffic, 90, canary=0.01, control=0.10)
    assert verdict.outcome is not Outcome.FAIL


@pytest.mark.parametrize(
    ("importance", "outcome"),
    [(Importance.CRITICAL, Outcome.FAIL), (Importance.ORDINARY, Outcome.NO_DATA)],
)
def test_a_silent_canary_beside_a_live_control(importance: Importance, outcome: Outcome) -> None:
    metric = msgspec.structs.replace(ERRORS, importance=importance)
    traffic = Traffic(9)
    traffic.before(300, errors=0.01)
    traffic.run(10, {}, {})
    traffic.verdicts(app(metric))
    traffic.silent = {"canary"}
    for _ in range(10):
        traffic.run(5, {}, {})
        verdict = traffic.verdicts(app(metric))["errors"]
    assert verdict.outcome is outcome
    assert "silent" in verdict.sentence


def test_silence_of_both_is_no_data() -> None:
    traffic = Traffic(10)
    traffic.before(300, errors=0.01)
    traffic.verdicts()
    traffic.silent = {"canary", "production"}
    for _ in range(20):
        traffic.run(5, {}, {})
        verdict = traffic.verdicts()["errors"]
    assert verdict.outcome is Outcome.NO_DATA
    assert "neither build" in verdict.sentence


def test_a_step_whose_nodes_have_not_come_yet_is_not_silent() -> None:
    traffic = Traffic(11)
    traffic.before(300, errors=0.01)
    traffic.silent = {"canary"}
    for _ in range(20):
        traffic.run(5, {}, {"errors": 0.01})
        verdict = traffic.verdicts(state=rollout(phase=Phase.ROLLING))["errors"]
    assert verdict.outcome is Outcome.NO_DATA


def test_a_first_blip_after_the_restart_is_left_out() -> None:
    config = app(guard=Guarding(warmup=20.0))
    traffic = Traffic(12)
    traffic.verdicts(config)
    traffic.before(600, errors=0.01)
    for canary in [0.5] * 4 + [0.01] * 30:
        traffic.run(5, {"errors": canary}, {"errors": 0.01})
        verdict = traffic.verdicts(config)["errors"]
        assert verdict.outcome is not Outcome.FAIL
    assert verdict.outcome is Outcome.PASS


def test_one_bad_bucket_convicts_nobody() -> None:
    traffic = Traffic(13)
    traffic.before(600, errors=0.01)
    judged(traffic, 60, canary=0.01, control=0.01)
    assert judged(traffic, 5, canary=0.9, control=0.01).outcome is not Outcome.FAIL
    assert judged(traffic, 420, canary=0.01, control=0.01).outcome is Outcome.PASS


def test_nodes_that_always_had_more_errors_are_held_against_themselves() -> None:
    """The canary tier serves other users: its errors were five times the others' before."""
    traffic = Traffic(14)
    traffic.now = BEGIN - 900
    traffic.run(900, {"errors": 0.05}, {"errors": 0.01})
    traffic.builds["canary"], traffic.totals["canary"] = NEW, {}
    assert judged(traffic, 150, canary=0.05, control=0.01).outcome is Outcome.PASS
    assert judged(traffic, 60, canary=0.20, control=0.01).outcome is Outcome.FAIL


LINE = Metric("errors", "errors", per="requests", compare=False, above=0.02)


def test_a_fixed_line_allows_for_chance() -> None:
    traffic = Traffic(15)
    traffic.before(300, errors=0.0)
    for _ in range(60):
        traffic.run(5, {"errors": 0.019}, {"errors": 0.0})
        assert traffic.verdicts(app(LINE))["errors"].outcome is not Outcome.FAIL
    for _ in range(12):
        traffic.run(5, {"errors": 0.08}, {"errors": 0.0})
    verdict = traffic.verdicts(app(LINE))["errors"]
    assert verdict.outcome is Outcome.FAIL
    assert "above 2 %" in verdict.sentence


def test_a_line_that_the_old_build_breaks_too_is_an_incident() -> None:
    metric = msgspec.structs.replace(LINE, compare=True, importance=Importance.CRITICAL)
    traffic = Traffic(16)
    traffic.before(300, errors=0.08)
    for _ in range(20):
        traffic.run(5, {"errors": 0.08}, {"errors": 0.08})
    verdict = traffic.verdicts(app(metric))["errors"]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.PAUSE


def test_traffic_that_vanishes_is_seen_by_a_rate() -> None:
    metric = Metric("traffic", "requests", direction=Direction.DOWN, action=Action.PAUSE)
    traffic = Traffic(17)
    traffic.before(600)
    traffic.requests["canary"] = 4.0
    for _ in range(20):
        traffic.run(5, {}, {})
    verdict = traffic.verdicts(app(metric))["traffic"]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.PAUSE


def test_a_slower_build_is_caught() -> None:
    metric = Metric("latency", "took", per="requests", kind=Kind.CONTINUOUS)
    traffic = Traffic(18, canary=400, control=4000)
    traffic.before(900, took=0.2)
    for _ in range(60):
        traffic.run(5, {"took": 0.2}, {"took": 0.2})
        verdict = traffic.verdicts(app(metric))["latency"]
    assert verdict.outcome is Outcome.PASS
    for _ in range(10):
        traffic.run(5, {"took": 0.3}, {"took": 0.2})
    verdict = traffic.verdicts(app(metric))["latency"]
    assert verdict.outcome is Outcome.FAIL
    assert "× control" in verdict.sentence


def test_without_an_old_build_a_change_only_pauses() -> None:
    metric = msgspec.structs.replace(ERRORS, zscore=4.0)
    traffic = Traffic(19)
    traffic.before(600, errors=0.01)
    traffic.builds["production"], traffic.totals["production"] = NEW, {}
    for _ in range(20):
        traffic.run(5, {"errors": 0.2}, {"errors": 0.2})
        verdict = traffic.verdicts(app(metric))["errors"]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is Action.PAUSE
    assert "no old build is left" in verdict.sentence


def test_a_first_build_has_nothing_to_be_compared_with() -> None:
    traffic = Traffic(20)
    traffic.builds = {"canary": NEW, "production": NEW}
    for _ in range(20):
        traffic.run(5, {"errors": 0.01}, {"errors": 0.01})
        verdict = traffic.verdicts(state=rollout(base=None))["errors"]
    assert verdict.outcome is Outcome.NO_DATA
    assert "no old build" in verdict.sentence


def test_what_is_no_number_is_an_error_and_never_a_pass() -> None:
    traffic = Traffic(21)
    traffic.before(300, errors=0.01)
    judged(traffic, 120, canary=0.01, control=0.01)
    traffic.totals["canary"]["errors"] = float("inf")
    traffic.run(5, {}, {})
    verdict = traffic.verdicts()["errors"]
    assert verdict.outcome is Outcome.ERROR
    assert "cannot be read" in verdict.sentence


@pytest.mark.parametrize(
    ("importance", "at_most", "expected"),
    [
        (Importance.CRITICAL, Action.REVERT, Action.REVERT),
        (Importance.CRITICAL, Action.PAUSE, Action.PAUSE),
        (Importance.ORDINARY, Action.ALERT, Action.ALERT),
        (Importance.WATCH, Action.REVERT, Action.ALERT),
    ],
)
def test_what_follows_is_the_weakest_of_metric_and_app(
    importance: Importance, at_most: Action, expected: Action
) -> None:
    metric = msgspec.structs.replace(ERRORS, importance=importance)
    config = app(metric, guard=Guarding(warmup=0.0, at_most=at_most))
    traffic = Traffic(22)
    traffic.before(300, errors=0.01)
    for _ in range(20):
        traffic.run(5, {"errors": 0.1}, {"errors": 0.01})
    verdict = traffic.verdicts(config)["errors"]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.action is expected


def test_a_verdict_is_replayed_bit_for_bit_from_its_stored_evidence() -> None:
    """Three metrics judged together, each replayed alone, after a trip through its bytes."""
    metrics = (
        ERRORS,
        Metric("log", "lines", per="requests", direction=Direction.BOTH, above=9.0),
        Metric("latency", "took", per="requests", kind=Kind.CONTINUOUS),
    )
    config = app(*metrics)
    traffic = Traffic(23, canary=200, control=800)
    traffic.before(600, errors=0.01, lines=3.0, took=0.2)
    outcomes = set()
    for step, worse in ((0, 1.0), (1, 1.0), (1, 1.3), (2, 1.3)):
        for _ in range(6):
            old = {"errors": 0.01, "lines": 3.0, "took": 0.2}
            new = {name: share * worse for name, share in old.items()}
            traffic.run(5, new, old)
            verdicts = traffic.verdicts(config, rollout(step=step))
            for evidence in traffic.guard.evidence("r"):
                stored = msgspec.json.encode(evidence)
                again = replay(msgspec.json.decode(stored, type=Evidence))
                assert again == verdicts[evidence.metric.name]
                outcomes.add(again.outcome)
    assert Outcome.NO_DATA in outcomes
    assert Outcome.PASS in outcomes


def test_replay_depends_on_the_settings() -> None:
    traffic = Traffic(24)
    traffic.before(300, errors=0.01)
    judged(traffic, 90, canary=0.06, control=0.01)
    (evidence,) = traffic.guard.evidence("r")
    assert replay(evidence).outcome is Outcome.FAIL
    strict = msgspec.structs.replace(evidence.allowance, control=1e-300)
    assert replay(msgspec.structs.replace(evidence, allowance=strict)).outcome is not Outcome.FAIL


def test_memory_is_bounded_in_rollouts_and_looks() -> None:
    traffic = Traffic(25)
    for index in range(WATCHED * 2):
        state = msgspec.structs.replace(rollout(), id=f"r{index}")
        traffic.verdicts(state=state)
    assert not traffic.guard.evidence("r0")
    assert traffic.guard.evidence(f"r{WATCHED * 2 - 1}")
    hours = 3
    for _ in range(hours * 60):
        traffic.run(60, {}, {})
        traffic.verdicts()
    (evidence,) = traffic.guard.evidence("r")
    looks = sum(len(stretch.ticks) for stretch in evidence.stretches)
    assert looks <= FIRST_LOOKS + hours * 60


def test_new_settings_begin_anew() -> None:
    traffic = Traffic(26)
    traffic.before(300, errors=0.01)
    judged(traffic, 60, canary=0.01, control=0.01)
    other = msgspec.structs.replace(ERRORS, detect=3.0)
    traffic.verdicts(app(other))
    (evidence,) = traffic.guard.evidence("r")
    assert evidence.metric == other


def test_an_app_that_watches_nothing_has_no_verdicts_and_no_record() -> None:
    traffic = Traffic(27)
    traffic.before(300, errors=0.01)
    nothing = msgspec.structs.replace(app(), metrics=())
    for _ in range(5):
        traffic.run(5, {}, {})
        assert (
            traffic.guard.judge(nothing, msgspec.structs.replace(rollout(), id="n"), traffic.now)
            == ()
        )
        assert traffic.guard.patrol(nothing, traffic.now) == ()
    assert traffic.guard.record("n") is None


def test_an_optional_metric_is_left_out_until_its_counter_was_heard() -> None:
    took = Metric("took", "took", per="requests", kind=Kind.CONTINUOUS, optional=True)
    traffic = Traffic(29)
    traffic.before(60, errors=0.01)
    assert traffic.guard.watched(app(ERRORS, took)).metrics == (ERRORS,)
    traffic.run(10, {"took": 1.0}, {"took": 1.0})
    assert traffic.guard.watched(app(ERRORS, took)).metrics == (ERRORS, took)


def test_a_level_is_judged_by_its_mean_over_time() -> None:
    """A queue that is three times as long on the canary, told as what it stands at."""
    queue = Metric("queue", "queue", kind=Kind.CONTINUOUS)
    config = msgspec.structs.replace(app(queue), levels=("queue",))
    traffic = Traffic(30)
    traffic.guard.configure(config)
    traffic.now = BEGIN - 600

    def run(seconds: int, worse: float) -> None:
        for _ in range(seconds):
            traffic.now += 1.0
            for tier, factor in (("canary", worse), ("production", 1.0)):
                level = 50 * factor * traffic.random.lognormal(0, 0.2)
                said = report(traffic.builds[tier], node=tier, queue=level)
                traffic.guard.ingest(said, tier, traffic.now)

    run(600, 1.0)
    traffic.builds["canary"] = NEW
    for _ in range(30):
        run(5, 3.0)
        verdict = traffic.verdicts(config)["queue"]
    assert verdict.outcome is Outcome.FAIL
    assert verdict.value == pytest.approx(150, rel=0.2)


def test_restarts_of_nodes_count_without_any_configuration() -> None:
    traffic = Traffic(31)
    traffic.before(60)
    for _ in range(10):
        traffic.run(10, {}, {})
        traffic.totals["canary"] = {}
    arms = traffic.guard.counters.arms("web", NEW)
    buckets = traffic.guard.counters.buckets(arms, 0.0)
    assert sum(bucket.sums.get(RESTARTS, 0.0) for bucket in buckets) == 9


def test_what_is_about_to_fail_does_not_pass_meanwhile() -> None:
    """Traffic that would show a larger fault is no reason to pass a smaller one that grows."""
    metric = msgspec.structs.replace(ERRORS, floor=0.4)
    doubted = 0
    for seed in range(12):
        traffic = Traffic(100 + seed, canary=6, control=360)
        traffic.before(120, errors=0.0)
        near = False
        for _ in range(24):
            traffic.run(5, {"errors": 0.12}, {"errors": 0.0})
            verdict = traffic.verdicts(app(metric))["errors"]
            doubted += "too much to pass" in verdict.sentence
            near = near or (verdict.score or 0.0) >= 0.5 * (verdict.limit or 1.0)
            if near:
                assert verdict.outcome is not Outcome.PASS
            if verdict.outcome is Outcome.FAIL:
                break
        assert verdict.outcome is Outcome.FAIL
    assert doubted
