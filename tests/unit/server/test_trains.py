"""Trains over the real engine, database and signals, with agents that obey at once."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from headway.core.journal import fold, fold_train
from headway.errors import Denied, HeadwayError, InvalidInput, NotFound, Refused, StaleView
from headway.model.access import Identity, Role
from headway.model.plan import AppConfig, TrainSettings
from headway.model.release import Change, Lane, Release, Tag
from headway.model.rollout import Phase, Rollout
from headway.model.schedule import Frozen, Mode, Schedule
from headway.model.train import State, Train
from headway.model.views import ActionRequest, DeployRequest
from headway.server.database import holds, journal, releases, rollouts, times
from headway.server.database.tokens import Token
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from tests.unit.server.conftest import Clock, make_plane
from tests.unit.server.herd import NEW, NEWER, OLD, PLAN, Herd, build, set_up

pytestmark = pytest.mark.anyio

TIERS = {"s1": "staging", "p1": "production", "p2": "production", "p3": "production"}


class Crowd(Herd):
    """The herd, and people who chat."""

    async def says(self, who: str, text: str) -> str:
        user = Identity(who, Role.DEPLOYER)
        replies = await self.plane.chat.hear("web", user, text)
        return "; ".join(reply.text for reply in replies)

    async def refuses_to(self, who: str, text: str) -> str:
        before = await self.train()
        with pytest.raises(HeadwayError) as refusal:
            await self.says(who, text)
        assert msgspec.structs.replace(await self.train(), lease=before.lease) == before
        return refusal.value.sentence

    async def train(self) -> Train:
        return await self.plane.trains.train("web")

    async def topic(self) -> str:
        return (await self.plane.chat.view("web")).topic

    async def told(self) -> list[str]:
        rows = await self.plane.database.read(
            lambda c: journal.entries(c, app="web", after=0, limit=1000)
        )
        return [row.why for row in rows if row.kind == "tell"]

    async def first_live(self, number: str) -> None:
        rollout = await self.plane.engine.deploy("web", build(number), DeployRequest(number), "ci")
        await self.settle()
        await self.plane.engine.act(rollout, "advance", ActionRequest(), "ci")
        await self.settle()

    async def to_staging(self) -> None:
        await self.says("alice", ".join")
        await self.says("bob", ".join; in")
        await self.says("alice", f".at staging {NEW[:8]}")
        await self.settle()


@pytest.fixture
async def crowd(plane: ControlPlane) -> AsyncIterator[Crowd]:
    await set_up(plane)
    await plane.start()
    crowd = Crowd(plane, TIERS)
    await crowd.enrol()
    await crowd.beat()
    yield crowd
    await plane.close()


async def test_a_train_goes_from_station_to_production(crowd: Crowd) -> None:
    await crowd.first_live(OLD)
    assert await crowd.topic() == "clear"
    await crowd.says("alice", '.join "the cart"')
    await crowd.says("bob", ".join with alice")
    await crowd.says("carol", ".join hold")
    assert await crowd.topic() == "alice + bob | carol (hold)"
    assert "bob is not in yet" in await crowd.refuses_to("alice", f".at staging {NEW[:8]}")
    await crowd.says("bob", ".in")
    assert "alice leads" in await crowd.refuses_to("bob", ".at staging")
    assert "staging comes first" in await crowd.refuses_to("alice", ".at prod")
    await crowd.says("alice", f".at staging {NEW[:8]}")
    assert (await crowd.train()).state is State.MOVING
    await crowd.settle()
    assert (await crowd.train()).state is State.TESTING
    assert await crowd.topic() == "<staging> alice + bob | carol (hold)"
    assert f"alice bob: you're up on staging with {NEW[:12]}" in await crowd.told()
    assert "alice bob has not signed off" in await crowd.refuses_to("alice", ".at prod")
    await crowd.says("alice", ".good")
    await crowd.says("bob", ".lgtm")
    assert await crowd.topic() == "<staging> alice* + bob* | carol (hold)"
    assert "alice: everyone is ready; `.at production` goes on" in await crowd.told()
    await crowd.says("alice", ".at prod")
    await crowd.settle()
    assert (await crowd.train()).state is State.ARRIVED
    assert set(crowd.running.values()) == {NEW}
    assert "has not signed off" in await crowd.refuses_to("alice", ".done")
    await crowd.says("bob", ".good")
    await crowd.says("alice", ".good; .done")
    assert await crowd.topic() == "carol (hold)"
    assert "carol: you lead the train now" in await crowd.told()


async def test_folding_the_journal_gives_the_train_and_the_rollout(crowd: Crowd) -> None:
    await crowd.to_staging()
    await crowd.says("bob", '.uhoh "red"; nevermind')
    rows = await crowd.plane.database.read(
        lambda c: journal.entries(c, app="web", after=0, limit=1000)
    )
    patches = [row.changes for row in rows if row.kind.startswith("train-")]
    train = await crowd.train()
    assert fold_train("web", patches) == train
    assert train.run is not None
    ours = await crowd.plane.database.read(
        lambda c: journal.entries(c, rollout=train.run.rollout, limit=1000)
    )
    state = await crowd.plane.database.read(lambda c: rollouts.get(c, train.run.rollout))
    assert fold((row.changes for row in ours if row.changes), Rollout) == state


async def test_uhoh_pauses_the_rollout_and_good_does_not_resume_it(crowd: Crowd) -> None:
    await crowd.to_staging()
    await crowd.says("alice", ".good")
    assert "the train stops" in await crowd.says("bob", ".uhoh checkout is red")
    known = await crowd.plane.engine.situation("web")
    assert known.latest is not None
    assert known.latest.phase is Phase.PAUSED
    assert await crowd.topic() == "<staging stopped> alice* + bob!"
    assert "uhoh from bob (checkout is red)" in await crowd.refuses_to("alice", ".at prod")
    with pytest.raises(Refused, match="uhoh from bob"):
        await crowd.plane.trains.act(known.latest.id, "resume", ActionRequest(), "alice")
    await crowd.says("bob", ".good")
    assert (await crowd.train()).state is State.STOPPED
    await crowd.says("alice", ".at staging")
    await crowd.settle()
    assert (await crowd.train()).state is State.READY


async def test_a_hotfix_voids_every_sign_off(crowd: Crowd) -> None:
    await crowd.to_staging()
    await crowd.says("alice", ".good")
    await crowd.says("bob", ".good")
    request = DeployRequest(NEWER, supersede=True)
    await crowd.plane.trains.deploy("web", build(NEWER), request, "carol")
    await crowd.settle()
    train = await crowd.train()
    assert train.state is State.TESTING
    assert train.run is not None
    assert train.run.build == NEWER
    assert await crowd.topic() == "<staging> alice + bob"
    assert any("sign-offs are void" in line for line in await crowd.told())
    assert "has not signed off" in await crowd.refuses_to("alice", ".at prod")


async def test_the_same_rules_hold_in_cockpit_and_api(crowd: Crowd) -> None:
    await crowd.to_staging()
    train = await crowd.train()
    assert train.run is not None
    rollout, act = train.run.rollout, crowd.plane.trains.act
    with pytest.raises(Refused, match="alice leads"):
        await act(rollout, "advance", ActionRequest(), "bob")
    with pytest.raises(Refused, match="has not signed off"):
        await act(rollout, "advance", ActionRequest(), "alice")
    await crowd.says("alice", ".good")
    await crowd.says("bob", ".good")
    with pytest.raises(StaleView):
        await act(rollout, "advance", ActionRequest(seen="0-rolling"), "alice")
    await act(rollout, "advance", ActionRequest(seen="0-waiting"), "alice")
    await crowd.settle()
    assert (await crowd.train()).state is State.ARRIVED


async def test_who_deploys_past_the_train_is_told_who_leads(crowd: Crowd) -> None:
    await crowd.says("alice", ".join")
    with pytest.raises(Refused, match="alice leads it"):
        await crowd.plane.trains.deploy("web", build(NEW), DeployRequest(NEW), "ci")
    rollout = await crowd.plane.trains.deploy("web", build(NEW), DeployRequest(NEW), "alice")
    train = await crowd.train()
    assert train.run is not None
    assert train.run.rollout == rollout


async def test_a_hold_from_chat_holds_everywhere_and_a_freeze_outlives_it(
    tmp_path, signals: MemorySignals, clock: Clock, crowd: Crowd
) -> None:
    await crowd.says("alice", ".join")
    await crowd.says("bob", '.hold "disk swap" for 2h')
    assert await crowd.topic() == 'alice | HOLD "disk swap"'
    assert "held by bob: disk swap" in await crowd.refuses_to("alice", ".at staging")
    with pytest.raises(Refused, match="held by bob: disk swap"):
        await crowd.plane.engine.deploy("web", build(NEW), DeployRequest(NEW), "ci")
    freeze = Frozen("f1", "web", clock.now, clock.now + 86400, "dave", "the year ends")
    await crowd.plane.database.write(lambda c: times.add_freeze(c, freeze))
    said = await crowd.says("carol", ".unhold")
    assert "the freeze stays: frozen until " in said
    assert await crowd.plane.database.read(holds.every) == ()
    assert (await crowd.topic()).startswith('alice | FROZEN "frozen until ')
    assert "the year ends" in await crowd.refuses_to("alice", ".at staging")
    await crowd.says("bob", '.hold "disk swap" for 2h')
    await crowd.plane.database.write(lambda c: times.end_freeze(c, "f1"))
    clock.now += 7201
    assert await crowd.topic() == "alice"


async def test_a_leader_who_vanishes_is_replaced_also_mid_deploy(
    crowd: Crowd, clock: Clock
) -> None:
    await crowd.to_staging()
    await crowd.says("alice", ".good")
    await crowd.says("bob", ".good")
    clock.now += 600
    await crowd.train()
    assert any(
        line.startswith("alice: everyone is ready; `.at production` goes on; the train has waited")
        for line in await crowd.told()
    )
    clock.now += 301
    assert (await crowd.plane.chat.view("web")).leader == "bob"
    assert "bob leads" in await crowd.refuses_to("alice", ".at prod")
    await crowd.settle()
    await crowd.says("bob", ".at prod")


async def test_the_last_rider_leaves_and_the_car_stays(crowd: Crowd) -> None:
    await crowd.to_staging()
    await crowd.says("bob", ".nevermind")
    await crowd.says("alice", ".nevermind")
    known = await crowd.plane.engine.situation("web")
    assert known.latest is not None
    assert known.latest.phase is Phase.PAUSED
    assert await crowd.topic() == "<staging stopped> (nobody)"
    await crowd.says("carol", ".drive; .at staging")
    await crowd.settle()
    assert await crowd.topic() == "<staging> [carol]"
    await crowd.says("carol", ".at prod")
    await crowd.settle()
    await crowd.says("carol", ".done")
    assert await crowd.topic() == "clear"


async def test_what_the_rollout_refuses_has_not_happened(crowd: Crowd) -> None:
    await crowd.first_live(NEW)
    await crowd.says("alice", ".join")
    assert "live already" in await crowd.refuses_to("alice", f".at staging {NEW[:8]}")
    assert (await crowd.train()).run is None


async def test_a_restarted_control_plane_knows_its_trains(
    tmp_path, signals: MemorySignals, clock: Clock, crowd: Crowd
) -> None:
    await crowd.to_staging()
    await crowd.says("bob", ".good")
    before = await crowd.train()
    await crowd.plane.close()
    signals.trouble = ""
    crowd.plane = make_plane(tmp_path, signals, clock)
    await crowd.plane.start()
    await crowd.settle()
    assert (await crowd.train()).riders == before.riders
    assert await crowd.topic() == "<staging> alice + bob*"


async def test_who_may_do_what(crowd: Crowd) -> None:
    chat = crowd.plane.chat
    with pytest.raises(Denied, match="I do not know you"):
        await chat.hear("web", None, ".join")
    assert (await chat.hear("web", None, ".status"))[0].text == "clear"
    viewer = Identity("vic", Role.VIEWER)
    with pytest.raises(Denied, match="vic is a viewer and may look"):
        await chat.hear("web", viewer, ".join")
    assert await chat.hear("web", viewer, "hello everybody") == ()
    with pytest.raises(NotFound):
        await chat.hear("nope", Identity("a", Role.ADMIN), ".join")
    with pytest.raises(InvalidInput):
        await chat.hear("web", Identity("a", Role.ADMIN), ".joni")


async def test_an_account_is_linked_once_by_a_code_and_ends_with_its_token(
    crowd: Crowd, clock: Clock
) -> None:
    chat, callers = crowd.plane.chat, crowd.plane.callers
    callers.admit(Token("alice", Role.DEPLOYER, "f" * 64, 1.0))
    code = chat.offer(Identity("alice", Role.DEPLOYER))
    assert await chat.who("irc", "al!a@h") is None
    assert await chat.link("irc", "al!a@h", code.code) == "alice"
    with pytest.raises(Denied, match="not valid any more"):
        await chat.link("irc", "eve!e@h", code.code)
    assert await chat.who("irc", "al!a@h") == Identity("alice", Role.DEPLOYER)
    assert await chat.who("slack", "al!a@h") is None
    late = chat.offer(Identity("alice", Role.DEPLOYER))
    clock.now += 601
    with pytest.raises(Denied):
        await chat.link("irc", "eve!e@h", late.code)
    callers.revoke("alice")
    assert await chat.who("irc", "al!a@h") is None


async def test_the_settings_of_the_app_count(plane: ControlPlane, clock: Clock) -> None:
    config = AppConfig(name="web", plans={"default": PLAN}, train=TrainSettings(size=2))
    await set_up(plane, config)
    await plane.start()
    crowd = Crowd(plane, TIERS)
    for name in ("alice", "bob", "carol"):
        await crowd.says(name, ".join")
    assert await crowd.topic() == "alice + bob | carol"
    assert "full" in await crowd.refuses_to("carol", ".join with alice")
    await plane.close()


async def test_a_good_counts_for_a_step_that_asks_for_sign_offs(plane: ControlPlane) -> None:
    staging = msgspec.structs.replace(PLAN[0], sign_off=1)
    config = AppConfig(name="web", plans={"default": (staging, *PLAN[1:])})
    await set_up(plane, config)
    await plane.start()
    crowd = Crowd(plane, TIERS)
    await crowd.enrol()
    await crowd.beat()
    await crowd.to_staging()
    assert (await crowd.train()).state is State.TESTING
    await crowd.says("bob", ".good")
    known = await plane.engine.situation("web")
    assert known.latest is not None
    assert known.latest.signed_off == ("bob",)
    await crowd.says("alice", ".good")
    await crowd.settle()
    assert (await crowd.train()).state is State.READY
    await plane.close()


async def test_the_bot_leaves_the_rollout_to_who_is_aboard(plane: ControlPlane) -> None:
    schedule = Schedule(zone="UTC", mode=Mode.BOT)
    config = AppConfig(name="web", plans={"default": PLAN}, schedule=schedule)
    await set_up(plane, config)
    await plane.start()
    crowd = Crowd(plane, TIERS)
    await crowd.enrol()
    await crowd.beat()
    await crowd.to_staging()
    assert await plane.bot.look("web") == ""
    await crowd.says("alice", ".good")
    await crowd.says("bob", ".nevermind")
    assert await plane.bot.look("web") == ""
    await crowd.says("alice", ".at prod")
    await crowd.settle()
    await crowd.says("alice", ".good; .done")
    request = DeployRequest(NEWER, hotfix=True, reason="the next slot is far")
    await plane.engine.deploy("web", build(NEWER), request, "ci")
    await crowd.settle()
    await plane.bot.look("web")
    driven = (await plane.engine.situation("web")).latest
    assert driven is not None
    # It looks by its own clock, too, and may have done so already.
    assert driven.step == 1, "with nobody aboard it drives"
    await plane.close()


async def test_riders_bring_what_the_newest_release_has_of_them(crowd: Crowd) -> None:
    commit = "c" * 40
    changes = (
        Change("a" * 40, "Alice", "The cart", number=12),
        Change("b" * 40, "bob", "DARK a flag", dark=True),
    )
    release = Release(
        id="web-r1",
        app="web",
        number=1,
        lane=Lane.CODE,
        branch="release/1",
        base=None,
        main=commit,
        tags=(Tag("web-1.0", commit),),
        changes=changes,
        by="dave",
        at=1.0,
        why="cut",
    )
    await crowd.plane.database.write(lambda c: releases.put(c, release))
    await crowd.says("alice", ".join")
    await crowd.says("bob", ".join")
    train = await crowd.train()
    assert (train.riders["alice"].changes, train.riders["alice"].dark) == (("#12",), False)
    assert (train.riders["bob"].changes, train.riders["bob"].dark) == (("b" * 12,), True)
    assert await crowd.topic() == "alice + bob ~"
    await crowd.says("alice", f".at staging {NEW[:8]}")
    await crowd.settle()
    await crowd.says("alice", ".good")
    assert (await crowd.train()).state is State.READY
