"""Staying with a rollout: what is shown on the way, and the exit code at the end."""

import itertools
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from headway.cli import watching
from headway.client import listening
from headway.errors import Denied, Unreachable
from headway.model.rollout import Phase
from tests.unit.cli import examples
from tests.unit.cli.examples import THEN
from tests.unit.cli.fake_api import FakeApi


@pytest.fixture(autouse=True)
def at_once(headway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folding, and a clock in which looking takes its time and none of ours."""
    monkeypatch.delenv("COLUMNS")
    seconds = itertools.count(step=10.0)
    clock = SimpleNamespace(monotonic=lambda: next(seconds), time=lambda: THEN)
    monkeypatch.setattr(watching, "time", clock)
    monkeypatch.setattr(watching, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(listening, "PACE_SECONDS", 0.0)


def going(api: FakeApi, *later: Any) -> None:
    api.on("POST", "/v1/apps/web/rollouts", examples.view(Phase.ROLLING, "it begins"))
    api.on("GET", "/v1/rollouts/r17", *later)


def test_a_rollout_that_succeeds_is_exit_code_0(headway: Any, api: FakeApi) -> None:
    soaking = examples.view(Phase.SOAKING)
    going(api, soaking, soaking, examples.view(Phase.SUCCEEDED, "every step is green"))
    ended = headway("deploy", "web", "a1b2c3", "--wait")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "web a1b2c3d4e5f6: step 5 of 8, production 25%: rolling: it begins",
        "web a1b2c3d4e5f6: step 5 of 8, production 25%: soaking: all of the step has attested",
        "web a1b2c3d4e5f6: succeeded: every step is green",
    ]


@pytest.mark.parametrize("phase", [Phase.REVERTED, Phase.ABORTED, Phase.SUPERSEDED])
def test_one_that_ends_otherwise_is_exit_code_10_with_the_reason(
    headway: Any, api: FakeApi, phase: Phase
) -> None:
    going(api, examples.view(phase, "errors is 38% of 911 requests"))
    ended = headway("deploy", "web", "a1b2c3", "--wait")
    assert ended.code == 10
    assert ended.err == f"headway: the rollout of web was {phase}: errors is 38% of 911 requests\n"


def test_in_json_each_new_view_is_a_line_and_the_failure_a_problem(
    headway: Any, api: FakeApi
) -> None:
    rolling = examples.view(Phase.ROLLING, "it begins")
    more = replace(rolling, tiers=rolling.tiers[:1])
    going(api, rolling, more, more, examples.view(Phase.REVERTED, "bad"))
    ended = headway("deploy", "web", "a1b2c3", "--wait", "--json")
    views = [json.loads(line) for line in ended.out.splitlines()]
    assert [(view["rollout"]["phase"], len(view["tiers"])) for view in views] == [
        ("rolling", 4),
        ("rolling", 1),
        ("reverted", 4),
    ]
    assert json.loads(ended.err)["code"] == "rollout_failed"


@pytest.mark.parametrize(
    ("phase", "why", "sentence"),
    [
        (
            Phase.ROLLING,
            "it begins",
            "rolling: it begins; it goes on, `headway rollout status r17` shows it",
        ),
        (
            Phase.PAUSED,
            "paused by bob: lunch",
            "paused by bob: lunch; nothing moves until somebody acts, "
            "`headway rollout status r17` shows what can be done",
        ),
    ],
)
def test_a_time_out_ends_the_waiting_and_not_the_rollout(
    headway: Any, api: FakeApi, phase: Phase, why: str, sentence: str
) -> None:
    going(api, examples.view(phase, why))
    ended = headway("deploy", "web", "a1b2c3", "--timeout", "30s")
    assert ended.code == 10
    assert ended.err == f"headway: after 30 s the rollout is still {sentence}\n"
    assert {asked.method for asked in api.asked if "r17" in asked.path} == {"GET"}


def test_a_control_plane_that_comes_back_is_waited_for(headway: Any, api: FakeApi) -> None:
    gone = Unreachable("it restarts")
    going(api, gone, gone, examples.view(Phase.SUCCEEDED, "every step is green"))
    ended = headway("deploy", "web", "a1b2c3", "--wait")
    assert (ended.code, ended.err) == (0, "it restarts\n")


def test_one_that_stays_away_is_given_up(headway: Any, api: FakeApi) -> None:
    going(api, Unreachable("it is gone"))
    ended = headway("deploy", "web", "a1b2c3", "--wait")
    assert (ended.code, ended.err) == (6, "it is gone\nheadway: it is gone\n")


def test_a_token_that_was_revoked_meanwhile_ends_the_waiting(headway: Any, api: FakeApi) -> None:
    going(api, Denied("your token is gone"))
    assert headway("deploy", "web", "a1b2c3", "--wait").code == 5


def test_until_ended_says_by_its_exit_code_how_it_ended(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/apps/web", examples.APP)
    going(api, examples.view(Phase.REVERTING, "bad"), examples.view(Phase.REVERTED, "bad"))
    ended = headway("watch", "web", "--until-ended")
    assert (ended.code, ended.err) == (10, "headway: the rollout of web was reverted: bad\n")
    assert ended.out.splitlines()[-1] == "web a1b2c3d4e5f6: reverted: bad"


def test_without_a_terminal_each_change_is_a_line_through_one_rollout_after_another(
    headway: Any, api: FakeApi
) -> None:
    """An automatic revert is followed to its end, then the rollout after it, until it is enough."""
    none = replace(examples.APP, rollout=None)
    next_one = replace(examples.APP, rollout="r18")
    api.on("GET", "/v1/apps/web", none, *[examples.APP] * 4, next_one, next_one, Denied("enough"))
    rolling = examples.view(Phase.ROLLING, "it begins")
    reverting = examples.view(Phase.REVERTING, "errors is 4 %")
    reverted = examples.view(Phase.REVERTED, "errors is 4 %")
    going(api, rolling, rolling, reverting, reverted)
    api.on("GET", "/v1/rollouts/r18", examples.view(Phase.ROLLING, "the next begins"))
    ended = headway("watch", "web")
    assert ended.code == Denied.exit_code
    assert [line.rpartition("%: ")[2] for line in ended.out.splitlines()[:2]] == [
        "rolling: it begins",
        "reverting: errors is 4 %",
    ]
    assert ended.out.splitlines()[2:] == [
        "web a1b2c3d4e5f6: reverted: errors is 4 %",
        "web a1b2c3d4e5f6: step 5 of 8, production 25%: rolling: the next begins",
    ]


def test_a_time_out_needs_an_end_to_wait_for(headway: Any) -> None:
    ended = headway("watch", "web", "--timeout", "5m")
    assert (ended.code, ended.err) == (2, "headway: --timeout goes with --until-ended\n")


def test_without_a_terminal_one_of_several_apps_has_to_be_named(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/apps", [examples.APP, replace(examples.APP)])
    ended = headway("watch")
    assert ended.code == 2
    assert "name one: web, web" in ended.err


def test_no_command_but_watching_loads_the_monitor() -> None:
    names = ["deploy", "rollout", "watch", "node", "journal"]
    program = (
        "import sys; from importlib import import_module\n"
        f"for name in {names}: import_module(f'headway.cli.{{name}}')\n"
        "sys.exit('textual' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
