"""What is announced arrives: signed, once decided, again after a failure, and dead in the end."""

import asyncio
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import structs

from headway.announce.webhook import Webhook, WebhookAnnouncer, read_secret, sign
from headway.errors import Busy, Denied, InvalidInput, Refused, Unreachable
from headway.model.announcement import Announcement, Kind, Occasion
from headway.model.plan import Action, AppConfig, Checks
from headway.model.releasing import ConfigLane, Releasing
from headway.model.report import Report
from headway.model.rollout import Rollout
from headway.model.verdict import Outcome, Verdict
from headway.server.app import create_app
from headway.server.auth.rules import routes
from headway.server.cockpit.routes import cockpit
from headway.server.crier import AT_ONCE, GIVE_UP_AFTER, KEPT, PEACE, Crier
from headway.server.database import announcements, apps
from headway.server.database.connection import Database
from headway.server.plane import ControlPlane
from tests.unit.server.conftest import Clock
from tests.unit.server.herd import OLD, PLAN, old_is_live_and_new_begins, set_up

pytestmark = pytest.mark.anyio

SECRET = b"0123456789abcdef0123456789abcdef"
NEWS = Announcement("id1", 1_000_000.0, Occasion.ALERT, "web", "errors are up", "web-7", "errors")


class Receiver:
    """A real HTTP server; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        outer = self

        class Page(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.got.append((headers, body))
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("location", "http://127.0.0.1:9/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def webhook(url: str, **more: object) -> WebhookAnnouncer:
    config = Webhook(name="ops", url=url, secret=Path("unused"), timeout=2.0, **more)  # type: ignore[arg-type]
    return WebhookAnnouncer(config, SECRET, lambda: 1_000_000.0)


async def test_the_receiver_can_tell_who_speaks(receiver: Receiver) -> None:
    hook = webhook(receiver.url)
    await hook.announce(NEWS)
    await hook.close()
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET, signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert headers["webhook-id"] == "id1"
    told = json.loads(body)
    assert told["sentence"] == "errors are up"
    assert told["occasion"] == "alert"


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of Standard Webhooks' own documentation."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert made == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, Unreachable), (503, Unreachable), (429, Unreachable), (400, Refused), (302, Refused)],
)
async def test_what_an_answer_means(
    receiver: Receiver, status: int, error: type[Exception]
) -> None:
    receiver.status = status
    hook = webhook(receiver.url)
    with pytest.raises(error):
        await hook.announce(NEWS)
    await hook.close()
    assert len(receiver.got) == 1


async def test_nobody_there_is_unreachable() -> None:
    hook = webhook("http://127.0.0.1:9/hook")
    with pytest.raises(Unreachable, match="cannot be reached"):
        await hook.announce(NEWS)
    await hook.close()


def test_a_place_is_told_what_it_wants() -> None:
    assert webhook("http://x/").wants(NEWS)
    assert webhook("http://x/", apps=("web",), occasions=(Occasion.ALERT,)).wants(NEWS)
    assert not webhook("http://x/", apps=("shop",)).wants(NEWS)
    assert not webhook("http://x/", occasions=(Occasion.FIRE,)).wants(NEWS)


def test_a_secret_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
    assert read_secret(path) == SECRET
    for text, told in (("whsec_AAAA", "too short"), ("what?", "no secret")):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=told):
            read_secret(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_secret(tmp_path / "nothing")


async def announce(database: Database, at: float, sentence: str = "errors are up") -> None:
    await database.write(
        lambda c: announcements.add(
            c, at=at, occasion=Occasion.ALERT, app="web", sentence=sentence, rollout="web-7",
            metric="errors",
        )
    )  # fmt: skip


async def test_it_arrives_with_a_link_to_the_graph(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    crier = Crier(database, [webhook(receiver.url)], "https://headway.example/", clock)
    await announce(database, clock.now)
    await crier.round()
    await crier.round()
    ((_, body),) = receiver.got
    assert json.loads(body)["link"] == "https://headway.example/apps/web/guard/web-7#errors"
    assert await database.read(lambda c: announcements.pending(c, False, 9)) == ()
    await crier.close()


async def test_a_link_leads_to_a_page_that_there_is(plane: ControlPlane) -> None:
    told = plane.crier._link
    links = [
        told(NEWS),
        told(structs.replace(NEWS, metric="")),
        told(structs.replace(NEWS, metric="", rollout="")),
    ]
    app = create_app(plane, (cockpit(plane),))
    pages = {path for path, _ in routes(app)}
    for link, page in zip(
        links,
        (
            "/apps/{app:str}/guard/{rollout:str}",
            "/apps/{app:str}/history/{rollout:str}",
            "/apps/{app:str}",
        ),
        strict=True,
    ):
        filled = page.replace("{app:str}", "web").replace("{rollout:str}", "web-7")
        assert urlsplit(link).path == filled
        assert page in pages
    await plane.close()


async def test_it_is_tried_again_later_and_later_and_then_given_up(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    receiver.status = 503
    crier = Crier(database, [webhook(receiver.url)], "http://x", clock)
    await announce(database, clock.now)
    began, waits = clock.now, []
    while True:
        await crier.round()
        (left,) = [
            *await database.read(lambda c: announcements.pending(c, False, 9)),
            *await database.read(lambda c: announcements.pending(c, True, 9)),
        ]
        if left.dead:
            break
        waits.append(left.next_at - clock.now)
        before = len(receiver.got)
        clock.now = left.next_at - 0.5
        await crier.round()
        assert len(receiver.got) == before, "not before its time"
        clock.now = left.next_at
    assert waits[0] <= 2.0
    assert 1800 <= waits[-1] <= 3600
    assert clock.now <= began + GIVE_UP_AFTER
    assert left.error == "ops answers 503"
    receiver.status = 200
    assert await database.write(lambda c: announcements.revive(c, left.id, clock.now))
    await crier.round()
    assert await database.read(lambda c: announcements.pending(c, True, 9)) == ()
    assert not await database.write(lambda c: announcements.revive(c, left.id, clock.now))
    await crier.close()


async def test_a_place_that_is_down_keeps_no_other_waiting_whatever_is_queued(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    """Far more than what is sent at once waits for the place that is down, and is older."""

    class Down(WebhookAnnouncer):
        tries = 0

        async def announce(self, announcement: Announcement) -> None:
            Down.tries += 1
            raise Unreachable("down")

    down = Down(Webhook(name="down", url="http://x/", secret=Path("unused")), SECRET)
    alone = Crier(database, [down], "http://x", clock)
    for number in range(3 * AT_ONCE):
        await announce(database, clock.now, f"number {number}")
    await alone.round()
    both = Crier(database, [down, webhook(receiver.url)], "http://x", clock)
    await announce(database, clock.now, "the last")
    await both.round()
    ((_, body),) = receiver.got
    assert json.loads(body)["sentence"] == "the last"
    # And it is left in peace: not everything that is for it is tried, one after the other.
    before = Down.tries
    for _ in range(5):
        await both.round()
    assert Down.tries == before
    clock.now += PEACE
    await both.round()
    assert Down.tries == before + 1
    await alone.close()
    await both.close()


async def test_a_place_that_is_slow_keeps_no_other_waiting(
    database: Database, receiver: Receiver
) -> None:
    class Slow(WebhookAnnouncer):
        async def announce(self, announcement: Announcement) -> None:
            await asyncio.sleep(60)

    slow = Slow(Webhook(name="slow", url="http://x/", secret=Path("unused")), SECRET)
    crier = Crier(database, [slow, webhook(receiver.url)], "http://x", time.time)
    crier.start()
    for number in range(3):
        await announce(database, time.time(), f"number {number}")
        deadline = time.monotonic() + 20
        while len(receiver.got) <= number:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    await crier.close()


@pytest.mark.parametrize("error", [Denied("not let in"), ValueError("a defect")])
async def test_a_lapsed_secret_and_a_defect_lose_nothing(
    database: Database, clock: Clock, error: Exception
) -> None:
    told = []

    class Place(WebhookAnnouncer):
        async def announce(self, announcement: Announcement) -> None:
            if not told:
                told.append("failed")
                raise error
            told.append(announcement.sentence)

    place = Place(Webhook(name="ops", url="http://x/", secret=Path("unused")), SECRET)
    crier = Crier(database, [place], "http://x", clock)
    await announce(database, clock.now)
    await crier.round()
    (left,) = await database.read(lambda c: announcements.pending(c, False, 9))
    assert left.error in ("not let in", "a defect in Headway; its log tells more")
    clock.now = left.next_at
    await crier.round()
    assert told == ["failed", "errors are up"]
    await crier.close()


async def test_what_is_for_a_place_that_is_gone_is_given_up(
    database: Database, clock: Clock
) -> None:
    class Down(WebhookAnnouncer):
        async def announce(self, announcement: Announcement) -> None:
            raise Unreachable("down")

    down = Down(Webhook(name="old", url="http://x/", secret=Path("unused")), SECRET)
    before = Crier(database, [down], "http://x", clock)
    await announce(database, clock.now)
    await before.round()
    after = Crier(database, [], "http://x", clock)
    await after.round()
    (dead,) = await database.read(lambda c: announcements.pending(c, True, 9))
    assert dead.error == "old is not configured any more"
    await before.close()
    await after.close()


async def test_a_place_that_asks_for_patience_is_left_alone_for_so_long(
    database: Database, clock: Clock
) -> None:
    class Patient(WebhookAnnouncer):
        asks = 300.0

        async def announce(self, announcement: Announcement) -> None:
            raise Busy("ops answers 429", self.asks)

    config = Webhook(name="ops", url="http://x/", secret=Path("unused"))
    place = Patient(config, SECRET)
    crier = Crier(database, [place], "http://x", clock)
    await announce(database, clock.now)
    await crier.round()
    (left,) = await database.read(lambda c: announcements.pending(c, False, 9))
    assert left.next_at == clock.now + 300
    assert not left.dead
    # With everything: what comes meanwhile is not tried either.
    clock.now += 200
    await announce(database, clock.now)
    await crier.round()
    waiting = await database.read(lambda c: announcements.pending(c, False, 9))
    assert [one.tries for one in waiting] == [1, 0]
    await database.write(lambda c: announcements.delivered(c, waiting[1].id))
    # Nobody can ask for more than what is waited at most anyway.
    place.asks = 1e9
    clock.now = left.next_at
    await crier.round()
    (left,) = await database.read(lambda c: announcements.pending(c, False, 9))
    assert left.next_at == clock.now + 3600
    await crier.close()


async def test_one_place_that_hangs_keeps_no_other_waiting(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    class Broken(WebhookAnnouncer):
        name = "broken"

        async def announce(self, announcement: Announcement) -> None:
            raise Unreachable("down")

    config = Webhook(name="broken", url="http://x/", secret=Path("unused"))
    crier = Crier(database, [Broken(config, SECRET), webhook(receiver.url)], "http://x", clock)
    for number in range(3):
        await announce(database, clock.now, f"number {number}")
    await crier.round()
    assert len(receiver.got) == 3
    assert len(await database.read(lambda c: announcements.pending(c, False, 9))) == 3
    await crier.close()


async def test_what_is_refused_is_dead_at_once_and_what_is_old_is_forgotten(
    database: Database, clock: Clock, receiver: Receiver
) -> None:
    receiver.status = 410
    crier = Crier(database, [webhook(receiver.url)], "http://x", clock)
    await announce(database, clock.now)
    await crier.round()
    (dead,) = await database.read(lambda c: announcements.pending(c, True, 9))
    assert dead.tries == 1
    clock.now += KEPT + 1
    await announce(database, clock.now)
    await crier.round()
    left = await database.read(lambda c: announcements.pending(c, True, 9))
    assert [one.announcement.at for one in left] == [clock.now]
    await crier.close()


class Says:
    """A guard with one verdict."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def ingest(self, report: Report, tier: str, now: float) -> None: ...

    def forget(self, app: str, node: str) -> None: ...

    def watched(self, app: AppConfig) -> AppConfig:
        return app

    def judge(self, app: AppConfig, rollout: Rollout, now: float) -> tuple[Verdict, ...]:
        if rollout.base is None:
            return ()
        return (Verdict("errors", Outcome.FAIL, "errors are up", self.action),)


