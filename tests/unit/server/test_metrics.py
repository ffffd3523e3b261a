"""What Prometheus is told: what happened, how everything stands, and nothing that has no bounds."""

from typing import Any

import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from headway.errors import Conflict, Unavailable
from headway.model.access import Role
from headway.model.build import Build
from headway.model.hold import Hold, Scope
from headway.model.plan import Action, AppConfig, Checks
from headway.model.rollout import Decision, FleetView, NodeState, NodeView, Phase, Rollout
from headway.model.signal import Layer
from headway.model.verdict import Outcome, Verdict
from headway.server.api import metrics
from headway.server.decisions import Step
from headway.server.gauges import Gauges, Moment, Stand
from headway.server.metered import MeteredStore
from headway.server.meters import Meters
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from tests.unit.core.test_spans import STATE
from tests.unit.server.conftest import Web
from tests.unit.server.herd import PLAN, old_is_live_and_new_begins, set_up
from tests.unit.server.test_crier import Says

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, ...], float]


def samples(page: str, name: str) -> Samples:
    """The samples of this name: the values of their labels, in the labels' order → value."""
    return {
        tuple(value for _, value in sorted(one.labels.items())): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
        if one.name == name
    }


def shown(seen: Moment) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(seen))
    return generate_latest(registry).decode()


def moment(*stands: Stand, **more: Any) -> Moment:
    facts = {"holds": (), "queued": {}, "places": (), "journal": 7, "effects": 0, "watches": 3}
    return Moment(stands=stands, **(facts | more))


def stand(state: Rollout | None = STATE, fleet: FleetView | None = None, **more: Any) -> Stand:
    return Stand(AppConfig("web"), state, {}, False, fleet or FleetView(), **more)


def nodes(*running: str | None, state: NodeState = NodeState.DONE) -> tuple[NodeView, ...]:
    return tuple(
        NodeView(f"n{number}", "z", number / len(running), state, build)
        for number, build in enumerate(running)
    )


A, B, C = "a" * 64, "b" * 64, "c" * 64


def test_nodes_are_counted_by_tier_state_and_build() -> None:
    fleet = FleetView({"canary": nodes(A, B, B, None, C)})
    page = shown(moment(stand(fleet=fleet)))
    assert samples(page, "headway_nodes")["web", "done", "canary"] == 5
    assert samples(page, "headway_nodes")["web", "failed", "canary"] == 0
    assert samples(page, "headway_nodes_running") == {
        ("web", "a" * 12, "canary"): 1,
        ("web", "b" * 12, "canary"): 2,
        ("web", "none", "canary"): 1,
        ("web", "other", "canary"): 1,
    }


def test_whatever_nodes_claim_to_run_makes_one_series() -> None:
    strange = nodes(*(f"{number:064x}" for number in range(500)))
    page = shown(moment(stand(fleet=FleetView({"canary": strange}))))
    assert samples(page, "headway_nodes_running") == {("web", "other", "canary"): 500}


@pytest.mark.parametrize(
    ("changes", "live"),
    [
        ({}, A),
        ({"fractions": {"canary": 0.5}}, A),
        ({"fractions": {"canary": 1.0}}, B),
        ({"fractions": {"production": 1.0}}, A),
        ({"layer": Layer(C, {"canary": 1.0})}, C),
        ({"phase": Phase.SUCCEEDED, "fractions": {"canary": 1.0, "production": 1.0}}, B),
        ({"phase": Phase.REVERTED}, A),
        ({"base": None}, None),
    ],
)
def test_the_build_of_a_tier_is_what_all_of_it_is_to_run(
    changes: dict[str, Any], live: str | None
) -> None:
    known = Build(B, "web", "c0ffee", 1.0, "ci", 1, 1, 1)
    seen = Stand(
        AppConfig("web"),
        structs.replace(STATE, **changes),
        {B: known},
        False,
        FleetView({"canary": nodes(A)}),
    )
    commit = "c0ffee" if live == B else ""
    told = {("web", live[:12], commit, "canary"): 1} if live else {}
    assert samples(shown(moment(seen)), "headway_build_info") == told


def test_the_guards_word_is_told_while_it_matters() -> None:
    verdict = Verdict("errors", Outcome.FAIL, "errors are up")
    live = structs.replace(STATE, verdicts=(verdict,))
    found = samples(shown(moment(stand(live))), "headway_guard_verdict")
    assert found["web", "errors", "fail"] == 1
    assert found["web", "errors", "pass"] == 0
    over = structs.replace(live, phase=Phase.SUCCEEDED)
    page = shown(moment(stand(over)))
    assert samples(page, "headway_guard_verdict") == {}
    assert samples(page, "headway_rollout_phase")["web", "succeeded"] == 1
    assert sum(samples(page, "headway_rollout_phase").values()) == 1


