import asyncio
import time

import pytest

from headway.signals.turns import SLICE_SECONDS, Turns

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_work_is_done_in_its_order() -> None:
    turns, done = Turns(), []
    for number in range(100):
        turns.add(lambda number=number: done.append(number))  # type: ignore[misc]
    while len(done) < 100:
        await asyncio.sleep(0)
    assert done == list(range(100))


async def test_what_comes_in_meanwhile_does_not_wait_for_all_of_it() -> None:
    turns, done = Turns(), []

    def work() -> None:
        time.sleep(SLICE_SECONDS / 2)
        done.append(1)

    for _ in range(40):
        turns.add(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < len(done) < 40, "the loop had its turn between"
    while len(done) < 40:
        await asyncio.sleep(0)


async def test_work_may_bring_more_work() -> None:
    turns, done = Turns(), []
    turns.add(lambda: turns.add(lambda: done.append("more")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["more"]


async def test_work_that_fails_keeps_no_other_waiting() -> None:
    turns, done, told = Turns(), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    turns.add(lambda: done[0])
    turns.add(lambda: done.append("after"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert done == ["after"]
    assert isinstance(told[0]["exception"], IndexError)
