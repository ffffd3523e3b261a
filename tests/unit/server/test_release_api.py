"""Releases, holds on lanes, schedules and webhooks, as the API serves them."""

import hashlib
import hmac
from pathlib import Path

import pytest
from sqlalchemy import Connection

from headway.model.access import Role
from headway.model.plan import AppConfig
from headway.model.releasing import ConfigLane, Releasing
from headway.model.schedule import Rota, Schedule
from headway.model.train import Join
from headway.server.config import ForgeKind, ForgeSettings
from headway.server.database import apps
from tests.repository import Origin
from tests.unit.server.conftest import Clock, Web
from tests.unit.server.herd import PLAN

pytestmark = pytest.mark.anyio

V, D, A = Role.VIEWER, Role.DEPLOYER, Role.ADMIN


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path)
    made.commit("The first", {"app.py": "one\n", "flags.toml": "a = 1\n"})
    return made


async def configure(web: Web, config: AppConfig) -> None:
    def write(connection: Connection) -> None:
        apps.put(connection, config, 1.0)

    await web.plane.database.write(write)


def web_with(origin: Origin, **more: object) -> AppConfig:
    lane = ConfigLane("web-flags", ("flags.toml",))
    releasing = Releasing(repository=str(origin.bare), config=lane)
    return AppConfig(name="web", plans={"default": PLAN}, releases=releasing, **more)


async def test_a_release_is_cut_and_shown(web: Web, origin: Origin) -> None:
    await configure(web, web_with(origin))
    assert (await web(V, "POST", "/v1/apps/web/releases", json={})).status_code == 403
    made = await web(D, "POST", "/v1/apps/web/releases", json={"reason": "Monday"})
    assert made.status_code == 201, made.text
    assert made.json()["release"]["why"] == (
        "the-deployer cuts web-r1 with everything so far: Monday"
    )
    assert origin.at("web-1.0") == origin.at("main")
    shown = (await web(V, "GET", "/v1/releases/web-r1")).json()
    assert shown["next"] == "build"
    assert (await web(V, "GET", "/v1/apps/web/releases")).json()[0]["id"] == "web-r1"
    notes = (await web(V, "GET", "/v1/releases/web-r1/notes")).json()
    assert notes["text"].startswith("# web-1.0")
    rows = (await web(V, "GET", "/v1/journal?release=web-r1")).json()
    assert [row["kind"] for row in rows] == ["cut", "pushed"]
    early = await web(D, "POST", "/v1/apps/web/rollouts", json={"build": "web-r1"})
    assert early.status_code == 409
    assert "web-r1 has no build of" in early.json()["sentence"]
    missing = await web(V, "GET", "/v1/releases/web-r9")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_an_app_without_a_repository_says_what_is_missing(web: Web) -> None:
    await configure(web, AppConfig(name="web"))
    answer = await web(D, "POST", "/v1/apps/web/releases", json={})
    assert answer.json()["sentence"] == (
        "web has no repository: its configuration has no table [releases]"
    )


@pytest.mark.parametrize(
    "ref", ["-x", "--upload-pack=touch /tmp/x", "a..b", "x y", "a\nb", "$(id)", "HEAD:x", "a" * 256]
)
async def test_hostile_names_are_refused(web: Web, origin: Origin, ref: str) -> None:
    await configure(web, web_with(origin))
    answer = await web(D, "POST", "/v1/apps/web/releases", json={"until": ref})
    assert answer.status_code in (400, 404), answer.text


@pytest.mark.parametrize(
    "address",
    ["ext::sh -c id", "-oProxyCommand=x", "relative/path", "https://x y", "", "fd::1"],
)
async def test_hostile_addresses_are_refused(web: Web, address: str) -> None:
    body = {"name": "web", "releases": {"repository": address}}
    answer = await web(A, "PUT", "/v1/apps/web", json=body)
    assert answer.status_code == 400, answer.text


async def test_a_smoke_program_that_the_server_does_not_name_is_refused(web: Web) -> None:
    body = {"name": "web", "smoke": [{"command": ["/bin/rm", "-rf"]}]}
    answer = await web(A, "PUT", "/v1/apps/web", json=body)
    assert answer.status_code == 400
    assert "'/bin/rm' is not one of the server's smoke_programs" in answer.json()["sentence"]
    both = {"name": "web", "smoke": [{"command": ["/bin/sh"], "url": "http://x"}]}
    assert (await web(A, "PUT", "/v1/apps/web", json=both)).status_code == 400


