"""Each rule of agents, wave, green and store has a mutant that breaks it; the simulation tells."""

from collections.abc import Callable

import pytest
from msgspec import structs

from headway.core import goal, green, journal, rollout, signalling, walk, wave
from headway.model.rollout import NodeState
from headway.testing.simulation import database, replay, shrink, simulate
from headway.testing.simulation.agent import Agent
from headway.testing.simulation.network import Store

Mutate = Callable[[pytest.MonkeyPatch], None]

MOST_STEPS = 600_000


def agents_follow_any_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agent, "_is_newer", lambda agent, heard: True)


def state_is_written_after_acting(patch: pytest.MonkeyPatch) -> None:
    def learn(agent):
        agent.state = structs.replace(agent.state, signal=agent.signal, record=agent.record)
        yield

    patch.setattr(Agent, "_learn", learn)


def the_page_cache_is_trusted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agent, "_remember", lambda agent: agent.disk.read("state"))


def slots_are_not_marked_dirty(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agent, "_mark_dirty", lambda agent, slot: iter(()))


def slots_are_not_synced(patch: pytest.MonkeyPatch) -> None:
    from headway.testing.simulation.machine import Disk

    genuine = Disk.sync

    def sync(disk, directory=""):
        if directory == "":
            genuine(disk)

    patch.setattr(Disk, "sync", sync)


def failures_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agent, "has_failed", lambda agent, build: False)
    patch.setattr(goal, "has_failed", lambda *facts: False)


def writes_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "_is_at", lambda store, key, expect: True)


def concurrency_is_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wave, "_fits", lambda busy, zone, bound: True)


def unknown_nodes_are_healthy(patch: pytest.MonkeyPatch) -> None:
    genuine = green.within

    def optimistic(nodes, front):
        return [
            structs.replace(node, state=NodeState.DONE) if node.state is NodeState.UNKNOWN else node
            for node in genuine(nodes, front)
        ]

    patch.setattr(green, "within", optimistic)


def missing_data_is_good_news(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(green, "_silent", lambda state, step, verdicts: [])


def changes_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forgetful(before, after):
        row = journal.changes(before, after)
        if before is not None:
            row.pop("objections", None)
        return row

    patch.setattr(database, "changes", forgetful)


def epochs_stand_still(patch: pytest.MonkeyPatch) -> None:
    genuine = signalling.signalled

    def same_epoch(state, by, why, now):
        return genuine(structs.replace(state, epoch=max(1, state.epoch - 1)), by, why, now)

    patch.setattr(rollout, "signalled", same_epoch)
    patch.setattr(walk, "signalled", same_epoch)


def failed_nodes_take_no_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wave, "_is_moving", lambda node: node.state is NodeState.MOVING)


@pytest.mark.parametrize(
    ("mutate", "laws"),
    [
        (agents_follow_any_epoch, {"epochs"}),
        (state_is_written_after_acting, {"epochs"}),
        (the_page_cache_is_trusted, {"epochs"}),
        (slots_are_not_marked_dirty, {"whole"}),
        (slots_are_not_synced, {"whole"}),
        (failures_are_forgotten, {"retry"}),
        (writes_are_not_compared, {"fence"}),
        (concurrency_is_ignored, {"concurrency"}),
        (unknown_nodes_are_healthy, {"green"}),
        (missing_data_is_good_news, {"data"}),
        (changes_are_forgotten, {"journal"}),
        (epochs_stand_still, {"epochs", "fence", "table"}),
    ],
)
def test_the_mutant_is_caught(
    mutate: Mutate, laws: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    failure = simulate(1, MOST_STEPS).failure
    assert failure is not None, f"not caught within {MOST_STEPS:,} steps"
    assert failure.law in laws, failure.sentence
    print(f"{mutate.__name__}: {failure.law} after {failure.step:,} steps")


def test_what_a_mutant_breaks_shrinks_to_a_short_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    agents_follow_any_epoch(monkeypatch)
    failure = simulate(1, MOST_STEPS).failure
    assert failure is not None
    shortest = shrink(failure)
    assert len(shortest.schedule.choices) <= 30
    broken = replay(shortest.schedule)
    assert broken is not None
    assert (broken.law, broken.sentence) == (shortest.law, shortest.sentence)
    monkeypatch.undo()
    assert replay(shortest.schedule) is None, "the genuine agent keeps the law"
