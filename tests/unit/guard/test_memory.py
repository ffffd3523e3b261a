"""What the guard keeps: enough to go on, to say it again bit for bit, and to try other settings."""

import msgspec
import numpy as np
import pytest

from headway.guard.course import Course
from headway.guard.evidence import Row, row, table
from headway.guard.record import Chunk, Record
from headway.guard.replaying import fate, replayed, variations
from headway.model.plan import Action, Direction, Guarding, Kind, Metric, Step
from headway.model.rollout import Rollout
from headway.model.verdict import Outcome, Verdict
from tests.unit.guard.traffic import ERRORS, QUICK, Traffic, app, rollout

METRICS = (
    ERRORS,
    Metric("log", "lines", per="requests", direction=Direction.BOTH, above=9.0),
    Metric("latency", "took", per="requests", kind=Kind.CONTINUOUS),
)
OLD_RATES = {"errors": 0.01, "lines": 3.0, "took": 0.2}


PLAN = (Step("canary", share=0.5), Step("canary"), Step("production"))


def at(step: int) -> Rollout:
    return msgspec.structs.replace(rollout(step=step), plan=PLAN)


def played(worse: float, seconds: int = 240, seed: int = 3) -> Traffic:
    """A rollout of two steps; the canary's errors are ``worse`` times the control's."""
    traffic = Traffic(seed, canary=200, control=800)
    traffic.before(600, **OLD_RATES)
    for step in (0, 1):
        for _ in range(seconds // 10):
            traffic.run(5, OLD_RATES | {"errors": 0.01 * worse}, OLD_RATES)
            traffic.verdicts(app(*METRICS), at(step))
    return traffic


def kept(record: Record) -> Record:
    """The record as it comes back from its bytes, chunk by chunk."""
    again = Record(record.settings)
    again.befores = record.befores
    chunk = record.chunk()
    assert chunk is not None
    record.kept(chunk)
    again.extend(msgspec.msgpack.decode(msgspec.msgpack.encode(chunk), type=Chunk))
    assert record.chunk() is None
    return again


@pytest.mark.parametrize("worse", [1.0, 5.0])
def test_every_verdict_that_was_kept_comes_out_again_bit_for_bit(worse: float) -> None:
    traffic = played(worse)
    record = traffic.guard.record("r")
    assert record is not None
    latest = tuple(traffic.verdicts(app(*METRICS), at(1)).values())
    again = replayed(kept(record), latest)
    assert len(again) > len(METRICS)
    assert all(one.same for one in again)
    outcomes = {one.said.outcome for one in again}
    assert (Outcome.FAIL in outcomes) is (worse > 1)


def test_a_replay_notices_one_bit_in_one_number() -> None:
    """The mutant of the promise: nothing but the same numbers gives the same verdicts."""
    traffic = played(5.0)
    record = traffic.guard.record("r")
    assert record is not None
    latest = tuple(traffic.verdicts(app(*METRICS), at(1)).values())
    again = kept(record)
    middle = again.looks[len(again.looks) // 2].copy()
    middle[0, 0] = np.nextafter(middle[0, 0] + 1.0, np.inf)
    again.looks[len(again.looks) // 2] = middle
    assert not all(one.same for one in replayed(again, latest))


def test_after_a_restart_the_evidence_goes_on_where_it_was() -> None:
    traffic = played(1.5, seconds=120)
    record = traffic.guard.record("r")
    assert record is not None
    course = Course.resumed(kept(record))
    before = traffic.guard.course("r")
    assert before is not None
    assert course.verdicts() == before.verdicts()
    traffic.run(5, OLD_RATES, OLD_RATES)
    scene_of = at(1)
    first = traffic.verdicts(app(*METRICS), scene_of)
    traffic.guard._courses["r"] = course
    second = traffic.verdicts(app(*METRICS), scene_of)
    assert first == second


def test_rows_come_back_from_their_array() -> None:
    rows = [Row(1.0, 2.0, 3.0, 4.0), Row(1.0, 2.0, 3.0, 4.0, 0.5, (1.0, 2.0))]
    assert [row(values) for values in table(rows)] == rows


def test_other_settings_would_have_done_something_else() -> None:
    traffic = played(1.6)
    record = traffic.guard.record("r")
    assert record is not None
    as_it_is = fate(record, METRICS, QUICK)
    assert as_it_is.action is Action.REVERT
    tolerant = tuple(msgspec.structs.replace(m, min_effect=1.0) for m in METRICS)
    assert fate(record, tolerant, QUICK).action is None
    timid = msgspec.structs.replace(QUICK, at_most=Action.PAUSE)
    assert fate(record, METRICS, timid).action is Action.PAUSE
    bold = msgspec.structs.replace(QUICK, false_alarms=0.2)
    bolder = fate(record, METRICS, bold)
    assert bolder.after is not None
    assert as_it_is.after is not None
    assert bolder.after <= as_it_is.after


def test_a_metric_whose_numbers_were_not_kept_is_left_out() -> None:
    traffic = played(1.0, seconds=60)
    record = traffic.guard.record("r")
    assert record is not None
    new = (*METRICS, Metric("queue", "queue", kind=Kind.CONTINUOUS, above=0.0))
    assert fate(record, new, QUICK) == fate(record, METRICS, QUICK)


def test_the_present_settings_are_the_first_that_are_tried() -> None:
    first, *others = variations(METRICS, Guarding())
    assert (first.metrics, first.guard) == (METRICS, Guarding())
    assert len(others) >= 8


def test_verdicts_that_are_no_news_are_not_kept() -> None:
    traffic = played(1.0)
    record = traffic.guard.record("r")
    assert record is not None
    said: dict[str, Verdict] = {}
    for told in record.told:
        before = said.get(told.verdict.metric)
        assert before is None or before.outcome is not told.verdict.outcome
        said[told.verdict.metric] = told.verdict
    assert len(record.told) < len(record.looks)