@pytest.mark.parametrize(
    ("action", "occasion"),
    [
        (Action.ALERT, Occasion.ALERT),
        (Action.PAUSE, Occasion.PAUSE),
        (Action.REVERT, Occasion.REVERT),
    ],
)
async def test_what_the_guard_does_is_announced_and_what_people_do_is_not(
    plane: ControlPlane, action: Action, occasion: Occasion
) -> None:
    plane.engine._observer._judge = Says(action)
    plan = tuple(_watching(step) for step in PLAN)
    await set_up(plane, AppConfig(name="web", plans={"default": plan}))
    await plane.start()
    await old_is_live_and_new_begins(plane)
    await plane.crier.round()
    told = [one for one in await plane.database.read(_all) if one.span is None]
    assert [(one.occasion, one.metric) for one in told] == [(occasion, "errors")]
    assert "errors are up" in told[0].sentence
    await plane.close()


async def test_beginnings_and_ends_are_announced_with_what_they_bring(plane: ControlPlane) -> None:
    """Both lanes: the config lane's app is one of its own, and its spans say so."""
    releasing = Releasing(repository="/nowhere", config=ConfigLane("web", ("flags/",)))
    await set_up(plane)
    owner = AppConfig(name="shop", releases=releasing)
    await plane.database.write(lambda c: apps.put(c, owner, 1.0))
    await plane.start()
    herd, name = await old_is_live_and_new_begins(plane, "p2")
    await plane.engine.act(name, "revert", _why(), "bob")
    await herd.settle()
    told = [one for one in await plane.database.read(_all) if one.span is not None]
    ends = [(one.occasion.value, one.span.id, one.span.outcome) for one in told if one.span.ended]
    assert ends == [
        ("step", "web-1/0", "succeeded"),
        ("step", "web-1/1", "succeeded"),
        ("step", "web-1/2", "succeeded"),
        ("deploy", "web-1", "succeeded"),
        ("step", f"{name}/0", "reverted"),
        ("deploy", name, "reverted"),
        ("return", told[-1].span.id, "succeeded"),
    ]
    begun = {one.span.id for one in told if one.span.ended is None}
    assert begun == {id for _, id, _ in ends}
    assert {one.span.kind for one in told} == {Kind.CONFIG, Kind.REVERT}
    assert {one.span.commit for one in told} == {"c0ffee"}
    assert told[-1].span.build == OLD
    await plane.close()


def _watching(step):  # type: ignore[no-untyped-def]
    import msgspec

    return msgspec.structs.replace(step, checks=Checks.WATCH)


def _why():  # type: ignore[no-untyped-def]
    from headway.model.views import ActionRequest

    return ActionRequest("a reason")


def _all(connection):  # type: ignore[no-untyped-def]
    from sqlalchemy import select

    from headway.server.database.tables import announcements as table

    return list(connection.scalars(select(table.c.announcement)))
