"""Who asks too often is told to wait; nobody else notices."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from litestar.testing import AsyncTestClient

from headway.core.budget import Rate
from headway.errors import Busy
from headway.model.access import Role
from headway.model.report import Activity, Report
from headway.server import turnstile
from headway.server.app import create_app
from headway.server.plane import ControlPlane
from headway.server.turnstile import LimitSettings, Turnstile, Whose
from tests.unit.server.conftest import Web

pytestmark = pytest.mark.anyio

LIMITS = LimitSettings(tokens=Rate(1.0, 5), addresses=Rate(1.0, 7), failures=Rate(1.0, 3))


@dataclass
class Now:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
async def narrow(web: Web, plane: ControlPlane, now: Now) -> AsyncIterator[Web]:
    """The application with small budgets."""
    app = create_app(plane, limits=LIMITS)
    app.state.turnstile = Turnstile(LIMITS, now)
    yield Web(AsyncTestClient(app, raise_server_exceptions=False), web.secrets, plane)


async def test_a_token_has_a_budget_of_its_own(narrow: Web, now: Now) -> None:
    for _ in range(5):
        assert (await narrow(Role.VIEWER, "GET", "/v1/whoami")).status_code == 200
    refused = await narrow(Role.VIEWER, "GET", "/v1/apps")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json() == {
        "code": "busy",
        "sentence": "too many requests in your name: more than 1 a second for longer than a "
        "burst of 5; try again in 1 second",
        "status": 429,
        "type": "/problems/busy",
    }
    assert (await narrow(Role.DEPLOYER, "GET", "/v1/apps")).status_code == 200
    assert (await narrow(None, "GET", "/v1/health")).status_code == 200
    now.seconds += 1
    assert (await narrow(Role.VIEWER, "GET", "/v1/apps")).status_code == 200
    assert (await narrow(Role.VIEWER, "GET", "/v1/apps")).status_code == 429


async def test_strangers_share_that_of_their_address(narrow: Web) -> None:
    answers = [(await narrow(None, "GET", "/v1/health")).status_code for _ in range(8)]
    assert answers == [200] * 7 + [429]
    assert (await narrow(Role.VIEWER, "GET", "/v1/whoami")).status_code == 200


async def test_who_tries_tokens_is_stopped_sooner_and_bars_nobody_who_has_one(narrow: Web) -> None:
    wrong = {"Authorization": "Bearer hw_wrong"}
    answers = [await narrow(None, "GET", "/v1/whoami", headers=wrong) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert "without a token that is valid" in answers[-1].json()["sentence"]
    assert (await narrow(Role.VIEWER, "GET", "/v1/whoami")).status_code == 200


async def test_a_fleet_behind_one_address_is_never_stopped(narrow: Web) -> None:
    assert (await narrow(Role.NODE, "POST", "/v1/node/enrol", json={
        "node": "n1", "zone": "z", "tiers": {}
    })).status_code == 204  # fmt: skip
    for number in range(50):
        report = Report("n1", "web", "b", number, 0, Activity.IDLE, None, None, "", 1.0)
        body = msgspec.json.encode([report])
        answer = await narrow(Role.NODE, "POST", "/v1/node/reports", content=body)
        assert answer.status_code != 429
        assert (await narrow(Role.NODE, "GET", "/v1/store/web/x")).status_code == 404
        assert (await narrow(None, "POST", "/v1/hub/reports", content=b"[]")).status_code == 200


async def test_the_usual_budget_is_not_felt(web: Web) -> None:
    for _ in range(400):
        assert (await web(Role.VIEWER, "GET", "/v1/whoami")).status_code == 200


def test_zero_sets_no_limit() -> None:
    free = Turnstile(LimitSettings(tokens=Rate(0.0, 1)), lambda: 0.0)
    for _ in range(10_000):
        free.pass_(Whose.TOKEN, "ci")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "MOST_KEPT", 100)
    crowd = Turnstile(LIMITS, lambda: 0.0)
    for number in range(1000):
        crowd.pass_(Whose.ADDRESS, f"10.0.{number // 250}.{number % 250}")
    assert len(crowd._buckets) == 100


def test_a_name_and_an_address_that_look_alike_are_two() -> None:
    both = Turnstile(LIMITS, lambda: 0.0)
    for _ in range(5):
        both.pass_(Whose.TOKEN, "10.0.0.1")
    with pytest.raises(Busy):
        both.pass_(Whose.TOKEN, "10.0.0.1")
    both.pass_(Whose.ADDRESS, "10.0.0.1")
