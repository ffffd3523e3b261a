"""Each promise of the rollout has a mutant that breaks it, and the stateful test catches it."""

from collections.abc import Callable

import pytest
from hypothesis import Phase as Search
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import structs

from headway.core import fleet, green, overtaken, rollout, signalling, transitions, walk, wave
from headway.model.rollout import Decision, NodeState, Phase, Revert
from tests.stateful.test_rollout import RolloutMachine

Mutate = Callable[[pytest.MonkeyPatch], None]


def epochs_stand_still(patch: pytest.MonkeyPatch) -> None:
    genuine = signalling.signalled

    def same_epoch(state, by, why, now):
        return genuine(structs.replace(state, epoch=max(7, state.epoch - 1)), by, why, now)

    patch.setattr(rollout, "signalled", same_epoch)
    patch.setattr(walk, "signalled", same_epoch)


def concurrency_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wave, "_fits", lambda busy, zone, bound: True)


def silent_nodes_are_healthy(patch: pytest.MonkeyPatch) -> None:
    genuine = green.within

    def optimistic(nodes, front):
        return [
            structs.replace(node, state=NodeState.DONE) if node.state is NodeState.UNKNOWN else node
            for node in genuine(nodes, front)
        ]

    patch.setattr(green, "within", optimistic)


def old_reports_are_believed(patch: pytest.MonkeyPatch) -> None:
    genuine = fleet.see

    def credulous(app, member, signal, now, silent_after):
        signal = structs.replace(signal, turned=0) if signal else None
        return genuine(app, member, signal, now, silent_after)

    patch.setattr(fleet, "see", credulous)


def pauses_wear_off(patch: pytest.MonkeyPatch) -> None:
    genuine = rollout._observe

    def impatient(state, event, now):
        if state.phase is Phase.PAUSED and state.resume_to:
            return Decision(structs.replace(state, phase=state.resume_to), why="tired of waiting")
        return genuine(state, event, now)

    patch.setattr(rollout, "_observe", impatient)


def reverts_are_refused_while_paused(patch: pytest.MonkeyPatch) -> None:
    row = {k: v for k, v in transitions.TABLE[Phase.PAUSED].items() if k is not Revert}
    patch.setattr(rollout, "TABLE", {**transitions.TABLE, Phase.PAUSED: row})


def changes_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    from headway.core import journal

    genuine = journal.changes

    def forgetful(before, after):
        row = genuine(before, after)
        if before is not None:
            row.pop("waived", None)
        return row

    patch.setattr(journal, "changes", forgetful)


def missing_data_is_good_news(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(green, "_silent", lambda state, step, verdicts: [])


def emergencies_are_written_over(patch: pytest.MonkeyPatch) -> None:
    def stubborn(state, event, now):
        return signalling.signalled(state, "headway", "as I said", now)

    patch.setattr(overtaken, "take_over", stubborn)


def lost_stores_stay_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overtaken, "say_again", lambda state, event, now: Decision(state, why="so what"))


def steps_begin_at_night(patch: pytest.MonkeyPatch) -> None:
    genuine = rollout._observe

    def sleepless(state, event, now):
        return genuine(state, structs.replace(event, barred=""), now)

    patch.setattr(rollout, "_observe", sleepless)


def nobody_signs_off(patch: pytest.MonkeyPatch) -> None:
    genuine = green._waiting_for

    def hasty(state, step, *rest):
        return genuine(state, structs.replace(step, sign_off=0), *rest)

    patch.setattr(green, "_waiting_for", hasty)


@pytest.mark.parametrize(
    "mutate",
    [
        epochs_stand_still,
        concurrency_is_ignored,
        silent_nodes_are_healthy,
        old_reports_are_believed,
        pauses_wear_off,
        reverts_are_refused_while_paused,
        changes_are_forgotten,
        missing_data_is_good_news,
        emergencies_are_written_over,
        lost_stores_stay_lost,
        steps_begin_at_night,
        nobody_signs_off,
    ],
)
def test_the_mutant_is_caught(mutate: Mutate, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    search = settings(
        max_examples=2000,
        stateful_step_count=60,
        deadline=None,
        database=None,
        phases=[Search.generate],
        derandomize=True,
        report_multiple_bugs=False,
    )
    with pytest.raises((AssertionError, KeyError)):
        run_state_machine_as_test(RolloutMachine, settings=search)
