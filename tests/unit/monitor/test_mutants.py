"""Monitors that break one promise each: the tests of the promise must catch them."""

from collections.abc import Callable
from typing import Any

import pytest
from rich.text import Text

from headway.cli import screen
from headway.monitor import app, dialogs, face, look, node_map
from headway.monitor.app import Monitor
from headway.monitor.dialogs import Confirm
from headway.monitor.keys import Deed
from tests.unit.monitor import test_app, test_face
from tests.unit.monitor.test_app import anyio_backend, at_once

__all__ = ["anyio_backend", "at_once"]

pytestmark = pytest.mark.anyio


def fires_whatever_is_shown(_: Monitor, key: str, deed: Deed | None) -> str:
    return "" if deed else f"{key} does nothing"


def caught(run: Callable[[], Any]) -> None:
    with pytest.raises(AssertionError):
        run()


async def caught_while(test: Any, monkeypatch: pytest.MonkeyPatch, *given: Any) -> None:
    monkeypatch.setattr(test_app, "PATIENCE", 1.0)
    with pytest.raises(AssertionError):
        await test(*given)


async def test_one_whose_keys_fire_on_what_was_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Monitor, "_refusal", fires_whatever_is_shown)
    test = test_app.test_what_has_changed_under_the_finger_does_not_fire
    await caught_while(test, monkeypatch, monkeypatch)


async def test_one_that_goes_forward_while_it_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Monitor, "_refusal", fires_whatever_is_shown)
    test = test_app.test_a_lost_connection_is_told_with_its_age_and_holds_forward_keys_back
    await caught_while(test, monkeypatch)


async def test_one_whose_dialog_lets_everything_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Confirm, "still_offered", lambda self: True)
    for test in (
        test_app.test_a_dialog_lets_nothing_through_that_has_gone_meanwhile,
        test_app.test_a_dialog_is_about_the_rollout_that_it_was_opened_for,
    ):
        await caught_while(test, monkeypatch)


async def test_one_that_acts_without_saying_what_it_has_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "ActionRequest", lambda reason, seen: _Request(reason))
    test = test_app.test_a_key_acts_on_just_what_is_shown
    await caught_while(test, monkeypatch, test_app.Phase.WAITING, "a", "advance")


class _Request:
    def __init__(self, reason: str) -> None:
        self.reason, self.seen = reason, None


def test_one_that_shows_the_first_of_a_cell_and_not_the_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_map, "worst", lambda letters: letters[0])
    node_map._rows.cache_clear()
    try:
        caught(test_face.test_one_failed_node_of_ten_thousand_is_seen_on_the_map)
    finally:
        node_map._rows.cache_clear()


def test_one_that_draws_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (screen, look, face, dialogs):
        if hasattr(module, "said"):
            monkeypatch.setattr(module, "said", lambda text, style="": Text(text, style))
    caught(test_face.test_hostile_text_is_text)
