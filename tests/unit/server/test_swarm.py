"""Who fetches from where: few from the origin, however many there are, whatever becomes of them."""

import heapq
import random
from collections import Counter

import pytest

from headway.server.swarm import GRANTED_SECONDS, SEEDERS, SERVED, STRIKES, Swarm


def at(node: str) -> str:
    return f"10.0.0.1:{1000 + int(node[1:])}"


def ask(swarm: Swarm, node: str, now: float = 0.0, failed: tuple[str, ...] = ()):
    return swarm.ask(node, at(node), failed, now)


def test_the_first_are_seeders_and_the_others_wait() -> None:
    swarm = Swarm()
    answers = [ask(swarm, f"n{number}") for number in range(10)]
    assert [answer.origin for answer in answers] == [True] * SEEDERS + [False] * (10 - SEEDERS)
    assert all(answer.again > 0 for answer in answers[SEEDERS:])


def test_one_that_has_it_serves_a_few_at_a_time_and_the_next_when_one_is_done() -> None:
    swarm = Swarm()
    ask(swarm, "n0")
    ask(swarm, "n1")
    swarm.arrived("n0")
    sent = [ask(swarm, f"n{number}") for number in range(10, 10 + SERVED + 1)]
    assert [answer.peer for answer in sent] == ["n0"] * SERVED + [None]
    assert sent[0].address == at("n0")
    swarm.arrived("n10")
    assert {ask(swarm, "n20").peer, ask(swarm, "n21").peer} == {"n0", "n10"}


def test_a_seeder_that_does_not_arrive_is_written_off() -> None:
    swarm = Swarm()
    for number in range(SEEDERS):
        ask(swarm, f"n{number}")
    assert not ask(swarm, "n8", GRANTED_SECONDS - 1).origin
    assert ask(swarm, "n8", GRANTED_SECONDS + 1).origin


def test_a_seeder_that_asks_again_is_a_seeder_again() -> None:
    swarm = Swarm()
    assert all(ask(swarm, "n0", now).origin for now in (0.0, 5.0, 10.0))


def test_nobody_is_sent_where_it_failed_and_after_some_complaints_nobody_at_all() -> None:
    swarm = Swarm()
    for node in ("n0", "n1"):
        ask(swarm, node)
        swarm.arrived(node)
    for number in range(10, 10 + STRIKES):
        assert ask(swarm, f"n{number}", failed=("n0",)).peer not in ("n0", None)
        swarm.arrived(f"n{number}")
    peers = Counter(ask(swarm, f"n{number}").peer for number in range(20, 40))
    assert "n0" not in peers


def test_one_node_alone_can_accuse_nobody_away() -> None:
    swarm = Swarm()
    ask(swarm, "n0")
    swarm.arrived("n0")
    for _ in range(10):
        ask(swarm, "n9", failed=("n0",))
    assert ask(swarm, "n10").peer == "n0"


def test_where_all_holders_are_shunned_the_origin_is_asked_again() -> None:
    swarm = Swarm()
    for node in ("n0", "n1"):
        ask(swarm, node)
        swarm.arrived(node)
    answers = [ask(swarm, f"n{number}", failed=("n0", "n1")) for number in range(10, 20)]
    assert sum(answer.origin for answer in answers) == SEEDERS


def test_a_node_that_nobody_asked_of_is_no_holder() -> None:
    swarm = Swarm()
    swarm.arrived("n5")
    assert swarm.holders == 0


@pytest.mark.parametrize("size", [10, 1000, 10_000])
def test_the_origin_is_asked_by_as_few_in_a_large_fleet(size: int) -> None:
    """Virtual time: a transfer takes ten seconds, a twentieth of nodes dies in it."""
    dice = random.Random(size)
    swarm, events = Swarm(), [(dice.random(), f"n{number}", "ask") for number in range(size)]
    heapq.heapify(events)
    origin, there = 0, set()
    while events:
        now, node, what = heapq.heappop(events)
        if what == "there":
            there.add(node)
            swarm.arrived(node)
            continue
        answer = ask(swarm, node, now)
        if answer.origin or answer.peer:
            origin += answer.origin
            if dice.random() > 0.05:
                heapq.heappush(events, (now + 10, node, "there"))
            continue
        heapq.heappush(events, (now + answer.again * dice.uniform(0.5, 1.5), node, "ask"))
        assert now < 3600
    assert len(there) > 0.9 * size - 5
    assert origin <= 5 * SEEDERS
