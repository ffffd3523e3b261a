"""One suite for every announcer: what arrives, what comes twice, and whatever can go wrong."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec import structs

from headway.announce.github import GitHubAnnouncer, GitHubPlace
from headway.announce.grafana import Grafana, GrafanaAnnouncer
from headway.announce.graphite import Graphite, GraphiteAnnouncer
from headway.announce.port import Announcer
from headway.announce.webhook import Webhook, WebhookAnnouncer
from headway.announce.wire import Wire
from headway.errors import Busy, Denied, HeadwayError, Refused, Unreachable
from headway.model.announcement import Announcement, Kind, Occasion, Span
from tests.contract.announce_places import Places, Trouble, serving
from tests.contract.metric_servers import Metrics, graphite, has_graphite
from tests.contract.store_servers import call

pytestmark = pytest.mark.anyio

NOWHERE = Path("unused")
SECRET = "s3cret-Grafana-0123456789abcdef"
TIMEOUT = 1.0

STEP = Span(
    id="web-4/1",
    rollout="web-4",
    kind=Kind.DEPLOY,
    build="b" * 64,
    began=1000.5,
    tiers=("production",),
    share=0.5,
    whole=False,
    commit="c0ffee",
    by="ann",
)


def news(span: Span | None = STEP, id: str = "id-begin", **more: Any) -> Announcement:
    return Announcement(
        **{
            "id": id,
            "at": span.ended or span.began if span else 1000.0,
            "occasion": Occasion.STEP,
            "app": "web",
            "sentence": "production 50 % begins with bbbbbbbbbbbb",
            "rollout": "web-4",
            "link": "https://headway.example/apps/web/guard/web-4",
            "span": span,
            **more,
        }
    )


def ended(outcome: str = "succeeded", whole: bool = True, span: Span = STEP, **more: Any) -> Any:
    over = structs.replace(span, ended=1060.5, outcome=outcome, whole=whole)
    return news(over, "id-end", sentence="production 100 % is green", **more)


BEGIN = news()


@dataclass
class Stage:
    """An announcer, and what people see at its place: one entry for each thing."""

    announcer: Announcer
    places: Places
    seen: Callable[[], list[Any]]


MAKERS: dict[str, Callable[[str], Announcer]] = {
    "webhook": lambda url: WebhookAnnouncer(
        Webhook(name="place", url=f"{url}/hook", secret=NOWHERE, timeout=TIMEOUT), SECRET.encode()
    ),
    "grafana": lambda url: GrafanaAnnouncer(
        Grafana(name="place", url=f"{url}/", token=NOWHERE, timeout=TIMEOUT), SECRET
    ),
    "graphite": lambda url: GraphiteAnnouncer(
        Graphite(name="place", url=url, user="headway", password=NOWHERE, timeout=TIMEOUT), SECRET
    ),
    "github": lambda url: GitHubAnnouncer(
        GitHubPlace(name="place", forge="gh", project="acme/web", timeout=TIMEOUT), SECRET, url
    ),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def places() -> Iterator[Places]:
    with serving() as made:
        yield made


@pytest.fixture(params=MAKERS)
async def stage(request: pytest.FixtureRequest, places: Places) -> AsyncIterator[Stage]:
    kind = request.param
    seen: dict[str, Callable[[], list[Any]]] = {
        "webhook": lambda: list({one["id"]: one for one in places.hooks}.values()),
        "grafana": lambda: places.annotations,
        "graphite": lambda: places.events,
        "github": lambda: [one for each in places.statuses.values() for one in each],
    }
    announcer = MAKERS[kind](places.url)
    yield Stage(announcer, places, seen[kind])
    await announcer.close()


async def test_it_arrives_with_app_tier_kind_and_build(stage: Stage) -> None:
    assert stage.announcer.name == "place"
    assert stage.announcer.wants(BEGIN)
    await stage.announcer.announce(BEGIN)
    assert len(stage.seen()) == 1
    told = json.dumps([stage.seen(), stage.places.deployments])
    for fact in ("web", "production", "deploy", "b" * 12):
        assert fact in told
    assert "production 50 % begins" in told
    assert "https://headway.example/apps/web/guard/web-4" in told


async def test_what_comes_twice_is_there_once(stage: Stage) -> None:
    for announcement in (BEGIN, BEGIN, ended(), ended(), BEGIN):
        await stage.announcer.announce(announcement)
    twice = 1 if stage.places.annotations else 2
    assert len(stage.seen()) == twice
    assert len(stage.places.deployments) <= 1


async def test_what_was_done_but_not_answered_is_not_done_again(stage: Stage) -> None:
    """The answer to the first POST is lost after the place has acted on it."""
    stage.places.troubles.append(Trouble(done=True, wait=TIMEOUT + 0.3, on="POST"))
    with pytest.raises(Unreachable, match="did not answer within 1 s"):
        await stage.announcer.announce(BEGIN)
    await stage.announcer.announce(BEGIN)
    assert len(stage.seen()) == 1
    assert len(stage.places.deployments) <= 1


async def test_an_end_may_come_before_its_beginning(stage: Stage) -> None:
    for announcement in (ended(), BEGIN):
        await stage.announcer.announce(announcement)
    if stage.places.annotations:
        (region,) = stage.places.annotations
        assert (region["time"], region["timeEnd"]) == (1_000_500, 1_060_500)
    if stage.places.deployments:
        assert stage.places.state("web/production") == [("c0ffee", "success")]


async def test_nobody_there_is_to_be_tried_again(places: Places) -> None:
    for make in MAKERS.values():
        announcer = make("http://127.0.0.1:9")
        with pytest.raises(Unreachable, match="place cannot be reached"):
            await announcer.announce(BEGIN)
        await announcer.close()


async def test_a_place_that_is_slow_is_given_up_in_time(stage: Stage) -> None:
    stage.places.troubles += [Trouble(200, wait=3.0)]
    began = time.monotonic()
    with pytest.raises(Unreachable, match="did not answer within 1 s"):
        await stage.announcer.announce(BEGIN)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_place_that_is_broken_is_to_be_tried_again(stage: Stage, status: int) -> None:
    stage.places.troubles += [Trouble(status)]
    with pytest.raises(Unreachable, match=f"place answers {status}"):
        await stage.announcer.announce(BEGIN)
    await stage.announcer.announce(BEGIN)
    assert len(stage.seen()) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "-7"}, 0),
        ({}, 0),
    ],
)
async def test_patience_is_kept_where_it_is_asked_for(
    stage: Stage, headers: dict[str, str], seconds: float
) -> None:
    stage.places.troubles += [Trouble(429, headers)]
    with pytest.raises(Busy, match="place answers 429") as caught:
        await stage.announcer.announce(BEGIN)
    assert caught.value.after == seconds


async def test_patience_may_be_asked_for_until_a_date(stage: Stage) -> None:
    in_an_hour = formatdate(time.time() + 3600, usegmt=True)
    stage.places.troubles += [Trouble(429, {"Retry-After": in_an_hour})]
    with pytest.raises(Busy) as caught:
        await stage.announcer.announce(BEGIN)
    assert 3000 < caught.value.after <= 3600


async def test_a_limit_that_is_told_as_403_is_patience_too(stage: Stage) -> None:
    until = str(int(time.time()) + 600)
    limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": until}
    stage.places.troubles += [Trouble(403, limit)]
    with pytest.raises(Busy) as caught:
        await stage.announcer.announce(BEGIN)
    assert 500 < caught.value.after <= 600


@pytest.mark.parametrize("status", [401, 403])
async def test_who_is_not_let_in_gives_up_and_names_no_secret(stage: Stage, status: int) -> None:
    stage.places.troubles += [Trouble(status, body=SECRET.encode())]
    with pytest.raises(Denied, match="is the secret right") as caught:
        await stage.announcer.announce(BEGIN)
    assert SECRET not in caught.value.sentence
    assert not stage.seen()


@pytest.mark.parametrize("status", [400, 404, 409, 410, 422])
async def test_what_is_refused_is_not_tried_again(stage: Stage, status: int) -> None:
    stage.places.troubles += [Trouble(status)]
    with pytest.raises(Refused, match=f"does not want it \\({status}\\)"):
        await stage.announcer.announce(BEGIN)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_never_followed(stage: Stage, status: int) -> None:
    with serving() as elsewhere:
        target = {"Location": f"{elsewhere.url}/hook"}
        stage.places.troubles += [Trouble(status, target)]
        with pytest.raises(Refused, match="sends us elsewhere"):
            await stage.announcer.announce(BEGIN)
        assert not elsewhere.asked


async def test_an_answer_that_is_none_is_tried_again(stage: Stage) -> None:
    """A proxy's page, with status 200; a webhook's answer is not read for what it says."""
    stage.places.troubles += [Trouble(200, body=b"<html>sign in</html>")]
    try:
        await stage.announcer.announce(BEGIN)
    except Unreachable as error:
        assert "something else than expected" in error.sentence
    else:
        assert isinstance(stage.announcer, WebhookAnnouncer)


async def test_an_endless_answer_is_cut_off(stage: Stage) -> None:
    stage.places.troubles += [Trouble(200, body=b"[" * 5 * 1024 * 1024)]
    try:
        await stage.announcer.announce(BEGIN)
    except Unreachable as error:
        assert "answers with too much" in error.sentence
    else:
        assert isinstance(stage.announcer, WebhookAnnouncer)


HOSTILE = (
    '<script>alert(1)</script>" onmouseover="x"\n\n[a](javascript:x) \x00\x1b[31m \u202e, "q" é 🚂 '
    + "long " * 2000
)


async def test_hostile_text_arrives_as_text(stage: Stage) -> None:
    span = structs.replace(STEP, by=HOSTILE[:200])
    hostile = news(span, sentence=HOSTILE)
    await stage.announcer.announce(hostile)
    await stage.announcer.announce(hostile)
    (one,) = stage.seen()
    if stage.places.annotations:
        # Grafana shows text as HTML.
        assert "<script" not in one["text"]
        assert "&lt;script&gt;" in one["text"]
        assert "\x1b" not in one["text"]
    if stage.places.events:
        assert one["tags"][0] == "id-begin"
        assert "\x00" not in json.dumps(one)
    if stage.places.deployments:
        assert len(one["description"]) <= 140


async def test_secrets_go_into_headers_and_nowhere_else(stage: Stage) -> None:
    await stage.announcer.announce(BEGIN)
    for _, path, _, body in stage.places.asked:
        assert SECRET not in path
        assert SECRET.encode() not in body


async def test_it_may_be_closed_twice(stage: Stage) -> None:
    await stage.announcer.announce(BEGIN)
    await stage.announcer.close()
    await stage.announcer.close()


async def test_a_place_is_told_of_its_own_apps_only(places: Places) -> None:
    ours: list[Announcer] = [
        WebhookAnnouncer(Webhook(name="a", url="http://x", secret=NOWHERE, apps=("shop",)), b"x"),
        GrafanaAnnouncer(Grafana(name="a", url="http://x", token=NOWHERE, apps=("shop",)), "x"),
        GraphiteAnnouncer(Graphite(name="a", url="http://x", apps=("shop",))),
        GitHubAnnouncer(
            GitHubPlace(name="a", forge="g", project="a/b", apps=("shop",)), "x", "http://x"
        ),
    ]
    for announcer in ours:
        assert not announcer.wants(BEGIN)
        assert announcer.wants(structs.replace(BEGIN, app="shop"))
        await announcer.close()


# What is particular to one place.


async def test_an_annotation_grows_from_beginning_to_end(places: Places) -> None:
    grafana = MAKERS["grafana"](places.url)
    await grafana.announce(BEGIN)
    (begun,) = places.annotations
    assert begun["time"] == 1_000_500
    assert set(begun["tags"]) == {
        "headway", "step", "app:web", "kind:deploy", "tier:production", f"build:{'b' * 12}",
        "headway:web-4/1",
    }  # fmt: skip
    await grafana.announce(ended())
    (region,) = places.annotations
    assert (region["time"], region["timeEnd"]) == (1_000_500, 1_060_500)
    assert "outcome:succeeded" in region["tags"]
    assert "is green" in region["text"]
    assert places.asked[0][2]["authorization"] == f"Bearer {SECRET}"
    fire = news(None, "fire-1", occasion=Occasion.FIRE, sentence="errors are up")
    assert not grafana.wants(fire)
    await grafana.announce(fire)
    assert places.annotations[1]["time"] == 1_000_000
    await grafana.close()


async def test_a_whole_rollout_is_of_no_tier(places: Places) -> None:
    grafana = MAKERS["grafana"](places.url)
    span = structs.replace(STEP, id="web-4", tiers=("canary", "production"), kind=Kind.CONFIG)
    await grafana.announce(news(span, occasion=Occasion.DEPLOY))
    back = structs.replace(span, id="web-4/back/9", kind=Kind.REVERT)
    await grafana.announce(news(back, occasion=Occasion.RETURN))
    tags = [set(one["tags"]) for one in places.annotations]
    assert {"deploy", "kind:config"} <= tags[0]
    assert not any(tag.startswith("tier:") for tag in tags[0])
    assert {"return", "kind:revert", "tier:canary", "tier:production"} <= tags[1]
    await grafana.close()


async def test_graphites_limits_are_kept(places: Places) -> None:
    graphite = MAKERS["graphite"](places.url)
    span = structs.replace(STEP, tiers=tuple(f"tier-{'x' * 50}-{n}" for n in range(9)))
    await graphite.announce(news(span, app="a" * 63))
    (event,) = places.events
    assert event["tags"][0] == "id-begin"
    await graphite.close()


async def test_a_deployment_goes_through_a_tiers_steps(places: Places) -> None:
    github = MAKERS["github"](places.url)
    await github.announce(BEGIN)
    await github.announce(ended(whole=False))
    assert places.state("web/production") == [("c0ffee", "in_progress")]
    last = structs.replace(STEP, id="web-4/2", share=1.0, whole=True)
    await github.announce(news(last, "id-3", sentence="production 100 % begins"))
    await github.announce(ended(span=last))
    assert places.state("web/production") == [("c0ffee", "success")]
    (deployment,) = places.deployments
    assert (deployment["task"], deployment["auto_merge"], deployment["required_contexts"]) == (
        "deploy", False, [],
    )  # fmt: skip
    (begun, *_) = places.statuses[deployment["id"]]
    assert begun["log_url"] == "https://headway.example/apps/web/guard/web-4"
    await github.close()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("reverted", "failure"), ("aborted", "failure"), ("superseded", "inactive")],
)
async def test_a_step_that_ends_badly_is_told(places: Places, outcome: str, state: str) -> None:
    github = MAKERS["github"](places.url)
    await github.announce(BEGIN)
    await github.announce(ended(outcome, whole=False))
    assert places.state("web/production") == [("c0ffee", state)]
    await github.close()


async def test_a_way_back_deploys_the_build_before_in_every_tier(places: Places) -> None:
    github = MAKERS["github"](places.url)
    for tier in ("canary", "production"):
        span = structs.replace(STEP, tiers=(tier,))
        await github.announce(news(span))
        await github.announce(ended(span=span))
    back = structs.replace(
        STEP, id="web-4/back/9", kind=Kind.REVERT, tiers=("canary", "production"), commit="0ld"
    )
    await github.announce(news(back, "id-5", occasion=Occasion.RETURN, sentence="reverting"))
    assert places.state("web/canary") == [("c0ffee", "success"), ("0ld", "in_progress")]
    over = ended(span=back, occasion=Occasion.RETURN)
    # What fails in the second tier is done again as a whole, and nothing comes twice.
    places.troubles += [Trouble(503, on="POST")]
    with pytest.raises(Unreachable):
        await github.announce(over)
    await github.announce(over)
    for tier in ("canary", "production"):
        assert places.state(f"web/{tier}") == [("c0ffee", "inactive"), ("0ld", "success")]
    assert [one["task"] for one in places.deployments] == ["deploy", "deploy", "revert", "revert"]
    await github.close()


async def test_without_a_commit_there_is_no_deployment(places: Places) -> None:
    github = MAKERS["github"](places.url)
    with pytest.raises(Refused, match="not known which commit"):
        await github.announce(news(structs.replace(STEP, commit="")))
    with pytest.raises(Refused, match="422"):
        await github.announce(news(structs.replace(STEP, commit="unknown")))
    assert not github.wants(news(None, occasion=Occasion.ALERT))
    await github.close()


@pytest.mark.parametrize("project", ["", "acme", "acme/web/more", "../web", "acme/..", "/web"])
def test_a_project_must_be_one(project: str) -> None:
    with pytest.raises(HeadwayError, match="OWNER/NAME"):
        GitHubAnnouncer(GitHubPlace(name="a", forge="g", project=project), "x", "http://x")


# A real graphite-web.


@pytest.fixture(scope="module")
def real_graphite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metrics]:
    if not has_graphite():
        pytest.skip("graphite-web does not run on this Python")
    with graphite(tmp_path_factory.mktemp("graphite"), {}, events=True) as made:
        yield made


def events(made: Metrics, tags: str) -> list[dict[str, Any]]:
    query = urlencode({"tags": tags, "set": "intersection"})
    found: list[dict[str, Any]] = json.loads(call(made.server.port, f"/events/get_data?{query}"))
    return found


async def test_a_real_graphite_shows_where_a_step_began_and_ended(real_graphite: Metrics) -> None:
    announcer = GraphiteAnnouncer(Graphite(name="place", url=real_graphite.url))
    for announcement in (BEGIN, BEGIN, ended(), BEGIN, ended()):
        await announcer.announce(announcement)
    found = events(real_graphite, "headway step web production deploy")
    assert [(one["when"], "begin" in one["tags"]) for one in found] == [(1000, True), (1060, False)]
    assert found[0]["what"] == "web: production 50 % begins with bbbbbbbbbbbb"
    assert "https://headway.example/apps/web/guard/web-4" in found[0]["data"]
    assert "succeeded" in found[1]["tags"]
    lines = 'drawAsInfinite(events("headway", "step", "web", "begin"))'
    query = urlencode({"target": lines, "format": "json", "from": "900", "until": "1100"})
    (drawn,) = json.loads(call(real_graphite.server.port, f"/render?{query}"))
    assert [point[1] for point in drawn["datapoints"] if point[0]] == [1000]
    await announcer.close()


async def test_a_real_graphite_takes_hostile_text_once(real_graphite: Metrics) -> None:
    announcer = GraphiteAnnouncer(Graphite(name="place", url=real_graphite.url))
    span = structs.replace(STEP, tiers=("canary", "production"), commit="x")
    hostile = news(span, "hostile-1", sentence=HOSTILE, app="a" * 63)
    await announcer.announce(hostile)
    await announcer.announce(hostile)
    (one,) = events(real_graphite, "hostile-1")
    assert one["what"].startswith("a" * 63 + ": <script>alert(1)</script>")
    assert "\x00" not in one["what"] + one["data"]
    page = call(real_graphite.server.port, "/events/")
    assert "<script>alert(1)</script>" not in page
    await announcer.close()


async def test_a_real_graphite_that_dies_is_to_be_tried_again(tmp_path: Path) -> None:
    if not has_graphite():
        pytest.skip("graphite-web does not run on this Python")
    with graphite(tmp_path / "graphite", {}, events=True) as made:
        announcer = GraphiteAnnouncer(Graphite(name="place", url=made.url, timeout=TIMEOUT))
        assert made.server.process is not None
        made.server.process.terminate()
        made.server.process.wait(20)
        with pytest.raises(Unreachable):
            await announcer.announce(BEGIN)
        await announcer.close()


# The suite notices what would go wrong.


async def test_whoever_does_not_look_first_says_everything_twice(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Wire.ask

    async def forgetful(self: Wire, method: str, path: str, into: Any, **more: Any) -> Any:
        return [] if method == "GET" else await ask(self, method, path, into, **more)

    monkeypatch.setattr(Wire, "ask", forgetful)
    for kind in ("grafana", "graphite", "github"):
        announcer = MAKERS[kind](places.url)
        await announcer.announce(BEGIN)
        await announcer.announce(BEGIN)
        await announcer.close()
    assert [len(places.annotations), len(places.events), len(places.deployments)] == [2, 2, 2]


async def test_whoever_followed_redirects_would_be_seen_elsewhere(places: Places) -> None:
    grafana = MAKERS["grafana"](places.url)
    grafana._wire._client.follow_redirects = True  # type: ignore[attr-defined]
    with serving() as elsewhere:
        places.troubles += [Trouble(307, {"Location": f"{elsewhere.url}/hook"})]
        with pytest.raises(HeadwayError):
            await grafana.announce(BEGIN)
        assert elsewhere.asked
    await grafana.close()
