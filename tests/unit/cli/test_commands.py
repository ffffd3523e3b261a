"""Every command asks for the right thing, and shows the answer to people and to programs."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.builds.collect import Collected
from headway.builds.repack import Repacked
from headway.errors import InvalidInput, NotFound
from headway.model.hold import Scope
from headway.model.plan import AppConfig
from headway.model.release_views import (
    CutRequest,
    HotfixRequest,
    Notes,
    RevertRequest,
    ShiftRequest,
)
from headway.model.rollout import Phase
from headway.model.views import (
    ActionRequest,
    CollectRequest,
    DeployRequest,
    HoldRequest,
    NodeHoldRequest,
    PinRequest,
    RepackRequest,
    TokenCreated,
    TokenView,
    UserView,
    Why,
)
from tests.unit.cli import examples
from tests.unit.cli.fake_api import FakeApi

WHY = Why(("web is held by bob: the disk is swapped", "no build is newer than what is live"))
TOKEN = TokenView("ci", "deployer", examples.THEN)
USER = UserView("alice", "deployer", "password", examples.THEN, None, 2)


@pytest.fixture(autouse=True)
def answers(api: FakeApi) -> None:
    """The example values, at every route."""
    api.on("GET", "/v1/apps", [examples.APP])
    api.on("GET", "/v1/apps/web", examples.APP)
    api.on("PUT", "/v1/apps/web", examples.APP)
    api.on("GET", "/v1/apps/web/why", WHY)
    api.on("GET", "/v1/apps/web/builds", [examples.BUILD])
    api.on("GET", "/v1/apps/web/builds/a1b2c3", examples.BUILD)
    api.on("POST", "/v1/apps/web/builds/repack", Repacked(12, 1, 5_000_000))
    api.on("POST", "/v1/apps/web/builds/gc", Collected(("a" * 64,), 3, 7_000_000))
    api.on("GET", "/v1/apps/web/rollouts", [examples.rollout()])
    api.on("POST", "/v1/apps/web/rollouts", examples.view())
    api.on("GET", "/v1/rollouts/r17", examples.view())
    for action in ("advance", "pause", "resume", "revert", "abort", "retry"):
        api.on("POST", f"/v1/rollouts/r17/{action}", examples.view(Phase.PAUSED))
    api.on("POST", "/v1/rollouts/r17/sign-off", examples.view())
    api.on("GET", "/v1/apps/web/queue", examples.QUEUE)
    api.on("GET", "/v1/apps/web/releases", [examples.RELEASE])
    api.on("POST", "/v1/apps/web/releases", examples.RELEASE_VIEW)
    api.on("GET", "/v1/releases/web-r3", examples.RELEASE_VIEW)
    api.on("GET", "/v1/releases/web-r3/notes", Notes("# web-3.1\n\nEverything so far.\n"))
    api.on("GET", "/v1/releases/web-r3/suspects", examples.SUSPECTS)
    api.on("POST", "/v1/releases/web-r3/hotfix", examples.RELEASE_VIEW)
    api.on("POST", "/v1/releases/web-r3/revert", examples.RELEASE_VIEW)
    api.on("GET", "/v1/apps/web/schedule", examples.SCHEDULE)
    api.on("POST", "/v1/apps/web/freezes", examples.FREEZE)
    api.on("DELETE", "/v1/freezes/f1", None)
    api.on("POST", "/v1/apps/web/shift", examples.SCHEDULE)
    api.on("GET", "/v1/nodes", [examples.NODE])
    api.on("GET", "/v1/nodes/n1", [examples.NODE])
    api.on("DELETE", "/v1/nodes/n1", None)
    for method in ("PUT", "DELETE"):
        api.on(method, "/v1/nodes/n1/hold", [examples.NODE])
        api.on(method, "/v1/nodes/n1/pins/web", [examples.NODE])
    api.on("GET", "/v1/holds", [examples.HOLD])
    api.on("POST", "/v1/holds", examples.HOLD)
    api.on("DELETE", "/v1/holds/h3", None)
    api.on("GET", "/v1/journal", [examples.ENTRY])
    api.on("POST", "/v1/tokens", TokenCreated("ci", "deployer", "hw_secret"))
    api.on("GET", "/v1/tokens", [TOKEN])
    api.on("DELETE", "/v1/tokens/ci", None)
    api.on("GET", "/v1/users", [USER])
    api.on("PUT", "/v1/users/alice/role", USER)
    api.on("DELETE", "/v1/users/alice/sessions", None)
    api.on("DELETE", "/v1/users/alice", None)


CALLS: list[tuple[str, Any, str]] = [
    ("app list", [examples.APP], "web  0f9e8d7c6b5a  r17"),
    ("app show web", examples.APP, "errors (errors / requests): revert when above 0.02, z-score 3"),
    ("build list web", [examples.BUILD], "a1b2c3d4e5f6  9c1d7e3f5a2b"),
    ("build show web a1b2c3", examples.BUILD, "11,741 files, 183 MB"),
    ("build repack web", Repacked(12, 1, 5_000_000), "12 packs became one of 5.0 MB."),
    ("build gc web", Collected(("a" * 64,), 3, 7_000_000), "Removed 1 build and 3 packs, 7.0 MB"),
    ("build gc web --dry-run", Collected(("a" * 64,), 3, 7_000_000), "Would remove 1 build and"),
    ("deploy web a1b2c3", examples.view(), "web  a1b2c3d4e5f6 in place of 0f9e8d7c6b5a"),
    ("rollout list web", [examples.rollout()], "a1b2c3d4e5f6  soaking"),
    ("rollout status", examples.view(), "18/120  9 moving  2 failed  1 unknown"),
    ("rollout status web", examples.view(), "step 5 of 8, production 25%: soaking"),
    ("rollout status r17", examples.view(), "step 5 of 8, production 25%: soaking"),
    ("rollout pause web", examples.view(Phase.PAUSED), "paused"),
    ("node list", [examples.NODE], "production  failed  0f9e8d7c6b5a"),
    ("node show n1", [examples.NODE], "KeyError: 'DATABASE_URL'"),
    ("node logs n1", [examples.NODE], "web (a1b2c3d4e5f6): /health answered 500\nTraceback"),
    ("node why n1", [examples.NODE], "web: verify failed: /health answered 500"),
    ("node hold n1 --reason x", [examples.NODE], "web: verify failed"),
    ("node unhold n1", [examples.NODE], "web: verify failed"),
    ("node pin n1 a1b2c3", [examples.NODE], "web: verify failed"),
    ("node unpin n1 --app web", [examples.NODE], "web: verify failed"),
    ("node forget n1", {"forgotten": "n1"}, "n1 is forgotten."),
    ("hold list", [examples.HOLD], "h3  tier web/canary  bob  lifted  the canary's disk"),
    ("hold add tier web/canary --reason x", examples.HOLD, "`headway hold lift h3` lifts it"),
    ("hold lift h3", {"lifted": "h3"}, "The hold h3 is lifted."),
    ("journal", examples.ENTRY, "web  alice: step 4: 10% of production"),
    ("why web", WHY, "web is held by bob: the disk is swapped\nno build is newer"),
    ("rollout sign-off web", examples.view(), "soaking"),
    ("release cut web", examples.RELEASE_VIEW, "headway release build web-r3 --key FILE"),
    ("release list web", [examples.RELEASE], "web-r3   web-3.1  2 +1"),
    ("release show web", examples.RELEASE_VIEW, "#1207       approved  green    alice"),
    ("release show web-r3", examples.RELEASE_VIEW, "hotfix  #1207   bob"),
    ("release show", examples.RELEASE_VIEW, "against the gate: #1209: its checks still run"),
    ("release queue web", examples.QUEUE, "web: 1 change since 000000000000"),
    ("release queue", examples.QUEUE, "#1207: nobody has approved it"),
    (
        "release notes web-r3",
        Notes("# web-3.1\n\nEverything so far.\n"),
        "# web-3.1\n\nEverything so far.",
    ),
    ("release suspects web-r3", examples.SUSPECTS, "#1207   it touches src/pay.py"),
    ("release hotfix web-r3 #1209", examples.RELEASE_VIEW, "web-3.1 waits for its build"),
    ("release revert web", examples.RELEASE_VIEW, "web-3.1 waits for its build"),
    ("schedule show web", examples.SCHEDULE, "nothing begins: frozen until Mon"),
    ("schedule show", examples.SCHEDULE, "-   2026-12-23"),
    (
        "schedule freeze web --until 2026-09-22 --reason x",
        examples.FREEZE,
        "`headway schedule thaw f1`",
    ),
    ("schedule thaw f1", {"thawed": "f1"}, "The freeze f1 is over."),
    ("rota show web", examples.SCHEDULE, "alice until Mon 2026-09-21"),
    ("rota take web", examples.SCHEDULE, "by the rota"),
    ("rota hand web bob", examples.SCHEDULE, "by the rota"),
    ("token list", [TOKEN], "ci    deployer"),
    ("token revoke ci", {"revoked": "ci"}, "The token of ci is revoked."),
    ("user list", [USER], "alice  deployer  password  never      2"),
    ("user role alice deployer", USER, "alice is now deployer."),
    ("user sign-out alice", {"signed_out": "alice"}, "alice is signed out everywhere."),
    ("user remove alice", {"removed": "alice"}, "alice is removed."),
]


@pytest.mark.parametrize(("call", "value", "text"), CALLS, ids=[call for call, _, _ in CALLS])
def test_a_command_shows_its_answer_to_people_and_to_programs(
    headway: Any, api: FakeApi, call: str, value: Any, text: str
) -> None:
    if call.startswith("release") and "web-r3" not in call:
        api.on("GET", "/v1/releases/web", NotFound("there is no release web"))
    if call == "rollout status r17":
        api.on("GET", "/v1/apps/r17", NotFound("there is no app r17"))
    people = headway(*call.split())
    assert (people.code, people.err) == (0, "")
    assert text in people.out
    assert max(map(len, people.out.splitlines())) <= 80
    programs = headway(*call.split(), "--json")
    assert (programs.code, programs.err) == (0, "")
    assert programs.json == json.loads(msgspec.json.encode(value))
    assert programs.out.count("\n") == 1
    assert {asked.token for asked in api.asked} == {"t0ken"}


@pytest.mark.parametrize(
    ("call", "asked", "body"),
    [
        ("deploy web a1b2c3", "POST /v1/apps/web/rollouts", DeployRequest("a1b2c3")),
        (
            "deploy web a1b2c3 --plan hotfix --reason fire --supersede",
            "POST /v1/apps/web/rollouts",
            DeployRequest("a1b2c3", "hotfix", "fire", True),
        ),
        (
            "deploy web web-r3 --hotfix --reason fire",
            "POST /v1/apps/web/rollouts",
            DeployRequest("web-r3", reason="fire", hotfix=True),
        ),
        (
            "release cut web --until v2 --reason Monday --override fire",
            "POST /v1/apps/web/releases",
            CutRequest("v2", "Monday", "fire"),
        ),
        (
            "release hotfix web-r3 #12 abcdef1 --reason fire --override now",
            "POST /v1/releases/web-r3/hotfix",
            HotfixRequest(("#12", "abcdef1"), "fire", "now"),
        ),
        (
            "release revert web-r3 #12 --reason fire",
            "POST /v1/releases/web-r3/revert",
            RevertRequest(("#12",), "fire"),
        ),
        ("rota hand web bob --reason ill", "POST /v1/apps/web/shift", ShiftRequest("bob", "ill")),
        ("build repack web --most 3", "POST /v1/apps/web/builds/repack", RepackRequest(3)),
        ("build gc web", "POST /v1/apps/web/builds/gc", CollectRequest()),
        (
            "build gc web --keep 5 --days 3 --dry-run",
            "POST /v1/apps/web/builds/gc",
            CollectRequest(5, 3.0, True),
        ),
        ("rollout advance web", "POST /v1/rollouts/r17/advance", ActionRequest()),
        (
            "rollout revert web --reason fire --seen 3-waiting",
            "POST /v1/rollouts/r17/revert",
            ActionRequest("fire", "3-waiting"),
        ),
        ("node hold n1 --reason disk", "PUT /v1/nodes/n1/hold", NodeHoldRequest("disk")),
        ("node pin n1 a1b2c3", "PUT /v1/nodes/n1/pins/web", PinRequest("a1b2c3")),
        (
            "hold add tier web/canary --reason disk",
            "POST /v1/holds",
            HoldRequest(Scope.TIER, "web/canary", "disk"),
        ),
    ],
)
def test_a_command_asks_for_what_its_options_say(
    headway: Any, api: FakeApi, call: str, asked: str, body: msgspec.Struct
) -> None:
    assert headway(*call.split()).code == 0
    last = api.asked[-1]
    assert f"{last.method} {last.path}" == asked
    assert msgspec.json.decode(last.body, type=type(body)) == body


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("node hold n1 --reason x --for 2h", NodeHoldRequest),
        ("hold add app web --reason x --for 2h", HoldRequest),
    ],
)
def test_for_counts_from_now(headway: Any, api: FakeApi, call: str, kind: Any) -> None:
    before = time.time()
    headway(*call.split())
    until = msgspec.json.decode(api.asked[-1].body, type=kind).until
    assert before + 7200 <= until <= time.time() + 7200


def test_nodes_are_chosen_by_app_tier_and_state(headway: Any, api: FakeApi) -> None:
    assert headway("node", "list", "--app", "web").code == 0
    assert api.asked[-1].query == {"app": ["web"], "limit": ["1000"]}
    assert len(headway("node", "list", "--state", "failed", "--tier", "production", "--json").json)
    asked = {"state": ["failed"], "tier": ["production"], "limit": ["1000"]}
    assert api.asked[-1].query == asked
    api.on("GET", "/v1/nodes", [])
    assert headway("node", "list", "--state", "done").out == "No node matches.\n"
    assert headway("node", "list", "--tier", "canary", "--json").json == []


def test_logs_are_one_apps_or_all(headway: Any, api: FakeApi) -> None:
    assert examples.NODE.report is not None
    calm = msgspec.structs.replace(examples.NODE.report, error="", output="", failed=None)
    other = msgspec.structs.replace(examples.NODE, app="api", report=calm)
    new = msgspec.structs.replace(examples.NODE, app="new", report=None)
    for _ in range(3):
        api.on("GET", "/v1/nodes/n1", [examples.NODE, other, new])
    everything = headway("node", "logs", "n1").out.splitlines()
    assert everything[-2:] == ["api: nothing has failed.", "new: no report has come yet."]
    assert "  KeyError: 'DATABASE_URL'" in everything
    assert headway("node", "logs", "n1", "--app", "api").out == "api: nothing has failed.\n"
    ended = headway("node", "logs", "n1", "--app", "none")
    assert (ended.code, "does not run none" in ended.err) == (4, True)


def test_a_node_with_several_apps_needs_one_to_be_named(headway: Any, api: FakeApi) -> None:
    other = msgspec.structs.replace(examples.NODE, app="api")
    api.on("GET", "/v1/nodes/n1", [examples.NODE, other])
    ended = headway("node", "unpin", "n1")
    assert (ended.code, ended.err) == (2, "headway: n1 runs web, api: say which with --app\n")


def test_with_several_apps_status_needs_one_to_be_named(headway: Any, api: FakeApi) -> None:
    other = msgspec.structs.replace(examples.APP, config=AppConfig(name="api"))
    api.on("GET", "/v1/apps", [examples.APP, other])
    ended = headway("rollout", "status")
    assert ended.err == "headway: there are several apps, name one: web, api\n"
    api.on("GET", "/v1/apps", [])
    assert "headway app apply FILE" in headway("rollout", "status").err


def test_a_rollout_that_there_is_not_is_explained(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/apps/Nope", InvalidInput("not a name"))
    ended = headway("rollout", "status", "Nope")
    assert ended.code == 4
    assert ended.err.startswith("headway: there is neither an app nor a rollout Nope; ")
    api.on("GET", "/v1/apps/web", msgspec.structs.replace(examples.APP, rollout=None))
    assert "`headway deploy web BUILD` starts one" in headway("rollout", "status", "web").err


def test_an_apps_file_is_read_strictly(headway: Any, api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text('name = "web"\noutput = "dist"\n[[plans.default]]\ntier = "canary"\n')
    assert headway("app", "apply", str(file)).code == 0
    sent = msgspec.json.decode(api.asked[-1].body, type=AppConfig)
    assert (sent.output, [step.tier for step in sent.plans["default"]]) == ("dist", ["canary"])
    file.write_text('name = "web"\nouput = "dist"\n')
    ended = headway("app", "apply", str(file))
    assert ended.code == 2
    assert 'unknown key "ouput"; did you mean "output"?' in ended.err


def test_the_journal_goes_on_where_its_page_ended(headway: Any, api: FakeApi) -> None:
    later = msgspec.structs.replace(examples.ENTRY, seq=42, why="later")
    other = msgspec.structs.replace(examples.ENTRY, seq=43, app="api")
    events = b"".join(
        b"id: %d\nevent: journal\ndata: %b\n\n" % (entry.seq, msgspec.json.encode(entry))
        for entry in (later, other)
    )
    denied = InvalidInput("enough of it")
    api.on("GET", "/v1/events", events, denied)
    ended = headway("journal", "--follow", "--app", "web", "--json")
    assert [json.loads(line)["seq"] for line in ended.out.splitlines()] == [41, 42]
    assert ended.code == 2
    assert "ended the stream; resuming it" in ended.err


def test_following_an_app_without_entries_begins_now(headway: Any, api: FakeApi) -> None:
    api.on("GET", "/v1/journal", [examples.ENTRY], [])
    api.on("GET", "/v1/events", InvalidInput("enough of it"))
    assert headway("journal", "--follow", "--app", "api").out == ""
    newest, page, stream = api.asked
    told = {"app": ["api"], "limit": ["50"], "told": ["true"]}
    assert (newest.query, page.query) == ({"limit": ["1"]}, told)
    assert stream.last_event_id == "41"


def test_a_token_is_the_only_thing_on_standard_output(headway: Any) -> None:
    ended = headway("token", "new", "ci", "--role", "deployer")
    assert ended.out == "hw_secret\n"
    assert "shown this once" in ended.err


def test_a_token_goes_into_a_new_private_file(headway: Any, api: FakeApi, tmp_path: Path) -> None:
    out = tmp_path / "ci.token"
    ended = headway("token", "new", "ci", "--role", "deployer", "--out", str(out), "--json")
    assert ended.json == {"name": "ci", "role": "deployer", "out": str(out)}
    assert (out.read_text(), out.stat().st_mode & 0o777) == ("hw_secret\n", 0o600)
    made = len(api.asked)
    again = headway("token", "new", "ci", "--role", "deployer", "--out", str(out))
    assert (again.code, len(api.asked)) == (2, made)
    assert out.read_text() == "hw_secret\n"


def test_no_file_is_left_when_there_is_no_token(headway: Any, api: FakeApi, tmp_path: Path) -> None:
    api.on("POST", "/v1/tokens", InvalidInput("no such role"))
    out = tmp_path / "ci.token"
    assert headway("token", "new", "ci", "--role", "viewer", "--out", str(out)).code == 2
    assert not out.exists()


def test_a_new_key_is_private_and_is_never_overwritten(headway: Any, tmp_path: Path) -> None:
    path = tmp_path / "build.key"
    made = headway("key", "new", str(path), "--json").json
    assert made["public"] == f"{path}.pub"
    assert path.stat().st_mode & 0o777 == 0o600
    assert headway("key", "new", str(path)).code == 2


HOSTILE = st.text(
    st.sampled_from("ab[]/\\{}:\x00\x07\x08\r\n\t\x1b\x7f\x9b\u202e\u2066\ud800é✓"), max_size=30
)


def poisoned(value: Any, text: str) -> Any:
    """``value`` with ``text`` in every place that holds free text."""
    free = {"why", "reason", "by", "sentence", "subject", "next", "next_why", "output", "error"}
    if isinstance(value, dict):
        return {
            key: text if key in free and isinstance(inner, str) else poisoned(inner, text)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [text if isinstance(inner, str) else poisoned(inner, text) for inner in value]
    return value


@pytest.mark.parametrize(
    "call",
    [
        "rollout status web",
        "rollout list web",
        "node list",
        "node show n1",
        "node logs n1",
        "hold list",
        "build list web",
        "journal",
        "why web",
        "release show web",
        "release list web",
        "release queue web",
        "release notes web",
        "release suspects web",
        "rollout status web --json",
        "journal --json",
    ],
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=HOSTILE)
def test_no_text_from_the_network_steers_the_terminal(
    headway: Any, api: FakeApi, call: str, text: str
) -> None:
    text = text.encode("utf-8", "replace").decode()
    for place, values in list(api.answers.items()):
        if place[1] not in {"/v1/apps", "/v1/apps/web"}:
            api.answers[place] = [poisoned(msgspec.to_builtins(value), text) for value in values]
    ended = headway(*call.split())
    assert (ended.code, ended.err) == (0, "")
    assert all(char.isprintable() or char == "\n" for char in ended.out)
