"""Each promise of the train has a mutant that breaks it, and the stateful test catches it."""

from collections.abc import Callable

import pytest
from hypothesis import Phase as Search
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs

from headway.core import lead, notices, patch, ride, riding, train
from headway.model.train import SignOff
from tests.stateful.test_train import TrainMachine

Mutate = Callable[[pytest.MonkeyPatch], None]


def sign_offs_outlive_the_build(patch: pytest.MonkeyPatch) -> None:
    def forgetful(build="", tier=""):
        return SignOff("" if not build else "any", tier)

    patch.setattr(ride, "SignOff", forgetful)
    patch.setattr(riding, "SignOff", forgetful)


def uhoh_stops_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ride, "LIVE", frozenset())


def holds_hold_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ride, "_not_blocked", lambda train: None)


def lifting_a_hold_ends_the_freeze(patch: pytest.MonkeyPatch) -> None:
    genuine = notices._unhold

    def thaw(train, by):
        decision = genuine(train, by)
        return structs.replace(decision, state=structs.replace(decision.state, frozen=""))

    patch.setattr(notices, "_unhold", thaw)


def cars_under_way_vanish(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(riding, "has_left", lambda train, car: False)


def anybody_drives(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ride, "_leads", lambda train, by: None)


def whoever_is_silent_leads_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lead, "keep", lambda train, settings, now: (train, (), ""))


def nobody_needs_to_sign(patch: pytest.MonkeyPatch) -> None:
    for module in (ride, train):
        patch.setattr(module, "missing", lambda state: ())


def cars_have_room_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(riding, "_has_room", lambda train, car, size: not riding.has_left(train, car))


def the_lead_is_lost_at_once(patch: pytest.MonkeyPatch) -> None:
    genuine = lead.keep

    def hasty(state, settings, now):
        return genuine(state, structs.replace(settings, lease=60.0), now)

    patch.setattr(lead, "keep", hasty)


def changes_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = patch.difference

    def forgetful(before, after):
        row = genuine(before, after)
        if before is not None:
            row.pop("objections", None)
        return row

    monkeypatch.setattr(patch, "difference", forgetful)


def a_word_said_twice_counts_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(notices, "_is_same", lambda hold, known: False)


@pytest.mark.parametrize(
    "mutate",
    [
        sign_offs_outlive_the_build,
        uhoh_stops_nothing,
        holds_hold_nothing,
        lifting_a_hold_ends_the_freeze,
        cars_under_way_vanish,
        anybody_drives,
        whoever_is_silent_leads_for_ever,
        nobody_needs_to_sign,
        cars_have_room_for_all,
        the_lead_is_lost_at_once,
        changes_are_forgotten,
        a_word_said_twice_counts_twice,
    ],
)
def test_the_mutant_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    search = settings(
        max_examples=2000,
        stateful_step_count=50,
        deadline=None,
        database=None,
        phases=[Search.generate],
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises((AssertionError, KeyError, AttributeError)):
        run_state_machine_as_test(TrainMachine, settings=search)
