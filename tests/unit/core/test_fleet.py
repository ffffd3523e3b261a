"""When a node counts as settled: only by a report that leaves no doubt where it is going."""

import pytest
from msgspec import structs

from headway.core.fleet import Member, see
from headway.model.build import Failure
from headway.model.report import Activity, Report
from headway.model.rollout import NodeState
from headway.model.signal import NodeHold, NodeRecord, Seat, Signal

BASE, TARGET = "b" * 64, "a" * 64
RECORD = NodeRecord("n1", 1, "east", {"web": Seat("production", 0.5)})
REVERTING = Signal(
    app="web",
    epoch=9,
    rollout="r",
    base=BASE,
    target=TARGET,
    fractions={"production": 0.25},
    attempt=7,
    prepare=False,
    issued_at=0.0,
    by="alice",
    why="",
    turned=7,
)
REPORT = Report(
    node="n1",
    app="web",
    boot="boot",
    seq=1,
    epoch=9,
    activity=Activity.IDLE,
    running=BASE,
    prepared=TARGET,
    why="",
    at=100.0,
)


def state(**facts: object) -> NodeState:
    member = Member(RECORD, structs.replace(REPORT, **facts), 100.0)
    return see("web", member, REVERTING, 101.0, 15.0).state


@pytest.mark.parametrize(
    ("epoch", "activity", "expected"),
    [
        (9, Activity.IDLE, NodeState.DONE),
        (7, Activity.IDLE, NodeState.DONE),
        (6, Activity.IDLE, NodeState.MOVING),
        (9, Activity.FETCHING, NodeState.DONE),
        (9, Activity.PREPARING, NodeState.DONE),
        (8, Activity.FETCHING, NodeState.MOVING),
        (9, Activity.DRAINING, NodeState.MOVING),
        (7, Activity.RESTARTING, NodeState.MOVING),
    ],
)
def test_the_right_build_alone_is_not_enough(epoch, activity, expected) -> None:
    assert state(epoch=epoch, activity=activity) is expected


def test_another_build_is_never_settled() -> None:
    assert state(running=TARGET) is NodeState.MOVING
    assert state(running=None) is NodeState.MOVING


def test_what_failed_is_named_until_it_may_try_again() -> None:
    assert state(running=TARGET, failed=Failure(BASE, 7)) is NodeState.FAILED


def test_a_failed_node_that_has_not_heard_who_may_try_again_may_be_away() -> None:
    asked = structs.replace(REVERTING, attempt=9, retry={"production": 0.0})
    for epoch, away in ((8, True), (9, False)):
        report = structs.replace(REPORT, epoch=epoch, failed=Failure(BASE, 7))
        seen = see("web", Member(RECORD, report, 100.0), asked, 101.0, 15.0)
        assert (seen.state, seen.away) == (NodeState.FAILED, away)


@pytest.mark.parametrize("activity", Activity)
def test_a_failed_node_is_away_until_it_serves_again(activity: Activity) -> None:
    report = structs.replace(REPORT, activity=activity, failed=Failure(BASE, 7))
    seen = see("web", Member(RECORD, report, 100.0), REVERTING, 101.0, 15.0)
    serves = {Activity.IDLE, Activity.FETCHING, Activity.PREPARING}
    assert (seen.state, seen.away) == (NodeState.FAILED, activity not in serves)


def test_a_node_that_has_not_heard_that_its_hold_is_gone_is_not_settled() -> None:
    """Held, it kept the target; without the hold an earlier signal may send it elsewhere."""
    released = structs.replace(RECORD, serial=5)
    for serial, expected in ((4, NodeState.MOVING), (5, NodeState.DONE), (0, NodeState.DONE)):
        report = structs.replace(REPORT, serial=serial)
        assert see("web", Member(released, report, 100.0), REVERTING, 101.0, 15.0).state is expected


def test_silence_is_unknown_and_a_hold_is_a_hold() -> None:
    assert see("web", Member(RECORD, REPORT, 80.0), REVERTING, 101.0, 15.0).state is (
        NodeState.UNKNOWN
    )
    assert see("web", Member(RECORD), REVERTING, 101.0, 15.0).state is NodeState.UNKNOWN
    held = structs.replace(RECORD, hold=NodeHold("bob", "disk swap"))
    assert see("web", Member(held), REVERTING, 101.0, 15.0).state is NodeState.HELD
