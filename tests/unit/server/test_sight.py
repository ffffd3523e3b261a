"""What is looked at again only when it changed is what looking at everything would show."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from msgspec import structs

from headway.core import fleet as core
from headway.model.build import Failure
from headway.model.report import Activity, Report
from headway.model.rollout import NodeState
from headway.model.signal import NodeHold, NodeRecord, Seat, Signal
from headway.server.fleet import Fleet

A, B = "a" * 64, "b" * 64
NODES = ("n1", "n2", "n3", "n4")
SILENT_AFTER = 10.0

SIGNAL = Signal("web", 5, "web-5", A, B, {"production": 0.5}, 5, True, 1.0, "kim", "why", turned=4)

nodes = st.sampled_from(NODES)
events = st.one_of(
    st.tuples(st.just("report"), nodes, st.integers(3, 6), st.sampled_from([A, B, None])),
    st.tuples(st.just("fails"), nodes, st.integers(3, 6), st.just(A)),
    st.tuples(
        st.just("seat"), nodes, st.floats(0, 0.99), st.sampled_from(["production", "canary"])
    ),
    st.tuples(st.just("hold"), nodes, st.sampled_from([None, 3.0, 30.0]), st.just("")),
    st.tuples(st.just("forget"), nodes, st.just(0), st.just("")),
    st.tuples(st.just("leave"), nodes, st.just(0), st.just("")),
    st.tuples(st.just("return"), nodes, st.just(0), st.just("")),
    st.tuples(st.just("wait"), nodes, st.sampled_from([0.5, 4.0, 11.0]), st.just("")),
    st.tuples(st.just("signal"), nodes, st.integers(4, 7), st.sampled_from([0.0, 0.3, 1.0])),
    st.tuples(st.just("look"), nodes, st.just(0), st.just("")),
)


@given(st.lists(events, max_size=40))
def test_the_view_is_what_looking_at_everything_shows(history: list[tuple[Any, ...]]) -> None:
    fleet, now, signal, seq = Fleet(), 100.0, SIGNAL, 0
    for node in NODES[:3]:
        fleet.place(NodeRecord(node, 1, "z", {"web": Seat("production", 0.25)}))
    for kind, node, one, other in history:
        record = fleet.record(node)
        match kind:
            case "report" | "fails" if record is not None:
                seq += 1
                failed = Failure(B, 5) if kind == "fails" else None
                fleet.hear(report(node, seq, one, other, failed), now)
            case "seat":
                seats = {"web": Seat(other, one)}
                fleet.place(structs.replace(record or NodeRecord(node, 1, "z", {}), seats=seats))
            case "hold" if record is not None:
                hold = NodeHold("kim", "disk", now + one) if one else None
                fleet.place(structs.replace(record, hold=hold))
            case "forget":
                fleet.forget(node)
            case "leave":
                fleet.leave(node, now)
            case "return":
                fleet.come_back(node)
            case "wait":
                now += one
            case "signal":
                signal = structs.replace(signal, epoch=one, fractions={"production": other})
            case "look":
                signal = structs.replace(signal, why=f"at {now}", issued_at=now)
        seen = fleet.view("web", signal, now, SILENT_AFTER)
        assert seen == core.view("web", fleet.members("web"), signal, now, SILENT_AFTER)


def test_a_node_that_falls_silent_is_unknown_from_that_moment_on() -> None:
    fleet = Fleet()
    fleet.place(NodeRecord("n1", 1, "z", {"web": Seat("production", 0.0)}))
    fleet.hear(report("n1", 1, 5, B, None), 100.0)

    def state(now: float) -> NodeState:
        return fleet.view("web", SIGNAL, now, SILENT_AFTER).tiers["production"][0].state

    assert [state(at) for at in (100.0, 110.0, 110.5, 111.0)] == [
        NodeState.DONE,
        NodeState.DONE,
        NodeState.UNKNOWN,
        NodeState.UNKNOWN,
    ]
    fleet.hear(report("n1", 2, 5, B, None), 112.0)
    assert state(112.0) is NodeState.DONE


def report(node: str, seq: int, epoch: int, running: str | None, failed: Failure | None) -> Report:
    return Report(
        node, "web", "boot", seq, epoch, Activity.IDLE, running, None, "", 0.0, failed=failed
    )
