import numpy as np
from msgspec.structs import replace

from headway.guard.counters import Arm, Counters, Sample
from headway.guard.curves import curves
from headway.model.plan import Kind, Metric
from headway.model.rollout import Phase
from headway.server.cockpit.charts import POINTS, REACH, make_charts, step_of
from tests.unit.cockpit import samples
from tests.unit.cockpit.samples import NEW, NOW, OLD

ERRORS = Metric("errors", "errors", per="requests", above=0.02)
LATENCY = Metric("latency", "seconds_spent", per="requests", kind=Kind.CONTINUOUS)


def counted() -> Counters:
    """Two nodes with a request each second: one in ten fails on the new build, none on the old."""
    counters = Counters()
    for second in range(0, 100, 5):
        for node, build, errors in (("n1", NEW, 0.5), ("n2", OLD, 0.0)):
            counts = {"requests": 5.0, "errors": errors, "seconds_spent": 1.0}
            sample = Sample("webapp", node, "production", build, counts=counts)
            counters.take(sample, NOW - 100 + second)
    return counters


def drawn(state=None, others=()):
    counters = counted()
    arms = ([Arm("webapp", "production", NEW)], [Arm("webapp", "production", OLD)])
    pairs = [("errors", "requests"), ("seconds_spent", "requests")]
    found = curves(counters, pairs, arms, NOW - REACH, 5.0)
    assert samples.rolling().rollout is not None
    state = state or samples.rolling().rollout.rollout
    return make_charts((ERRORS, LATENCY), found, state, [("deploy", state), *others], NOW)


def test_both_builds_have_their_own_curve_over_the_same_times() -> None:
    page = drawn()
    errors, latency = page.charts
    assert set(errors.new) == {0.1}
    assert set(errors.old) == {0.0}
    assert set(latency.new) == {0.2}
    assert len(page.times) == len(errors.new) == len(errors.old)
    assert (errors.share, errors.bound) == (True, 0.02)
    assert (latency.share, latency.bound) == (False, None)


def test_where_a_build_had_no_traffic_there_is_a_gap_and_no_zero() -> None:
    counters = counted()
    arms = ([Arm("webapp", "production", "nobody")], [Arm("webapp", "production", OLD)])
    found = curves(counters, [("errors", "requests")], arms, NOW - REACH, 5.0)
    assert np.isnan(found.new).all()
    assert drawn().charts[0].new.count(None) == 0


def test_a_deploy_a_change_of_configuration_and_a_revert_have_a_line_each() -> None:
    view = samples.rolling().rollout
    assert view is not None
    state = view.rollout
    gone = replace(state, id="webapp-40", phase=Phase.REVERTED, started_at=NOW - 900)
    back = replace(gone, ended_at=NOW - 600)
    config = replace(state, id="conf-3", started_at=NOW - 300)
    old = replace(state, id="webapp-1", started_at=NOW - 2 * REACH)
    others = [("deploy", back), ("config", config), ("deploy", old)]
    lines = drawn(others=others).lines
    assert [(line.kind, line.rollout) for line in lines] == [
        ("deploy", "webapp-41"),
        ("deploy", "webapp-40"),
        ("revert", "webapp-40"),
        ("config", "conf-3"),
    ]
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_however_long_the_time_the_points_are_few() -> None:
    for seconds in (5.0, 600.0, REACH, 86_400.0):
        assert seconds / step_of(seconds) <= POINTS
