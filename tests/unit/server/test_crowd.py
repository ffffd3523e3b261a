"""Many at once: nodes that enrol together, and reports that share a transaction."""

import asyncio

import pytest

from headway.errors import StorageFailed
from headway.model.access import Identity, Role
from headway.model.report import Activity, Enrolment, Report
from headway.server.database import nodes
from headway.server.database import reports as table
from headway.server.plane import ControlPlane
from tests.unit.server.herd import set_up

pytestmark = pytest.mark.anyio
CROWD = 60
N1 = Identity("n1", Role.NODE)


def report(seq: int, **changes: object) -> Report:
    facts: dict[str, object] = {"why": "idle", "epoch": 1, "activity": Activity.IDLE, **changes}
    return Report(
        node="n1", app="web", boot="b", seq=seq, running=None, prepared=None, at=1.0, **facts
    )  # type: ignore[arg-type]


@pytest.fixture
async def crowd(plane: ControlPlane) -> ControlPlane:
    await set_up(plane)
    await plane.start()
    enrolments = [Enrolment(f"n{i}", f"z{i % 3}", {"web": "production"}) for i in range(CROWD)]
    await asyncio.gather(*(plane.roster.enrol(one) for one in (*enrolments, *enrolments)))
    return plane


async def test_a_crowd_is_seated_each_on_a_place_of_its_own(crowd: ControlPlane) -> None:
    kept = await crowd.database.read(nodes.every)
    assert len(kept) == CROWD
    assert len({record.seats["web"].position for record in kept}) == CROWD
    assert {record.serial for record in kept} == {1}
    assert len(await crowd.signals.list("nodes/")) == CROWD
    await crowd.close()


async def test_a_report_that_says_nothing_new_is_not_written(crowd: ControlPlane) -> None:
    async def kept() -> Report:
        ((found, _),) = await crowd.database.read(table.every)
        return found

    await crowd.desk.hand_in((report(1),), N1)
    await crowd.desk.hand_in((report(2, counters={"requests": 5.0}),), N1)
    assert (await kept()).seq == 1
    known = crowd.fleet.heard("n1", "web")
    assert known is not None and known[0].seq == 2
    for number, change in enumerate(
        ({"why": "x"}, {"why": "x", "epoch": 2}, {"activity": Activity.FETCHING}, {"error": "no"}),
        3,
    ):
        await crowd.desk.hand_in((report(number, **change),), N1)
        assert (await kept()).seq == number
    await crowd.close()


async def test_a_repetition_is_not_acknowledged_before_the_first_is_durable(
    crowd: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, broken = crowd.database.write, True

    async def stumble(work):  # type: ignore[no-untyped-def]
        if broken:
            raise StorageFailed("the disk is full")
        return await write(work)

    monkeypatch.setattr(crowd.database, "write", stumble)
    with pytest.raises(StorageFailed):
        await crowd.desk.hand_in((report(1),), N1)
    with pytest.raises(StorageFailed):
        await crowd.desk.hand_in((report(1),), N1)
    broken = False
    await crowd.desk.hand_in((report(1),), N1)
    assert len(await crowd.database.read(table.every)) == 1
    await crowd.close()