def test_holds_are_counted_by_app_and_a_strange_name_is_other() -> None:
    def hold(scope: Scope, on: str) -> Hold:
        return Hold(on, scope, on, "ann", "why", 1.0)

    holds = (
        hold(Scope.APP, "web"),
        hold(Scope.TIER, "web/canary"),
        hold(Scope.NODE, "n7.example.org"),
        *(hold(Scope.APP, f"nothing-{number}") for number in range(50)),
    )
    assert samples(shown(moment(stand(), holds=holds)), "headway_holds") == {
        ("web", "app"): 1,
        ("web", "tier"): 1,
        ("other", "node"): 1,
        ("other", "app"): 50,
    }


def test_a_place_is_there_before_anything_waits_for_it() -> None:
    page = shown(moment(places=("ops",), queued={("old", True): 2}))
    assert samples(page, "headway_announcements_queued") == {
        ("ops", "waiting"): 0,
        ("ops", "dead"): 0,
        ("old", "waiting"): 0,
        ("old", "dead"): 2,
    }
    assert samples(page, "headway_journal_entries_total") == {(): 7}
    assert samples(page, "headway_signal_store_up") == {(): 1}
    assert samples(shown(moment(trouble="away")), "headway_signal_store_up") == {(): 0}


def test_hostile_names_stay_inside_their_quotes() -> None:
    hostile = 'x"} 1\nheadway_on_fire{app="y\\'
    state = structs.replace(STATE, verdicts=(Verdict(hostile, Outcome.PASS, ""),))
    fleet = FleetView({hostile: nodes(A)})
    page = shown(moment(stand(state, fleet), places=(hostile,)))
    assert samples(page, "headway_on_fire") == {("web",): 0}
    assert ("web", hostile, "pass") in samples(page, "headway_guard_verdict")
    assert ("web", "done", hostile) in samples(page, "headway_nodes")
    assert (hostile, "dead") in samples(page, "headway_announcements_queued")


async def test_what_has_happened_is_counted(plane: ControlPlane) -> None:
    """A deploy that goes well, and one that the guard sends back."""
    plane.engine._observer._judge = Says(Action.REVERT)
    plan = tuple(structs.replace(step, checks=Checks.WATCH) for step in PLAN)
    await set_up(plane, AppConfig(name="web", plans={"default": plan}))
    await plane.start()
    await old_is_live_and_new_begins(plane)
    page = (await metrics.page(plane, "")).content.decode()
    assert samples(page, "headway_deploys_total") == {
        ("web", "succeeded"): 1,
        ("web", "reverted"): 1,
        ("web", "aborted"): 0,
        ("web", "superseded"): 0,
    }
    assert samples(page, "headway_reverts_total") == {("web", "headway"): 1, ("web", "person"): 0}
    assert samples(page, "headway_deploy_seconds_count") == {("web",): 1}
    assert samples(page, "headway_revert_seconds_count") == {("web",): 1}
    assert samples(page, "headway_step_seconds_count") == {
        ("web", "succeeded", "staging"): 1,
        ("web", "succeeded", "production"): 1,
        ("web", "reverted", "staging"): 1,
    }
    assert samples(page, "headway_guard_verdicts_total")["web", "fail"] == 1
    assert samples(page, "headway_signal_store_seconds_count")["put",] > 5
    assert samples(page, "headway_holds") == {("web", "app"): 1}
    assert samples(page, "headway_build_info") == {
        ("web", "a" * 12, "c0ffee", "staging"): 1,
        ("web", "a" * 12, "c0ffee", "production"): 1,
    }
    await plane.close()


async def test_requests_are_counted_by_their_route(web: Web) -> None:
    for number in range(5):
        await web(Role.VIEWER, "GET", f"/v1/apps/nothing-{number}")
        await web(None, "GET", f"/nowhere/{number}")
        await web(None, "GET", "/v1/apps")
    page = (await web(Role.VIEWER, "GET", "/metrics")).text
    assert samples(page, "headway_http_requests_total") == {
        ("GET", "/v1/apps/{app}", "4xx"): 5,
        ("GET", "/v1/apps", "4xx"): 5,
    }


async def test_openmetrics_is_given_to_who_asks_for_it(web: Web) -> None:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = await web(Role.VIEWER, "GET", "/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = await web(Role.VIEWER, "GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain")


async def test_a_signal_store_that_fails_is_counted_and_a_lost_race_is_not() -> None:
    class Broken(MemorySignals):
        async def get(self, key: str) -> Any:
            raise Unavailable("away")

    meters = Meters()
    store = MeteredStore(Broken(), meters)
    with pytest.raises(Unavailable):
        await store.get("signals/web")
    with pytest.raises(Conflict):
        await store.put("signals/web", b"x", "7")
    page = generate_latest(meters.registry).decode()
    assert samples(page, "headway_signal_store_errors_total") == {("get", "unavailable"): 1}
    assert samples(page, "headway_signal_store_seconds_count") == {("get",): 1, ("put",): 1}


def test_time_that_ran_backwards_is_no_time() -> None:
    meters = Meters()
    after = structs.replace(STATE, phase=Phase.ABORTED)
    meters.decided(Step(STATE, Decision(after, why="x"), "ann", "abort"), STATE.started_at - 60)
    page = generate_latest(meters.registry).decode()
    assert samples(page, "headway_step_seconds_sum") == {("web", "aborted", "canary"): 0}
