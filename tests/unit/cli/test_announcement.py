"""``headway announcement``: what has not arrived, and sending it again."""

from typing import Any

import pytest

from headway.model.announcement import Announcement, Delivery, Occasion
from tests.unit.cli.fake_api import FakeApi


def delivery(id: int, to: str) -> Delivery:
    told = Announcement(f"id-{id}", 1.0, Occasion.STEP, "web", "canary 100 % is green", "web-4")
    return Delivery(id, to, told, 3, 2.0, True, "grafana does not want it (404)")


@pytest.fixture
def told(api: FakeApi) -> FakeApi:
    dead = [delivery(1, "grafana"), delivery(2, "ops"), delivery(3, "grafana")]
    api.on("GET", "/v1/announcements", dead)
    for one in dead:
        api.on("POST", f"/v1/announcements/{one.id}/retry", None)
    return api


def test_what_was_given_up_is_listed_with_its_reason(headway: Any, told: FakeApi) -> None:
    ended = headway("announcement", "list", "--dead")
    assert ended.code == 0
    assert told.asked[0].query["dead"] == ["true"]
    assert "step web" in ended.out
    assert "grafana does not want it (404)" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("arguments", "sent", "sentence"),
    [
        (("2",), [2], "1 announcement to be sent again.\n"),
        (("1", "2"), [1, 2], "2 announcements to be sent again.\n"),
        (("--to", "grafana"), [1, 3], "2 announcements to be sent again.\n"),
        (("--to", "nowhere"), [], "0 announcements to be sent again.\n"),
    ],
)
def test_it_is_sent_again(
    headway: Any, told: FakeApi, arguments: tuple[str, ...], sent: list[int], sentence: str
) -> None:
    ended = headway("announcement", "retry", *arguments)
    assert (ended.code, ended.out, ended.err) == (0, sentence, "")
    posts = [one.path for one in told.asked if one.method == "POST"]
    assert posts == [f"/v1/announcements/{number}/retry" for number in sent]


@pytest.mark.parametrize("arguments", [(), ("1", "--to", "ops")])
def test_it_must_be_said_what(headway: Any, told: FakeApi, arguments: tuple[str, ...]) -> None:
    ended = headway("announcement", "retry", *arguments)
    assert ended.code == 2
    assert "either IDs, or --to and a place" in ended.err
    assert not told.asked
