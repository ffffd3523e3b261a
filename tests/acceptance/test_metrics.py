"""Headway's own metrics, as a real Prometheus reads them from a real control plane."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from headway.model.plan import Step
from headway.model.views import TokenRequest
from tests.acceptance.fleet import APP, RealFleet, real_fleet
from tests.contract.metric_servers import Metrics, prometheus
from tests.contract.store_servers import call

EXAMPLES = Path(__file__).parents[2] / "examples" / "monitoring"
ALERTS = EXAMPLES / "alerts.yml"

PLAN = (
    Step("canary", soak=0, concurrency="100%"),
    Step("production", share=0.5, soak=0, concurrency="100%"),
    Step("production", soak=0, concurrency="100%"),
)


@pytest.fixture(scope="module")
def promtool(program: Callable[[str], str]) -> str:
    return str(Path(program("prometheus")).resolve().parent / "promtool")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealFleet]:
    """A build was deployed, another one too, and that was reverted."""
    with real_fleet(tmp_path_factory.mktemp("fleet")) as made:
        made.apply(*PLAN)
        for name, tier in (("c1", "canary"), ("p1", "production"), ("p2", "production")):
            made.start_agent(name, tier)
        made.enrolled(3)
        good = made.deploy(made.publish(page="good"))
        assert made.finish(good).rollout.phase == "succeeded"
        bad = made.deploy(made.publish(page="bad"))
        made.finish(bad)
        made.headway("rollout", "revert", bad, "--reason", "a test")
        assert made.finish(bad).rollout.phase == "reverted"
        yield made


@pytest.fixture(scope="module")
def scraped(
    fleet: RealFleet, tmp_path_factory: pytest.TempPathFactory, program: Callable[[str], str]
) -> Iterator[Metrics]:
    room = tmp_path_factory.mktemp("prometheus")
    with fleet.client() as client:
        (room / "token").write_text(client.create_token(TokenRequest("scraper", "viewer")).token)
    jobs = (
        "- job_name: headway\n  authorization: {credentials_file: token}\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{fleet.port}']\n"
    )
    with prometheus(room, program("prometheus"), {}, {}, jobs=jobs) as made:
        deadline = time.monotonic() + 60
        while not asked(made, 'up{job="headway"} == 1'):
            assert time.monotonic() < deadline, call(made.server.port, "/api/v1/targets")
            time.sleep(0.2)
        yield made


def asked(made: Metrics, query: str) -> dict[tuple[str, ...], float]:
    """What a query gives: the values of all labels but where it was scraped → value."""
    answer = call(made.server.port, f"/api/v1/query?{urlencode({'query': query})}")
    rows = json.loads(answer)["data"]["result"] if answer else []
    skipped = {"__name__", "instance", "job"}
    return {
        tuple(v for k, v in sorted(row["metric"].items()) if k not in skipped): float(
            row["value"][1]
        )
        for row in rows
    }


def test_prometheus_knows_what_has_happened(fleet: RealFleet, scraped: Metrics) -> None:
    assert asked(scraped, "headway_deploys_total") == {
        (APP, "succeeded"): 2,
        (APP, "reverted"): 0,
        (APP, "aborted"): 0,
        (APP, "superseded"): 0,
    }
    assert asked(scraped, "headway_reverts_total") == {(APP, "person"): 1, (APP, "headway"): 0}
    assert asked(scraped, "headway_revert_seconds_count") == {(APP,): 1}
    steps = asked(scraped, "headway_step_seconds_count")
    assert steps == {(APP, "succeeded", "canary"): 2, (APP, "succeeded", "production"): 4}
    assert asked(scraped, "headway_rollout_phase == 1") == {(APP, "reverted"): 1}
    assert asked(scraped, "headway_holds") == {(APP, "app"): 1}
    assert asked(scraped, "headway_signal_store_up") == {(): 1}
    assert asked(scraped, 'headway_nodes{state="done"}') == {
        (APP, "done", "canary"): 1,
        (APP, "done", "production"): 2,
    }
    assert asked(scraped, "headway_engine_tick_seconds_count")[()] > 0
    assert asked(scraped, 'headway_signal_store_seconds_count{call="put"}')[("put",)] > 3
    assert asked(scraped, "process_resident_memory_bytes")[()] > 1e7


def test_the_live_build_of_a_tier_joins(fleet: RealFleet, scraped: Metrics) -> None:
    with fleet.client() as client:
        base = client.rollouts(APP)[0].base
    assert base is not None
    told = {(APP, base[:12], "abc123", tier) for tier in ("canary", "production")}
    assert set(asked(scraped, "headway_build_info")) == told
    joined = asked(
        scraped,
        "sum by (app, tier) (headway_nodes)"
        " * on (app, tier) group_left (build, commit) headway_build_info",
    )
    assert joined == {
        (APP, base[:12], "abc123", "canary"): 1,
        (APP, base[:12], "abc123", "production"): 2,
    }


def test_requests_are_counted_by_route_and_not_by_address(
    fleet: RealFleet, scraped: Metrics
) -> None:
    with fleet.client() as client:
        before = client.metrics().count("\nheadway_http_requests_total")
        for number in range(20):
            for path in (f"/v1/rollouts/none-{number}", f"/nowhere/{number}"):
                call(fleet.port, path, headers={"Authorization": f"Bearer {fleet.token}"})
        after = client.metrics()
    assert 'route="/v1/rollouts/{rollout}",status="4xx"' in after
    assert "nowhere" not in after
    assert after.count("\nheadway_http_requests_total") <= before + 3


def test_without_a_token_there_is_nothing(fleet: RealFleet) -> None:
    assert call(fleet.port, "/metrics") == ""
    with fleet.client() as client:
        assert "headway_build_info" in client.metrics()


def names(text: str) -> set[str]:
    """The metrics that a piece of PromQL, or a page of metrics, speaks of."""
    return set(re.findall(r"\b(?:headway|process|python)_[a-z_]+\b", text))


def queries() -> Iterator[str]:
    """All that the dashboard and the alerts ask."""
    board = json.loads((EXAMPLES / "dashboard.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for one in board["annotations"]["list"]:
        yield one.get("expr", "")
    for one in board["templating"]["list"]:
        yield str(one["query"])
    rules = re.findall(r"expr: (.*?)\n +(?:for|labels):", ALERTS.read_text(), re.DOTALL)
    yield from (rule.removeprefix(">-") for rule in rules)


def test_what_dashboard_and_alerts_ask_for_is_there(fleet: RealFleet) -> None:
    with fleet.client() as client:
        page = client.metrics()
    # Labelled counters of what has not gone wrong are announced, but have no sample yet.
    told = names(page)
    told |= {
        f"{name}_{part}"
        for name in re.findall(r"^# TYPE (\S+) histogram$", page, re.MULTILINE)
        for part in ("bucket", "count", "sum")
    }
    asked_for = {name for query in queries() for name in names(query)}
    assert len(asked_for) > 25
    assert asked_for <= told, asked_for - told


def test_a_name_that_is_not_there_would_be_found(fleet: RealFleet) -> None:
    with fleet.client() as client:
        assert "headway_nodes_total" not in names(client.metrics())
    assert names('rate(headway_nodes_total{app="x"}[5m])') == {"headway_nodes_total"}


def test_prometheus_understands_every_query_of_the_dashboard(scraped: Metrics) -> None:
    for query in queries():
        if query and "label_values" not in query:
            plain = query.replace("$app", ".*").replace("[1d]", "[1h]")
            path = f"/api/v1/query?{urlencode({'query': plain})}"
            assert json.loads(call(scraped.server.port, path))["status"] == "success", query


def test_promtool_finds_nothing_to_object_to(fleet: RealFleet, promtool: str) -> None:
    with fleet.client() as client:
        page = client.metrics()
    done = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run(promtool: str, room: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [promtool, *arguments]
    return subprocess.run(argv, cwd=room, capture_output=True, text=True, check=False)


def test_the_alerts_fire_when_they_should(promtool: str) -> None:
    for what, file in (("check", "alerts.yml"), ("test", "alerts_test.yml")):
        done = run(promtool, EXAMPLES, what, "rules", file)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)", (EXAMPLES / "alerts_test.yml").read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))


def test_the_example_configuration_is_one(promtool: str, tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "headway.token").write_text("hw_x")
    done = run(promtool, tmp_path, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def mutants() -> Iterator[tuple[str, str]]:
    """Every alert with another threshold, and without its patience."""
    text = ALERTS.read_text()
    for name in re.findall(r"alert: (\w+)", text):
        begin = text.index(f"alert: {name}\n")
        end = text.find("- alert: ", begin)
        rule = text[begin : end if end > 0 else None]
        asked_for = rule.partition("labels:")[0]
        changed = re.sub(r" (> |== )[0-9.]+(?=\n|$| or)", r" \g<1>12345", asked_for)
        assert changed != asked_for, name
        yield f"{name}: threshold", text.replace(asked_for, changed)
        if "for: " in rule:
            patient = re.sub(r"for: \d+m", "for: 9h", asked_for)
            yield f"{name}: patience", text.replace(asked_for, patient)


@pytest.mark.parametrize(
    ("mutant", "text"), list(mutants()), ids=lambda one: one[:40].split("\n")[0]
)
def test_an_alert_that_is_wrong_is_noticed(
    promtool: str, tmp_path: Path, mutant: str, text: str
) -> None:
    (tmp_path / "alerts.yml").write_text(text)
    shutil.copy(EXAMPLES / "alerts_test.yml", tmp_path)
    done = run(promtool, tmp_path, "test", "rules", "alerts_test.yml")
    assert done.returncode != 0, mutant
    assert mutant.partition(":")[0] in done.stdout + done.stderr