async def test_a_freeze_is_declared_shown_and_ended(web: Web, clock: Clock) -> None:
    await configure(web, AppConfig(name="web", schedule=Schedule(zone="Europe/Berlin")))
    clock.now = 1795600000.0  # Wednesday, 2026-11-25 10:46 in Berlin
    body = {"end": "2026-11-27", "reason": "an audit"}
    made = await web(D, "POST", "/v1/apps/web/freezes", json=body)
    assert made.status_code == 201, made.text
    sentence = (
        "frozen until Sat 2026-11-28 00:00 (Europe/Berlin): an audit (by the-deployer); "
        "hotfixes may go"
    )
    assert (await web(V, "GET", "/v1/apps/web/schedule")).json()["barred"] == sentence
    assert sentence in (await web(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    freeze = made.json()["id"]
    assert (await web(V, "DELETE", f"/v1/freezes/{freeze}")).status_code == 403
    assert (await web(D, "DELETE", f"/v1/freezes/{freeze}")).status_code == 204
    assert (await web(D, "DELETE", f"/v1/freezes/{freeze}")).status_code == 404
    assert (await web(V, "GET", "/v1/apps/web/schedule")).json()["barred"] == ""
    past = {"end": "2026-11-01", "reason": "x"}
    assert (await web(D, "POST", "/v1/apps/web/freezes", json=past)).status_code == 400


async def test_the_shift_is_taken_and_handed_over(web: Web, clock: Clock) -> None:
    rota = Rota(("ann", "bob"), "2026-11-23 09:00")
    await configure(web, AppConfig(name="web", schedule=Schedule(rota=rota)))
    clock.now = 1795600000.0
    shift = (await web(V, "GET", "/v1/apps/web/schedule")).json()["shift"]
    assert (shift["person"], shift["why"]) == ("ann", "by the rota")
    took = await web(D, "POST", "/v1/apps/web/shift", json={"reason": "ann is ill"})
    assert took.json()["shift"]["person"] == "the-deployer"
    assert took.json()["shift"]["why"] == "took over from ann: ann is ill"
    again = await web(D, "POST", "/v1/apps/web/shift", json={})
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    handed = await web(D, "POST", "/v1/apps/web/shift", json={"person": "the-admin"})
    assert handed.json()["shift"]["why"] == "handed over by the-deployer"
    nobody = await web(D, "POST", "/v1/apps/web/shift", json={"person": "zoe"})
    assert nobody.status_code == 404
    node = await web(D, "POST", "/v1/apps/web/shift", json={"person": "n1"})
    assert node.status_code == 404, "a node has no shift"
    clock.now += 7 * 86400
    assert (await web(V, "GET", "/v1/apps/web/schedule")).json()["shift"]["person"] == "bob"
    rows = (await web(V, "GET", "/v1/journal?app=web")).json()
    assert [row["why"] for row in rows if row["kind"] == "shift"] == [
        "the-deployer takes the shift over from ann: ann is ill",
        "the-deployer hands the shift to the-admin",
    ]


async def test_a_schedule_that_makes_no_sense_is_refused(web: Web) -> None:
    body = {"name": "web", "schedule": {"zone": "Mars/Olympus"}}
    answer = await web(A, "PUT", "/v1/apps/web", json=body)
    assert "there is no time zone 'Mars/Olympus'" in answer.json()["sentence"]
    unknown = {"name": "web", "schedule": {"zoen": "UTC"}}
    assert (await web(A, "PUT", "/v1/apps/web", json=unknown)).status_code == 400


async def test_a_hold_on_the_app_binds_both_lanes_and_one_on_a_lane_that_lane(
    web: Web, origin: Origin
) -> None:
    await configure(web, web_with(origin))
    await configure(web, AppConfig(name="web-flags", plans={"default": PLAN}))

    async def bound(app: str) -> list[str]:
        situation = await web.plane.engine.situation(app)
        return [hold.reason for hold in situation.holds if hold.on == app]

    async def hold(scope: str, on: str) -> str:
        body = {"scope": scope, "on": on, "reason": f"{scope} {on}"}
        answer = await web(D, "POST", "/v1/holds", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    whole = await hold("app", "web")
    assert await bound("web") == ["app web"]
    assert await bound("web-flags") == ["app web (on web)"]
    await web(D, "DELETE", f"/v1/holds/{whole}")
    await hold("lane", "web/code")
    await hold("lane", "web/config")
    assert await bound("web") == ["lane web/code (on web/code)"]
    assert await bound("web-flags") == ["lane web/config (on web/config)"]
    for body in (
        {"scope": "lane", "on": "web/fast", "reason": "x"},
        {"scope": "lane", "on": "web-flags/code", "reason": "x"},
    ):
        assert (await web(D, "POST", "/v1/holds", json=body)).status_code in (400, 404)


async def test_a_message_counts_once_and_only_if_it_is_signed(web: Web, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    web.plane.workshop._settings["hub"] = ForgeSettings(
        ForgeKind.GITHUB, webhook_secret_file=secret
    )
    body = b'{"ref":"refs/heads/main"}'
    signed = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()

    async def send(signature: str, delivery: str, to: str = "hub") -> int:
        headers = {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": delivery}
        answer = await web(None, "POST", f"/v1/hooks/{to}", content=body, headers=headers)
        return int(answer.status_code)

    assert await send(signed, "1") == 400, "a secret that others can read is none"
    secret.chmod(0o600)
    assert await send("sha256=" + "0" * 64, "1") == 401
    assert await send("", "1") == 401
    assert await send(signed, "1", "lab") == 404
    assert web.plane.releases.heard == 0
    assert await send(signed, "1") == 202
    assert await send(signed, "2") == 202, "another delivery id does not make it another message"
    assert web.plane.releases.heard == 1


async def test_why_tells_of_the_train_and_who_leads_it(web: Web) -> None:
    await configure(web, AppConfig(name="web", plans={"default": PLAN}))
    before = (await web(V, "GET", "/v1/apps/web/why")).json()["sentences"]
    assert not any("the train" in sentence for sentence in before)
    await web.plane.trains.ask("web", Join("ann"), "join", "ann")
    (told,) = [
        sentence
        for sentence in (await web(V, "GET", "/v1/apps/web/why")).json()["sentences"]
        if "the train" in sentence
    ]
    assert told.startswith("the train is boarding with 1 rider, led by ann: ")
