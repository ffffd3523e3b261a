"""A real control plane draws its deploys on graphs, and tells GitHub; also when nobody listened."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from headway.errors import InvalidInput
from headway.model.plan import Step
from headway.server.config import ServerConfig
from headway.server.supplies import supplies
from headway.settings import convert
from tests.acceptance.fleet import APP, RealFleet, real_fleet
from tests.contract.announce_places import Places, Trouble, serving
from tests.contract.metric_servers import Metrics, graphite, has_graphite
from tests.contract.store_servers import call

PLAN = (
    Step("canary", soak=0, concurrency="100%"),
    Step("production", share=0.5, soak=0, concurrency="100%"),
    Step("production", soak=0, concurrency="100%"),
)

SERVER = """
public_url = "https://headway.example"
[forges.gh]
kind = "github"
api = "{url}"
token_file = "{room}/token"
[[webhooks]]
name = "ops"
url = "{url}/hook"
secret = "{room}/secret"
occasions = ["deploy"]
[[grafana]]
name = "grafana"
url = "{url}"
token = "{room}/token"
[[github]]
name = "github"
forge = "gh"
project = "acme/web"
{more}
"""


@pytest.fixture
def places() -> Iterator[Places]:
    with serving() as made:
        yield made


@pytest.fixture
def real_graphite(tmp_path: Path) -> Iterator[Metrics | None]:
    if not has_graphite():
        yield None
        return
    with graphite(tmp_path / "graphite", {}, events=True) as made:
        yield made


@pytest.fixture
def fleet(tmp_path: Path, places: Places, real_graphite: Metrics | None) -> Iterator[RealFleet]:
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"x" * 32).decode())
    more = f'[[graphite]]\nname = "graphite"\nurl = "{real_graphite.url}"' if real_graphite else ""
    home = tmp_path / "fleet"
    home.mkdir()
    server = SERVER.format(url=places.url, room=tmp_path, more=more)
    with real_fleet(home, server=server) as made:
        made.apply(*PLAN)
        for name, tier in (("c1", "canary"), ("p1", "production"), ("p2", "production")):
            made.start_agent(name, tier)
        made.enrolled(3)
        yield made


def tags(places: Places) -> list[set[str]]:
    return [set(one["tags"]) for one in places.annotations]


def all_drawn(fleet: RealFleet, places: Places, regions: int) -> None:
    """Wait until so many regions have come to their end, and nothing is on its way any more."""

    def ended() -> int:
        return sum(one["timeEnd"] > one["time"] for one in places.annotations)

    with fleet.client() as client:
        fleet.wait(
            f"{regions} regions",
            lambda: ended() >= regions and not client.deliveries(False, 100),
            lambda: f"{ended()} {client.deliveries(False, 100)}",
        )
        assert not client.deliveries(True, 100)


def test_a_deploy_and_its_revert_are_on_every_graph(
    fleet: RealFleet, places: Places, real_graphite: Metrics | None
) -> None:
    # What is not there at first is told later.
    places.troubles += [Trouble(503) for _ in range(3)]
    good = fleet.deploy(fleet.publish(page="good"))
    assert fleet.finish(good).rollout.phase == "succeeded"
    bad = fleet.deploy(fleet.publish(page="bad"))
    fleet.finish(bad)
    fleet.headway("rollout", "revert", bad, "--reason", "a test")
    assert fleet.finish(bad).rollout.phase == "reverted"
    all_drawn(fleet, places, 9)

    drawn = tags(places)
    assert sum("deploy" in one for one in drawn) == 2
    assert sum({"step", f"app:{APP}", "tier:production"} <= one for one in drawn) == 4
    assert sum({"return", "kind:revert", "outcome:succeeded"} <= one for one in drawn) == 1
    assert all(one["timeEnd"] > one["time"] for one in places.annotations)

    (lasting,) = {one["span"]["id"] for one in places.hooks} - {bad}
    assert lasting == good
    outcomes = {(one["span"]["id"], one["span"]["outcome"]) for one in places.hooks}
    assert outcomes == {(good, ""), (good, "succeeded"), (bad, ""), (bad, "succeeded")}

    for tier in ("canary", "production"):
        states = places.state(f"{APP}/{tier}")
        assert states == [("abc123", "inactive"), ("abc123", "inactive"), ("abc123", "success")]
    assert all(one["required_contexts"] == [] for one in places.deployments)

    if real_graphite is not None:
        query = urlencode({"tags": f"headway {APP} return", "set": "intersection"})
        found: list[dict[str, Any]] = json.loads(
            call(real_graphite.server.port, f"/events/get_data?{query}")
        )
        assert [("begin" in one["tags"], "end" in one["tags"]) for one in found] == [
            (True, False),
            (False, True),
        ]
    assert "s3cret" not in fleet.log("server")


def test_a_server_that_dies_while_it_tells_draws_nothing_twice(
    fleet: RealFleet, places: Places
) -> None:
    """It is killed after each place has acted upon what it was told, and before it answers."""
    fleet.finish(fleet.deploy(fleet.publish(page="before")))
    all_drawn(fleet, places, 4)
    lines, told = len(places.annotations), len(places.asked)
    places.troubles += [Trouble(200, done=True, wait=2.0, on="POST") for _ in range(3)]
    rollout = fleet.deploy(fleet.publish(page="good"))
    for left in (2, 1, 0):
        fleet.wait("a place to act", lambda left=left: len(places.troubles) <= left)
        fleet.kill("server")
        fleet.start_server()
    assert fleet.finish(rollout).rollout.phase == "succeeded"
    all_drawn(fleet, places, lines + 4)
    assert len(places.asked) > told
    marks = [tag for one in places.annotations for tag in one["tags"] if tag.startswith("headway:")]
    assert sorted(marks) == sorted(set(marks))
    assert len(marks) == lines + 4
    assert all(one["timeEnd"] > one["time"] for one in places.annotations)
    assert len(places.deployments) == 4
    for tier in ("canary", "production"):
        assert [state for _, state in places.state(f"{APP}/{tier}")] == ["inactive", "success"]
    # A webhook's receiver cannot be asked what it knows: it may hear twice, with the same id.
    assert {(one["span"]["id"], one["span"]["outcome"]) for one in places.hooks} >= {
        (rollout, ""),
        (rollout, "succeeded"),
    }


def config(tmp_path: Path, **more: Any) -> ServerConfig:
    (tmp_path / "token").write_text("s3cret")
    return convert({"data": str(tmp_path), **more}, ServerConfig, "the test")


def test_what_cannot_work_is_said_at_the_start(tmp_path: Path) -> None:
    token = str(tmp_path / "token")
    grafana = {"name": "a", "url": "http://g", "token": token}
    forge = {"kind": "github", "token_file": token}
    github = {"name": "a", "forge": "gh", "project": "acme/web"}
    for more, told in (
        ({"grafana": [grafana], "github": [github], "forges": {"gh": forge}}, "a is there twice"),
        ({"grafana": [{**grafana, "token": f"{tmp_path}/none"}]}, "cannot be read"),
        ({"github": [github]}, 'its forge "gh" must be one of'),
        ({"github": [github], "forges": {"gh": {**forge, "kind": "gitlab"}}}, "of kind github"),
        ({"github": [github], "forges": {"gh": {"kind": "github"}}}, "with a token_file"),
        (
            {"github": [{**github, "project": "web"}], "forges": {"gh": forge}},
            "it is like OWNER/NAME",
        ),
        ({"graphite": [{"name": "a", "url": "http://g", "user": "x"}]}, "give user and password"),
    ):
        with pytest.raises(InvalidInput, match=told):
            supplies(config(tmp_path, **more))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InvalidInput, match="holds no Grafana token"):
        supplies(config(tmp_path, grafana=[{**grafana, "token": str(tmp_path / "empty")}]))
    good = supplies(config(tmp_path, grafana=[grafana]))
    assert [one.name for one in good.announcers] == ["a"]
