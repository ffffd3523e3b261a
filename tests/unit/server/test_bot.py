"""Headway as the commander: small batches, one in each slot, and never past what binds people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.model.hold import Hold, Scope
from headway.model.plan import AppConfig
from headway.model.releasing import Need, Releasing
from headway.model.rollout import Phase
from headway.model.schedule import Mode, Schedule
from headway.model.views import ActionRequest, DeployRequest
from headway.server.bot import BOT, FETCH_SECONDS
from headway.server.database import apps, holds, journal
from headway.server.plane import ControlPlane
from tests.repository import Origin
from tests.unit.server.conftest import Clock
from tests.unit.server.herd import NEW, NEWER, OLD, PLAN, Herd
from tests.unit.server.test_releases import TIERS, Stage

pytestmark = pytest.mark.anyio

NIGHT = 1795651200.0  # Thursday, 2026-11-26 00:00 UTC
SLOT = 2 * 3600.0


@pytest.fixture
async def stage(plane: ControlPlane, tmp_path: Path, clock: Clock) -> AsyncIterator[Stage]:
    origin = Origin(tmp_path)
    origin.commit("The first", {"app.py": "one\n"})
    clock.now = NIGHT
    made = Stage(plane, origin, Herd(plane, TIERS))
    await made.configure()
    await plane.start()
    await plane.bot.close()
    await made.herd.enrol()
    await made.herd.beat()
    await made.go_live(OLD, origin.at("main"))
    yield made
    await plane.close()


async def drive(stage: Stage, mode: Mode, **more: object) -> None:
    config = AppConfig(
        name="web",
        plans={"default": PLAN},
        releases=Releasing(repository=str(stage.origin.bare), **more),
        schedule=Schedule(mode=mode, batch=2, slots=12),
    )
    await stage.plane.database.write(lambda c: apps.put(c, config, 1.0))


async def until_idle(stage: Stage) -> list[str]:
    """Everything the bot does until there is nothing left to do, with agents that obey."""
    done = []
    for _ in range(20):
        said = await stage.plane.bot.look("web")
        if said:
            done.append(said)
        before = await stage.plane.database.read(journal.last)
        await stage.herd.settle()
        if not said and before == await stage.plane.database.read(journal.last):
            return done
    raise AssertionError("the bot does not come to rest")


async def test_the_bot_drains_the_queue_by_slot_in_small_batches(
    stage: Stage, clock: Clock
) -> None:
    await drive(stage, Mode.BOT)
    for number in range(3):
        stage.origin.commit(f"Change {number}", {f"{number}.py": "x"})
    assert await until_idle(stage) == [], "this slot has had its rollout"
    clock.now += SLOT
    assert await until_idle(stage) == ["cuts web-r1"]
    state = await stage.known("web-r1")
    assert [one.subject for one in state.changes] == ["Change 0", "Change 1"]
    assert state.by == BOT
    await stage.build(NEW, state.head)
    done = await until_idle(stage)
    assert done[0].startswith("deploys web-r1 as ")
    assert done[1].startswith("opens the next step of ")
    assert (await stage.latest()).phase is Phase.SUCCEEDED
    clock.now += FETCH_SECONDS
    assert await until_idle(stage) == [], "the next one begins in the next slot"
    clock.now += SLOT
    assert await until_idle(stage) == ["cuts web-r2"]
    assert [one.subject for one in (await stage.known("web-r2")).changes] == ["Change 2"]


async def test_the_bot_stops_before_what_is_not_fit(stage: Stage, clock: Clock) -> None:
    await drive(stage, Mode.BOT, require=(Need.REVIEW,))
    stage.origin.commit("Fit", {"a": "1"}, "Reviewed-by: Bob <bob@example.org>")
    stage.origin.commit("Not fit", {"b": "1"})
    clock.now += SLOT
    assert await until_idle(stage) == ["cuts web-r1"]
    assert [one.subject for one in (await stage.known("web-r1")).changes] == ["Fit"]
    await stage.build(NEW, (await stage.known("web-r1")).head)
    await until_idle(stage)
    clock.now += SLOT
    assert await until_idle(stage) == []
    gate, _ = stage.plane.releases.gate("web")
    assert "no review of it is known" in gate[0]


async def test_the_bot_leaves_business_hours_to_people_where_both_drive(
    stage: Stage, clock: Clock
) -> None:
    await drive(stage, Mode.BOTH)
    stage.origin.commit("One", {"a": "1"})
    clock.now = NIGHT + 10 * 3600
    assert await until_idle(stage) == []
    clock.now = NIGHT + 20 * 3600
    assert await until_idle(stage) == ["cuts web-r1"]


async def test_the_bot_never_passes_a_hold_and_never_tries_again_what_was_taken_back(
    stage: Stage, clock: Clock
) -> None:
    await drive(stage, Mode.BOT)
    stage.origin.commit("One", {"a": "1"})
    clock.now += SLOT
    await until_idle(stage)
    await stage.build(NEW, (await stage.known("web-r1")).head)
    hold = Hold("h1", Scope.APP, "web", "ann", "lunch", clock.now)
    await stage.plane.database.write(lambda c: holds.add(c, hold))
    assert await until_idle(stage) == []
    await stage.plane.database.write(lambda c: holds.lift(c, "h1"))
    assert (await stage.plane.bot.look("web")).startswith("deploys web-r1")
    state = await stage.latest()
    await stage.plane.engine.act(state.id, "revert", ActionRequest("it burns"), "ann")
    await stage.herd.settle()
    assert (await stage.latest()).phase is Phase.REVERTED
    await stage.plane.database.write(lambda c: holds.lift(c, f"revert-{state.id}"))
    clock.now += SLOT
    done = await until_idle(stage)
    assert not any(text.startswith("deploys") for text in done), done


async def test_a_commander_walks_alone(stage: Stage, clock: Clock) -> None:
    await drive(stage, Mode.COMMANDER)
    stage.origin.commit("One", {"a": "1"})
    for hour in range(0, 48, 3):
        clock.now = NIGHT + hour * 3600
        assert await stage.plane.bot.look("web") == ""


async def test_a_person_is_refused_where_the_bot_would_be(stage: Stage, clock: Clock) -> None:
    await drive(stage, Mode.BOT)
    made = await stage.build(NEWER, "ab" * 20)
    with pytest.raises(Exception, match="this slot has had its rollout"):
        await stage.plane.engine.deploy("web", made, DeployRequest(NEWER[:8]), "ann")
    request = DeployRequest(NEWER[:8], hotfix=True)
    with pytest.raises(Exception, match="say why with --reason"):
        await stage.plane.engine.deploy("web", made, request, "ann")
    request = DeployRequest(NEWER[:8], hotfix=True, reason="the site is down")
    assert await stage.plane.engine.deploy("web", made, request, "ann")


async def test_steps_wait_for_business_hours_and_go_on_by_themselves(
    stage: Stage, clock: Clock
) -> None:
    await drive(stage, Mode.COMMANDER)
    clock.now = NIGHT + 17.9 * 3600
    made = await stage.build(NEW, "ab" * 20)
    rollout = await stage.plane.engine.deploy("web", made, DeployRequest(NEW[:8]), "ann")
    await stage.herd.settle()
    clock.now = NIGHT + 18 * 3600
    await stage.herd.settle()
    state = await stage.latest()
    assert state.phase is Phase.WAITING
    assert "production 50 % does not begin: outside business hours" in state.why
    with pytest.raises(Exception, match="the next step does not begin: outside business hours"):
        await stage.plane.engine.act(rollout, "advance", ActionRequest(), "ann")
    clock.now = NIGHT + 33 * 3600
    await stage.herd.settle()
    assert "production 50 % may begin" in (await stage.latest()).why
    await stage.plane.engine.act(rollout, "advance", ActionRequest(), "ann")
    await stage.herd.settle()
    assert (await stage.latest()).phase is Phase.SUCCEEDED
