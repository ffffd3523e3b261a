"""What is tidied away through the API, and what never is."""

import os
from pathlib import Path

import pytest

from headway.builds import layout, manifest
from headway.builds.fetch import Fetcher
from headway.builds.publish import publish
from headway.errors import Unavailable
from headway.model.access import Role
from headway.model.report import Enrolment
from headway.model.signal import Signal
from headway.server import upkeep
from headway.server.database import builds
from headway.signing import Trust
from tests.unit.builds.build_shelf import write_tree
from tests.unit.server.conftest import BUILD_KEY, Clock, Web

pytestmark = pytest.mark.anyio
A, D, V = Role.ADMIN, Role.DEPLOYER, Role.VIEWER
GC = "/v1/apps/web/builds/gc"


class Yard:
    """An app of five builds, all of them old."""

    def __init__(self, web: Web, clock: Clock, room: Path) -> None:
        self.web = web
        self.plane = web.plane
        self.clock = clock
        self.room = room
        self.builds: list[str] = []

    async def fill(self) -> None:
        assert (await self.web(A, "PUT", "/v1/apps/web", json={"name": "web"})).is_success
        for number in range(5):
            await self.publish(number)
        self.age()

    async def publish(self, number: int) -> None:
        files = {f"f{one}": b"%d" % one * 300 for one in range(number + 1)}
        build, envelope = publish(
            write_tree(self.room / f"t{number}", files),
            app="web",
            commit="c0ffee",
            by="alice",
            subject="",
            signer=BUILD_KEY,
            storage=self.plane.storage,
            earlier=self.builds[::-1],
            now=self.clock.now,
        )
        taken = await self.web(D, "POST", "/v1/apps/web/builds", content=envelope)
        assert taken.status_code == 201, taken.text
        self.builds.append(build.id)

    def age(self) -> None:
        """A month goes by."""
        for path in (self.room / "artifacts").rglob("*"):
            os.utime(path, (self.clock.now, self.clock.now))
        self.clock.now += 30 * upkeep.DAY

    async def gc(self, **body: object) -> dict[str, object]:
        answer = await self.web(A, "POST", GC, json={"keep": 1} | body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def listed(self) -> list[str]:
        return [one["id"] for one in (await self.web(V, "GET", "/v1/apps/web/builds")).json()]

    async def signal(self, base: str, target: str) -> None:
        """As an earlier control plane left it in the store."""
        signal = Signal("web", 5, "r", base, target, {}, 5, True, 0.0, "a", "w")
        await self.plane.engine._publisher.catch_up("web")
        await self.plane.engine._publisher.put_signal(signal)

    def whole(self, build: str) -> None:
        fetcher = Fetcher(self.plane.storage, Trust.of(BUILD_KEY.public_pem))
        _, tree = fetcher.describe("web", build)
        wanted = manifest.blobs(tree)
        got: list[str] = []
        fetcher.fetch("web", build, wanted, lambda d, _, content: got.append(d) or list(content))
        assert set(got) == set(wanted)


@pytest.fixture
async def yard(web: Web, clock: Clock, tmp_path: Path) -> Yard:
    yard = Yard(web, clock, tmp_path)
    await yard.fill()
    return yard


async def test_what_nothing_needs_is_removed(yard: Yard) -> None:
    planned = await yard.gc(dry=True)
    assert len(await yard.listed()) == 5
    done = await yard.gc()
    assert done == planned
    assert sorted(done["builds"]) == sorted(yard.builds[:4])
    assert await yard.listed() == yard.builds[4:]
    yard.whole(yard.builds[4])
    why = (await yard.web(V, "GET", "/v1/journal?app=web")).json()[-1]
    assert why["kind"] == "gc"
    assert "removes 4 builds" in why["why"]
    assert (await yard.gc())["bytes"] == 0


async def test_signal_pin_and_window_are_kept(yard: Yard) -> None:
    await yard.signal(yard.builds[0], yard.builds[1])
    await yard.plane.roster.enrol(Enrolment("n1", "z", {"web": "production"}))
    await yard.plane.roster.pin("n1", "web", yard.builds[2], "alice")
    assert (await yard.gc())["builds"] == [yard.builds[3]]
    assert await yard.listed() == [yard.builds[n] for n in (4, 2, 1, 0)]
    for number in (0, 1, 2, 4):
        yard.whole(yard.builds[number])


async def test_the_revert_window_counts_builds_and_days(yard: Yard) -> None:
    assert len((await yard.gc(keep=4, dry=True))["builds"]) == 1
    assert (await yard.gc(days=31, dry=True))["builds"] == []
    await yard.publish(5)
    assert len((await yard.gc())["builds"]) == 5
    assert (await yard.web(A, "POST", GC, json={"keep": 0})).status_code == 400


async def test_what_is_chosen_at_the_last_moment_is_put_back(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = builds.remove

    def remove(connection: object, rows: list[builds.Published]) -> None:
        genuine(connection, rows)
        monkeypatch.setattr(yard.plane.engine, "signalled", signalled)

    async def signalled(_: str) -> Signal:
        return Signal("web", 5, "r", yard.builds[1], yard.builds[3], {}, 5, True, 0.0, "a", "w")

    monkeypatch.setattr(builds, "remove", remove)
    assert sorted((await yard.gc())["builds"]) == sorted([yard.builds[0], yard.builds[2]])
    assert await yard.listed() == [yard.builds[n] for n in (4, 3, 1)]
    for number in (1, 3, 4):
        yard.whole(yard.builds[number])


@pytest.mark.parametrize("after", [0, 1])
async def test_nothing_is_removed_while_the_signal_is_not_known(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    genuine = yard.plane.engine.signalled
    asked: list[str] = []

    async def silent(app: str) -> Signal | None:
        asked.append(app)
        if len(asked) > after:
            raise Unavailable("the store does not answer")
        return await genuine(app)

    monkeypatch.setattr(yard.plane.engine, "signalled", silent)
    assert (await yard.web(A, "POST", GC, json={"keep": 1})).status_code == 503
    assert await yard.listed() == yard.builds[::-1]
    for build in yard.builds:
        yard.whole(build)


async def test_packs_are_merged_and_the_old_ones_then_removed(yard: Yard) -> None:
    path = "/v1/apps/web/builds/repack"
    few = await yard.web(A, "POST", path, json={"most": 5})
    assert (few.json()["before"], few.json()["after"]) == (5, 5)
    done = await yard.web(A, "POST", path, json={"most": 2})
    assert (done.json()["before"], done.json()["after"]) == (5, 1)
    for build in yard.builds:
        yard.whole(build)
    yard.age()
    assert (await yard.gc(keep=5))["packs"] == 5
    for build in yard.builds:
        yard.whole(build)
    index = await yard.web(V, "GET", f"/v1/store/{layout.index('web', yard.builds[0])}")
    assert index.headers["cache-control"] == "no-store"


async def test_a_build_whose_content_went_away_is_not_taken_in(yard: Yard) -> None:
    envelope = b"".join(yard.plane.storage.read(layout.attestation("web", yard.builds[4])))
    for stored in list(yard.plane.storage.list(layout.packs("web")))[:1]:
        yard.plane.storage.delete(stored.path)
    refused = await yard.web(D, "POST", "/v1/apps/web/builds", content=envelope)
    assert refused.status_code == 409
    assert "publish it again" in refused.json()["sentence"]
