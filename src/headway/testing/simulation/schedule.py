"""Schedules: drawn from a seed, replayed, and made as short as they can be."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from headway.testing.simulation.laws import Broken
from headway.testing.simulation.world import CHOICE_BITS, World

_RUN = 8

EPISODE = 4000
"""After so many choices a world comes to rest, and another one begins."""


class Schedule(Struct, frozen=True):
    """The shape of a world, and what happens in it."""

    shape: int
    choices: tuple[int, ...]


class Failure(Struct, frozen=True):
    """What a schedule has broken, and at which step of the whole run that was."""

    schedule: Schedule
    law: str
    sentence: str
    step: int


class Run(Struct, frozen=True):
    """What has been seen: the steps made, how often what was met, and the failure, if any."""

    seed: int
    steps: int
    met: dict[str, int]
    failure: Failure | None = None


def simulate(seed: int, steps: int, told: Callable[[int], None] = lambda steps: None) -> Run:
    """At least so many steps from one seed, or up to a failure; ``told`` of each world's end."""
    dice = random.Random(seed)  # noqa: S311 - a simulation is to be repeatable
    made, met = 0, Counter[str]()
    while made < steps:
        shape = dice.getrandbits(CHOICE_BITS)
        draw = dice.getrandbits
        choices = [draw(CHOICE_BITS) for _ in range(EPISODE)]
        world = World(shape)
        broken = _live_through(world, choices)
        made += world.steps
        met += world.laws.met
        if broken is not None:
            schedule = Schedule(shape, tuple(choices[: world.steps]))
            failure = Failure(schedule, broken.law, broken.sentence, made)
            return Run(seed, made, dict(met), failure)
        told(made)
    return Run(seed, made, dict(met))


def replay(schedule: Schedule) -> Broken | None:
    """What a schedule breaks, if anything."""
    return _live_through(World(schedule.shape), schedule.choices)


def shrink(failure: Failure) -> Failure:
    """The shortest schedule that was found to break the same law.

    No run of up to eight choices can be left out of it.
    """
    shortest, size = failure, len(failure.schedule.choices)
    while size > _RUN:
        shortest = _without(shortest, size)
        size //= 2
    while True:
        before = len(shortest.schedule.choices)
        for size in range(_RUN, 0, -1):
            shortest = _without(shortest, size)
        if len(shortest.schedule.choices) == before:
            return shortest


def _without(failure: Failure, size: int) -> Failure:
    """The failure without those of its choices that can be left out, ``size`` at a time."""
    start = 0
    while start < len(failure.schedule.choices):
        choices, shape = failure.schedule.choices, failure.schedule.shape
        tried = choices[:start] + choices[start + size :]
        world = World(shape)
        broken = _live_through(world, tried)
        if broken is None or broken.law != failure.law:
            start += max(1, size // 2)
            continue
        left = tried[: world.steps]
        failure = Failure(Schedule(shape, left), broken.law, broken.sentence, len(left))
    return failure


def tell(schedule: Schedule) -> list[str]:
    """What happens in a schedule, a line for each choice."""
    world = World(schedule.shape)
    lines = []
    for choice in schedule.choices:
        lines.append(world.describe(choice))
        try:
            world.step(choice)
        except Broken:
            break
    return lines


def _live_through(world: World, choices: Sequence[int]) -> Broken | None:
    try:
        step = world.step
        for choice in choices:
            step(choice)
        world.calm()
    except Broken as broken:
        return broken
    return None
