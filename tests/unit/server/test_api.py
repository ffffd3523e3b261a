import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.builds import attestation, layout
from headway.builds.frames import compress
from headway.model.access import Role
from headway.model.build import Build
from headway.model.views import Problem
from headway.server.api.store import parse_range
from headway.signing import Signer
from tests.unit.server.conftest import BUILD_KEY, Web
from tests.unit.server.herd import NEW, OLD, PLAN

pytestmark = pytest.mark.anyio

V, D, A, N = Role.VIEWER, Role.DEPLOYER, Role.ADMIN, Role.NODE
WEB: dict[str, Any] = {"name": "web", "plans": {"default": msgspec.to_builtins(PLAN)}}


def problem(response: Any, status: int, code: str) -> str:
    """The sentence of an error that has exactly the shape of a Problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    found = msgspec.json.decode(response.content, type=Problem)
    assert (found.status, found.code) == (status, code)
    assert "Traceback" not in found.sentence
    return found.sentence


@pytest.fixture
async def app(web: Web) -> Web:
    assert (await web(A, "PUT", "/v1/apps/web", json=WEB)).status_code == 200
    return web


@pytest.fixture
async def node(app: Web) -> Web:
    enrolment = {"node": "n1", "zone": "z", "tiers": {"web": "staging"}}
    assert (await app(N, "POST", "/v1/node/enrol", json=enrolment)).status_code == 204
    return app


def report(**changes: Any) -> dict[str, Any]:
    return {
        "node": "n1",
        "app": "web",
        "boot": "b1",
        "seq": 1,
        "epoch": 0,
        "activity": "idle",
        "running": None,
        "prepared": None,
        "why": "idle",
        "at": 1.0,
    } | changes


MANIFEST = b"[]"


def made(app: str = "web", signer: Signer = BUILD_KEY) -> tuple[Build, bytes]:
    from hashlib import sha256

    build = Build(sha256(MANIFEST).hexdigest(), app, "c0ffee", 1.0, "ci", 1, 2, 3)
    return build, attestation.seal(build, signer)


async def test_an_app_is_set_up_shown_and_changed(app: Web) -> None:
    shown = (await app(V, "GET", "/v1/apps/web")).json()
    assert (shown["config"]["name"], shown["live"], shown["rollout"]) == ("web", None, None)
    assert [a["config"]["name"] for a in (await app(V, "GET", "/v1/apps")).json()] == ["web"]
    assert (await app(A, "PUT", "/v1/apps/web", json=WEB)).status_code == 200
    entries = (await app(V, "GET", "/v1/journal?app=web")).json()
    assert [entry["why"] for entry in entries] == ["the-admin sets up web"]
    why = (await app(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    assert "never deployed" in why[0]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/apps/other", WEB, "of web"),
        ("/v1/apps/web", {"name": "web", "plan": {}}, "plan"),
        ("/v1/apps/Web", {"name": "Web"}, "regex"),
        ("/v1/apps/web", {"name": "web", "silent_after": -1}, "silent_after"),
        ("/v1/apps/web", {"name": "web", "plans": {"x": []}}, '"x" has no steps'),
        (
            "/v1/apps/web",
            {"name": "web", "plans": {"x": [{"tier": "a", "share": 0.5}]}},
            "stops at 50 %",
        ),
        ("/v1/apps/web", [1, 2], "object"),
        ("/v1/apps/web", None, ""),
    ],
)
async def test_a_configuration_that_makes_no_sense_is_explained(
    web: Web, path: str, body: Any, said: str
) -> None:
    sentence = problem(await web(A, "PUT", path, json=body), 400, "invalid")
    assert said in sentence


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"name":"web"', b"nul"])
async def test_a_body_that_is_no_json_is_a_problem(web: Web, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    problem(await web(A, "PUT", "/v1/apps/web", content=body, headers=headers), 400, "invalid")


async def test_a_body_that_is_too_large_is_a_problem(web: Web) -> None:
    body = b'{"name": "' + b"x" * (1024 * 1024 + 1) + b'"}'
    problem(await web(A, "PUT", "/v1/apps/web", content=body), 413, "too_large")


async def test_what_does_not_exist_is_a_problem(app: Web) -> None:
    for path in (
        "/v1/nope",
        "/nope",
        "/v1/apps/nope",
        "/v1/apps/nope/why",
        "/v1/apps/nope/builds",
        "/v1/apps/nope/rollouts",
        "/v1/apps/web/builds/abcdef",
        "/v1/rollouts/web-1",
        "/v1/nodes/nope",
        "/v1/nodes?app=nope",
        "/v1/journal?app=nope",
        "/v1/journal?rollout=web-9",
        "/v1/store/nope",
        "/v1/apps/%27%3B%20DROP",
        "/v1/apps/%00",
        "/v1/rollouts/%F0%9F%92%A9",
    ):
        assert problem(await app(V, "GET", path), 404, "not_found")
    problem(await app(A, "DELETE", "/v1/nodes/nope"), 404, "not_found")
    problem(await app(A, "DELETE", "/v1/holds/nope"), 404, "not_found")
    problem(await app(D, "PATCH", "/v1/apps/web"), 405, "refused")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=99999",
        "after=-1",
        "after=x",
        "after=99999999999999999999",
    ],
)
async def test_a_query_out_of_bounds_is_a_problem(app: Web, query: str) -> None:
    problem(await app(V, "GET", f"/v1/journal?{query}"), 400, "invalid")


async def test_a_published_build_is_registered_once(app: Web) -> None:
    build, envelope = made()
    early = await app(D, "POST", "/v1/apps/web/builds", content=envelope)
    assert "publish it first" in problem(early, 409, "refused")
    frame = b"".join(compress([MANIFEST], len(MANIFEST)))
    path = f"/v1/store/{layout.manifest('web', build.id)}"
    assert (await app(D, "PUT", path, content=frame)).status_code == 204
    for _ in range(2):
        response = await app(D, "POST", "/v1/apps/web/builds", content=envelope)
        assert response.status_code == 201
        assert msgspec.json.decode(response.content, type=Build) == build
    assert len((await app(V, "GET", "/v1/apps/web/builds")).json()) == 1
    assert (await app(V, "GET", f"/v1/apps/web/builds/{build.id[:6]}")).json()["id"] == build.id
    problem(await app(V, "GET", f"/v1/apps/web/builds/{build.id[:5]}"), 400, "invalid")
    problem(await app(V, "GET", "/v1/apps/web/builds/%25%25%25%25%25%25"), 400, "invalid")
    kinds = [e["kind"] for e in (await app(V, "GET", "/v1/journal")).json()]
    assert kinds.count("build") == 1


async def test_a_build_that_nobody_trusted_has_signed_is_refused(app: Web) -> None:
    _, envelope = made(signer=Signer.generate())
    problem(await app(D, "POST", "/v1/apps/web/builds", content=envelope), 422, "untrusted")
    _, envelope = made(app="other")
    problem(await app(D, "POST", "/v1/apps/web/builds", content=envelope), 422, "untrusted")
    for body in (b"", b"{}", b"\xff" * 100):
        problem(await app(D, "POST", "/v1/apps/web/builds", content=body), 422, "untrusted")
    body = b"x" * 70_000
    problem(await app(D, "POST", "/v1/apps/web/builds", content=body), 413, "too_large")


async def test_a_manifest_with_other_content_is_refused(app: Web) -> None:
    build, envelope = made()
    frame = b"".join(compress([b"other"], 5))
    await app(D, "PUT", f"/v1/store/{layout.manifest('web', build.id)}", content=frame)
    problem(await app(D, "POST", "/v1/apps/web/builds", content=envelope), 422, "untrusted")


async def test_an_artifact_is_written_once_and_read_in_ranges(web: Web) -> None:
    content = os.urandom(600_000)
    path = "/v1/store/web/packs/" + "a" * 64
    assert (await web(D, "PUT", path, content=content)).status_code == 204
    assert (await web(D, "PUT", path, content=content)).status_code == 204
    assert "other content" in problem(await web(D, "PUT", path, content=b"x"), 412, "stale")
    whole = await web(N, "GET", path)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["accept-ranges"] == "bytes"
    probe = await web(N, "HEAD", path)
    assert (probe.status_code, probe.content) == (200, b"")
    assert probe.headers["content-length"] == "600000"
    assert probe.headers["etag"] == whole.headers["etag"]
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=10-20", 10, 20),
        ("bytes=300000-", 300_000, 599_999),
        ("bytes=-5", 599_995, 599_999),
        ("bytes=599999-9999999", 599_999, 599_999),
        ("bytes=-9999999", 0, 599_999),
    ):
        part = await web(N, "GET", path, headers={"Range": asked})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {first}-{last}/600000"
        assert part.content == content[first : last + 1]
    beyond = await web(N, "GET", path, headers={"Range": "bytes=600000-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == "bytes */600000"
    cached = await web(N, "GET", path, headers={"If-None-Match": whole.headers["etag"]})
    assert (cached.status_code, cached.content) == (304, b"")
    stale = await web(N, "GET", path, headers={"If-Range": '"x"', "Range": "bytes=0-1"})
    assert (stale.status_code, len(stale.content)) == (200, 600_000)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=5-2", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=٣-٤", None),
        ("bytes=-0", range(10, 10)),
        ("bytes=10-", range(10, 10)),
        ("bytes=99-", range(99, 10)),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=2-4", range(2, 5)),
    ],
)
def test_a_range_is_understood_or_ignored(header: str, expected: range | None) -> None:
    found = parse_range(header, 10)
    assert found == expected
    assert (found is None) == (expected is None)


@pytest.mark.parametrize(
    "path",
    [
        "../headway.db",
        "a/../../headway.db",
        "%2e%2e/headway.db",
        "..%2fheadway.db",
        "a/%2e%2e/%2e%2e/headway.db",
        ".hidden",
        "a/.hidden",
        "a%00b",
        "a\\b",
        "a/b%0a",
        "%c3%a9",
        "x" * 600,
        "~root/x",
    ],
)
async def test_no_path_leads_out_of_the_store(web: Web, tmp_path: Path, path: str) -> None:
    before = sorted(p for p in tmp_path.rglob("*"))
    for method, role in (("GET", N), ("HEAD", N), ("PUT", D)):
        response = await web(role, method, f"/v1/store/{path}", content=b"x")
        assert response.status_code in (400, 404, 405), (method, response.status_code)
    after = sorted(p for p in tmp_path.rglob("*"))
    assert [p for p in after if p.suffix not in (".db-wal", ".db-shm")] == [
        p for p in before if p.suffix not in (".db-wal", ".db-shm")
    ]


async def test_a_link_in_the_store_is_not_followed(web: Web, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "artifacts" / "web").mkdir()
    (tmp_path / "artifacts" / "web" / "link").symlink_to(tmp_path / "secret")
    problem(await web(N, "GET", "/v1/store/web/link"), 404, "not_found")


async def test_an_artifact_beyond_the_bound_leaves_nothing(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.server.api.store.MAX_ARTIFACT_BYTES", 1000)

    problem(await web(D, "PUT", "/v1/store/a", content=b"x" * 1001), 413, "too_large")
    assert [p for p in (tmp_path / "artifacts").rglob("*") if p.is_file()] == []


async def test_a_node_enrols_and_is_shown(node: Web) -> None:
    (shown,) = (await node(V, "GET", "/v1/nodes")).json()
    assert (shown["node"], shown["tier"], shown["state"]) == ("n1", "staging", "unknown")
    assert (await node(V, "GET", "/v1/nodes?app=web")).json() == [shown]
    assert (await node(V, "GET", "/v1/nodes/n1")).json() == [shown]


async def test_a_node_speaks_only_for_itself(node: Web) -> None:
    enrolment = {"node": "n2", "zone": "z", "tiers": {"web": "staging"}}
    problem(await node(N, "POST", "/v1/node/enrol", json=enrolment), 403, "denied")
    reports = [report(), report(node="n2")]
    problem(await node(N, "POST", "/v1/node/reports", json=reports), 403, "denied")
    (shown,) = (await node(V, "GET", "/v1/nodes")).json()
    assert shown["report"] is None
    other = [report(app="other")]
    assert "enrol first" in problem(
        await node(N, "POST", "/v1/node/reports", json=other), 409, "refused"
    )


@pytest.mark.parametrize(
    "enrolment",
    [
        {"node": "n1", "zone": "../z", "tiers": {}},
        {"node": "n1", "zone": "z", "tiers": {"web": "a b"}},
        {"node": "n1", "zone": "z", "tiers": {"../web": "staging"}},
        {"node": "n1\n", "zone": "z", "tiers": {}},
        {"node": "n1", "zone": "z", "tiers": {f"a{n}": "t" for n in range(100)}},
        {"node": "n1", "zone": "z"},
        {"node": "n1", "zone": "z", "tiers": {}, "role": "admin"},
    ],
)
async def test_an_enrolment_with_wrong_names_is_refused(web: Web, enrolment: Any) -> None:
    problem(await web(N, "POST", "/v1/node/enrol", json=enrolment), 400, "invalid")


async def test_the_newest_report_wins_and_a_repetition_changes_nothing(node: Web) -> None:
    async def hand_in(**changes: Any) -> str:
        response = await node(N, "POST", "/v1/node/reports", json=[report(**changes)])
        assert response.status_code == 204
        (shown,) = (await node(V, "GET", "/v1/nodes")).json()
        return str(shown["report"]["why"])

    assert await hand_in(seq=5, why="five") == "five"
    assert await hand_in(seq=5, why="five again") == "five"
    assert await hand_in(seq=4, why="four") == "five"
    assert await hand_in(seq=6, why="six") == "six"
    assert await hand_in(boot="b2", seq=1, why="after a restart", at=0.0) == "after a restart"
    assert await hand_in(boot="b1", seq=99, why="late") == "after a restart"


async def test_reports_are_durable_when_they_are_acknowledged(node: Web) -> None:
    from headway.server.database import reports

    body = [report(seq=seq, why=f"{seq}") for seq in range(1, 20)]
    assert (await node(N, "POST", "/v1/node/reports", json=body)).status_code == 204
    ((kept, _),) = await node.plane.database.read(reports.every)
    assert kept.seq == 19
    assert (await node(N, "POST", "/v1/node/reports", json=[])).status_code == 204
    many = [report(seq=seq) for seq in range(100)]
    problem(await node(N, "POST", "/v1/node/reports", json=many), 400, "invalid")
    wrong = [report(running="not a digest")]
    problem(await node(N, "POST", "/v1/node/reports", json=wrong), 400, "invalid")


async def test_a_node_is_held_pinned_and_let_go(node: Web) -> None:
    held = await node(D, "PUT", "/v1/nodes/n1/hold", json={"reason": "disk swap"})
    assert held.json()[0]["hold"]["by"] == "the-deployer"
    assert held.json()[0]["state"] == "held"
    holds = (await node(V, "GET", "/v1/holds")).json()
    assert [(h["id"], h["scope"], h["on"]) for h in holds] == [("node-n1", "node", "n1")]
    assert (await node(D, "DELETE", "/v1/holds/node-n1")).status_code == 204
    for path in ("/v1/nodes/n1/hold", "/v1/holds/node-n1"):
        sentence = problem(await node(D, "DELETE", path), 404, "not_found")
        assert sentence == "n1 is not held; see `headway hold list`"
    await node(D, "PUT", "/v1/nodes/n1/hold", json={"reason": "disk swap"})
    assert (await node(D, "DELETE", "/v1/nodes/n1/hold")).json()[0]["hold"] is None
    problem(await node(D, "PUT", "/v1/nodes/n1/pins/web", json={"build": OLD}), 404, "not_found")
    problem(await node(D, "PUT", "/v1/nodes/n1/pins/web", json={"build": "x"}), 400, "invalid")
    assert (await node(A, "DELETE", "/v1/nodes/n1")).status_code == 204
    assert (await node(V, "GET", "/v1/nodes")).json() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"scope": "app", "on": "nope", "reason": "r"}, 404, "not_found"),
        ({"scope": "app", "on": "web/staging", "reason": "r"}, 400, "invalid"),
        ({"scope": "tier", "on": "web", "reason": "r"}, 400, "invalid"),
        ({"scope": "tier", "on": "web/", "reason": "r"}, 400, "invalid"),
        ({"scope": "tier", "on": "web/nope", "reason": "r"}, 404, "not_found"),
        ({"scope": "node", "on": "nope", "reason": "r"}, 404, "not_found"),
        ({"scope": "world", "on": "web", "reason": "r"}, 400, "invalid"),
        ({"scope": "app", "on": "web", "reason": "x" * 3000}, 400, "invalid"),
    ],
)
async def test_a_hold_on_nothing_is_refused(app: Web, body: Any, status: int, code: str) -> None:
    problem(await app(D, "POST", "/v1/holds", json=body), status, code)
    assert (await app(V, "GET", "/v1/holds")).json() == []


async def test_a_hold_blocks_a_deploy_until_it_lapses(node: Web) -> None:
    build, envelope = made()
    frame = b"".join(compress([MANIFEST], len(MANIFEST)))
    await node(D, "PUT", f"/v1/store/{layout.manifest('web', build.id)}", content=frame)
    await node(D, "POST", "/v1/apps/web/builds", content=envelope)
    until = node.plane.clock() + 60
    body = {"scope": "tier", "on": "web/staging", "reason": "freeze", "until": until}
    placed = await node(D, "POST", "/v1/holds", json=body)
    assert placed.status_code == 201
    deploy = {"build": build.id[:8]}
    sentence = problem(await node(D, "POST", "/v1/apps/web/rollouts", json=deploy), 409, "refused")
    held = "web/staging is held by the-deployer: freeze"
    assert sentence == f"{held}; `headway hold lift {placed.json()['id']}` lifts it"
    why = (await node(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    assert sentence in why
    node.plane.clock.now += 61  # type: ignore[attr-defined]
    response = await node(D, "POST", "/v1/apps/web/rollouts", json=deploy)
    assert response.status_code == 201
    view = response.json()
    assert view["rollout"]["id"] == "web-1"
    assert view["tiers"][0]["nodes"] == 1
    assert (await node(V, "GET", "/v1/rollouts/web-1")).json()["rollout"]["by"] == "the-deployer"
    paused = await node(D, "POST", "/v1/rollouts/web-1/pause", json={"reason": "lunch"})
    assert paused.json()["next"] == "resume"
    stale = {"reason": "x", "seen": "0-rolling"}
    problem(await node(D, "POST", "/v1/rollouts/web-1/resume", json=stale), 412, "stale")
    problem(await node(D, "POST", "/v1/rollouts/web-1/advance", json={}), 409, "refused")
    problem(await node(D, "POST", "/v1/rollouts/web-1/explode", json={}), 404, "not_found")
    problem(await node(D, "POST", "/v1/apps/web/rollouts", json={"build": NEW}), 404, "not_found")
    again = await node(D, "POST", "/v1/apps/web/rollouts", json=deploy)
    assert "still paused" in problem(again, 409, "refused")
    why = (await node(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    assert why[0] == "web-1 is paused by the-deployer: lunch"
    unplanned = await node(D, "POST", "/v1/apps/web/rollouts", json=deploy | {"plan": "fast"})
    problem(unplanned, 409, "refused")
    assert (await node(D, "POST", "/v1/rollouts/web-1/abort", json={})).status_code == 200
    why = (await node(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    assert why[0].startswith("nothing is rolling out; web-1 was aborted: ")
    unplanned = await node(D, "POST", "/v1/apps/web/rollouts", json=deploy | {"plan": "fast"})
    assert 'no plan "fast"' in problem(unplanned, 404, "not_found")
    for seen in ("", "web-7"):
        late = await node(D, "POST", "/v1/apps/web/rollouts", json=deploy | {"seen": seen})
        assert "web-1 has begun" in problem(late, 412, "stale")
    aware = deploy | {"seen": "web-1"}
    assert (await node(D, "POST", "/v1/apps/web/rollouts", json=aware)).status_code == 201
    sentence = problem(
        await node(D, "POST", "/v1/rollouts/web-1/explode", json={}), 404, "not_found"
    )
    assert "there is no action explode; there are advance, pause" in sentence


async def test_a_defect_is_a_problem_without_its_insides(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr(web.plane.engine, "situation", broken)
    sentence = problem(await web(V, "GET", "/v1/apps/web"), 500, "internal")
    assert "secret" not in sentence


DRIFT = {
    "slot": "1",
    "build": OLD,
    "since": 5.0,
    "count": 1,
    "strays": [{"path": "a/b.css", "problem": "has other content"}],
    "serving": True,
}


async def test_a_node_is_asked_to_verify_by_a_number_that_rises(node: Web) -> None:
    first = (await node(D, "POST", "/v1/nodes/n1/verify/web")).json()[0]
    again = (await node(D, "POST", "/v1/nodes/n1/verify/web")).json()[0]
    assert 0 < first["verify"] < again["verify"]
    record = node.plane.fleet.record("n1")
    assert record is not None
    assert record.seats["web"].verify == record.serial == again["verify"]
    problem(await node(D, "POST", "/v1/nodes/n1/verify/nope"), 404, "not_found")
    problem(await node(D, "POST", "/v1/nodes/n2/verify/web"), 404, "not_found")
    whys = [entry["why"] for entry in (await node(V, "GET", "/v1/journal")).json()]
    assert whys.count("the-deployer asks n1 to verify web") == 2
    # Enrolling again, as an agent does that was restarted, asks for nothing.
    enrolment = {"node": "n1", "zone": "z", "tiers": {"web": "staging"}}
    await node(N, "POST", "/v1/node/enrol", json=enrolment)
    assert node.plane.fleet.record("n1") == record


async def test_drift_is_shown_and_journalled_once_and_when_it_is_gone(node: Web) -> None:
    async def hand_in(seq: int, *drift: Any) -> list[str]:
        body = [report(seq=seq, inspection={"drift": drift})]
        assert (await node(N, "POST", "/v1/node/reports", json=body)).status_code == 204
        entries = (await node(V, "GET", "/v1/journal?app=web")).json()
        return [entry["why"] for entry in entries if entry["kind"] == "drift"]

    assert await hand_in(1) == []
    (found,) = await hand_in(2, DRIFT)
    assert "a/b.css has other content" in found
    assert await hand_in(3, DRIFT) == [found]
    (shown,) = (await node(V, "GET", "/v1/nodes/n1")).json()
    assert shown["why"].endswith("is not as published: a/b.css has other content")
    assert shown["state"] == "done", "it is in nobody's way"
    _, gone = await hand_in(4)
    assert gone.endswith("is gone")
    (shown,) = (await node(V, "GET", "/v1/nodes/n1")).json()
    assert "published" not in shown["why"]


async def test_a_report_that_tells_too_much_is_refused(node: Web) -> None:
    long = {"path": "x" * 301, "problem": "is missing"}
    for wrong in (
        {"strays": [long]},
        {"strays": [long | {"path": "x"}] * 11},
        {"strays": [{"path": "x", "problem": "anything"}]},
    ):
        body = [report(inspection={"drift": [DRIFT | wrong]})]
        problem(await node(N, "POST", "/v1/node/reports", json=body), 400, "invalid")
