"""Killed at, or failed by, the n-th of every system call of an activation: never a mixture.

A sample of the occurrences in which every call and fault is met; all of them by ``make faults``.
"""

import random
from collections import Counter

from tests.faults.labs import CallLab, Case
from tests.faults.stage import FULL, seed

FAULTS = ("signal=SIGKILL", "error=EIO", "error=ENOSPC")
SAMPLE = 120


def sample(occurrences: list[tuple[str, int]], dice: random.Random) -> list[Case]:
    """Every call with every fault, and the rest of the room filled up by chance."""
    cases = [(call, number, fault) for call, number in occurrences for fault in FAULTS]
    if FULL:
        return cases
    dice.shuffle(cases)
    first = list({(call, fault): (call, number, fault) for call, number, fault in cases}.values())
    rest = [case for case in cases if case not in set(first)]
    return first + rest[: max(0, SAMPLE - len(first))]


def test_the_old_or_the_new_build_whole_whichever_call_fails(call_lab: CallLab) -> None:
    occurrences = call_lab.occurrences()
    cases = sample(occurrences, random.Random(seed()))
    wrong: dict[Case, str] = {}
    met: Counter[tuple[str, str]] = Counter()
    for case in cases:
        try:
            met[case[2], call_lab.suffer(case)] += 1
        except AssertionError as error:
            wrong[case] = str(error)[:2000]
    print(f"{len(cases)} faults over {len(occurrences)} occurrences: {dict(met)}")
    told = "\n".join(f"{case}: {why}" for case, why in sorted(wrong.items()))
    assert not wrong, f"{len(wrong)} of {len(cases)} went wrong:\n{told}"
    assert not met["signal=SIGKILL", "went through"], "the occurrences are not where they were"
    assert met["error=EIO", "failed"] > met["error=EIO", "went through"] / 10
