"""Builds from peers: whole and right whatever a peer does, in bounded time; the origin is last."""

import base64
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from headway.agent import peers
from headway.agent.peers import LENGTH, MISSING, PeerFetcher
from headway.agent.serving import Serving
from headway.agent.slots import Slots
from headway.agent.state import Memory
from headway.builds import storage
from headway.builds.fetch import Fetcher
from headway.builds.publish import publish
from headway.builds.storage import Storage
from headway.errors import HeadwayError, StorageFailed, Unreachable
from headway.model.peers import PASS_HEADER, PASS_TYPE, PeerAnswer, PeerAsk, PeerPass
from headway.signing import Signer, Trust
from tests.unit.builds.planting import in_small_pieces

BUILD_KEY, RELEASE_KEY = Signer.generate(), Signer.generate()
RELEASE_TRUST = Trust.of(RELEASE_KEY.public_pem)


class Counting:
    """An origin that tells what was read of it."""

    def __init__(self, origin: Storage) -> None:
        self._origin = origin
        self.read_paths: list[str] = []

    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        self.read_paths.append(path)
        return self._origin.read(path, offset, length)

    def size(self, path: str) -> int | None:
        return self._origin.size(path)

    def close(self) -> None:
        self._origin.close()

    @property
    def contents(self) -> list[str]:
        return [path for path in self.read_paths if "attestation" not in path]


class Tracker:
    """Gives its answers in turn, then the last one again and again."""

    def __init__(self, *answers: PeerAnswer | HeadwayError) -> None:
        self.answers = list(answers)
        self.asks: list[PeerAsk] = []

    def peers(self, ask: PeerAsk) -> PeerAnswer:
        self.asks.append(ask)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, HeadwayError):
            raise answer
        return answer


class Node:
    def __init__(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place = place
        self.slots = Slots(place, Memory(place))

    def bring(self, source: object, build: str) -> Path:
        """Make a build ready here; where its tree is."""
        attested, manifest = source.describe("web", build, self.slots)  # type: ignore[attr-defined]

        def fetch(wanted, save) -> None:
            source.fetch("web", build, wanted, save)  # type: ignore[attr-defined]

        self.slots.gather(manifest, fetch, lambda: None)
        name = self.slots.prepare(attested, manifest, set(), None, lambda: None)
        return self.slots.path(name)


class Site:
    """An origin with two builds, a node that has both, and its door."""

    def __init__(self, room: Path) -> None:
        self.room = room
        (room / "artifacts").mkdir()
        self._store = storage.open(room / "artifacts")
        with in_small_pieces():
            self.builds = [self._publish(number) for number in range(2)]
        self.origin = Counting(self._store)
        self.holder = Node(room / "holder" / "web")
        for build in self.builds:
            self.holder.bring(self.fetcher(), build)
        self.holder.slots.tidy(set(), lambda: None)
        self.origin.read_paths.clear()
        self.serving = Serving(
            "127.0.0.1:0", room / "holder", ["web"], RELEASE_TRUST, connections=4, rate=1e9
        )
        self.serving.start()

    def _publish(self, number: int) -> str:
        tree = self.room / f"tree-{number}"
        (tree / "deep" / "er").mkdir(parents=True)
        for name in range(40):
            shown = number if name % 2 else 0
            (tree / f"f{name}").write_text(f"{name} of {shown}" * 50)
        (tree / "deep" / "er" / "big").write_bytes(os.urandom(300_000))
        (tree / "deep" / "empty").write_bytes(b"")
        (tree / "run.sh").write_text(f"#!/bin/sh\necho {number}\n")
        (tree / "run.sh").chmod(0o755)
        (tree / "link").symlink_to("f1")
        made, _ = publish(
            tree, app="web", commit=f"c{number}", by="t", subject="", signer=BUILD_KEY,
            storage=self._store, earlier=[], now=0.0,
        )  # fmt: skip
        return made.id

    def fetcher(self) -> Fetcher:
        return Fetcher(self.origin, Trust.of(BUILD_KEY.public_pem))

    def answer(self, address: str = "", name: str = "holder", **claim: object) -> PeerAnswer:
        at = address or self.serving.address
        return PeerAnswer(peer=name, address=at, ticket=ticket(at, **claim))

    def source(self, tracker: Tracker, **facts: object) -> PeerFetcher:
        given = {"address": "127.0.0.1:9", "above": 0, "patience": 5.0}
        return PeerFetcher(self.fetcher(), self.origin, tracker, **(given | facts))  # type: ignore[arg-type]

    def arrives(self, tracker: Tracker, **facts: object) -> None:
        """A fresh node comes to the second build, right to the last byte."""
        node = Node(self.room / f"node-{time.monotonic_ns()}" / "web")
        tree = node.bring(self.source(tracker, **facts), self.builds[1])
        wanted = self.room / "tree-1"
        found = sorted(path.relative_to(tree) for path in tree.rglob("*"))
        assert found == sorted(path.relative_to(wanted) for path in wanted.rglob("*"))
        for path in found:
            if (wanted / path).is_file():
                assert (tree / path).read_bytes() == (wanted / path).read_bytes()
        assert os.access(tree / "run.sh", os.X_OK)


def ticket(at: str, signer: Signer = RELEASE_KEY, **claim: object) -> str:
    facts = {"node": "n1", "app": "web", "at": at, "until": time.time() + 60}
    sealed = signer.seal(msgspec.json.encode(PeerPass(**(facts | claim))), PASS_TYPE)  # type: ignore[arg-type]
    return base64.urlsafe_b64encode(sealed).decode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.serving.stop()


def test_a_fresh_node_has_all_from_its_peer_and_only_the_attestation_from_the_origin(
    site: Site,
) -> None:
    site.arrives(Tracker(site.answer()))
    assert site.origin.contents == []


def test_a_node_with_an_earlier_build_asks_its_peer_for_what_is_new_only(site: Site) -> None:
    node = Node(site.room / "later" / "web")
    node.bring(site.fetcher(), site.builds[0])
    site.origin.read_paths.clear()
    sent: list[int] = []
    site.serving.throttle.pass_ = sent.append  # type: ignore[method-assign]
    tree = node.bring(site.source(Tracker(site.answer())), site.builds[1])
    assert (tree / "f1").read_text() == (site.room / "tree-1" / "f1").read_text()
    assert site.origin.contents == []
    assert 300_000 < sum(sent) < 350_000


def test_a_small_build_comes_from_the_origin_and_nobody_is_asked(site: Site) -> None:
    tracker = Tracker(site.answer())
    site.arrives(tracker, above=10**9)
    assert site.origin.contents
    assert tracker.asks == []


def test_a_seeder_goes_to_the_origin_at_once(site: Site) -> None:
    tracker = Tracker(PeerAnswer(origin=True))
    site.arrives(tracker, sleep=pytest.fail)
    assert [ask.address for ask in tracker.asks] == ["127.0.0.1:9"]
    assert site.origin.contents


def test_who_waits_is_sent_to_a_peer_once_there_is_one(site: Site) -> None:
    slept: list[float] = []
    wait = PeerAnswer(again=2.0)
    site.arrives(Tracker(wait, wait, wait, site.answer()), patience=100.0, sleep=slept.append)
    assert len(slept) == 3
    assert all(1.0 <= pause <= 3.0 for pause in slept)
    assert site.origin.contents == []


def test_patience_ends_and_not_for_all_at_once(site: Site) -> None:
    waited = []
    for _ in range(8):
        now = 0.0

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds

        site.arrives(
            Tracker(PeerAnswer(again=1.0)),
            patience=60.0,
            sleep=sleep,
            clock=lambda: now,  # noqa: B023
        )
        waited.append(now)
    assert all(25 <= seconds <= 60 for seconds in waited)
    assert max(waited) - min(waited) > 1
    assert site.origin.contents


def test_without_a_control_plane_the_origin_is_asked_at_once(site: Site) -> None:
    site.arrives(Tracker(Unreachable("no server")), sleep=pytest.fail)
    assert site.origin.contents


def test_a_peer_that_has_lost_some_of_it_serves_the_rest(site: Site) -> None:
    for path in (site.holder.place / "store").rglob("[0-9a-f]*"):
        if path.is_file() and path.stat().st_size == 300_000:
            path.unlink()
    site.arrives(Tracker(site.answer(), site.answer(name="other"), site.answer(name="third")))
    assert site.origin.contents


def test_damage_at_a_peer_is_not_taken_over(site: Site) -> None:
    for path in list((site.holder.place / "store").rglob("[0-9a-f]*")):
        if path.is_file() and path.stat().st_size:
            path.chmod(0o644)
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
    tracker = Tracker(*(site.answer(name=name) for name in ("a", "b", "c", "d")))
    site.arrives(tracker)
    assert tracker.asks[-1].failed == ("a", "b")


# Peers that mean no good: one handler each, told the digests that were asked for.

Evil = Callable[[BaseHTTPRequestHandler, list[str]], None]


def _answer(handler: BaseHTTPRequestHandler, length: int) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()


def lies(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    _answer(handler, (LENGTH + 100) * len(digests))
    for _ in digests:
        handler.wfile.write((100).to_bytes(LENGTH, "big") + b"x" * 100)


def has_nothing(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    _answer(handler, LENGTH * len(digests))
    handler.wfile.write(MISSING * len(digests))


def promises_endless_amounts(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    _answer(handler, 2**62)
    handler.wfile.write((2**62).to_bytes(LENGTH, "big"))
    for _ in range(100):
        handler.wfile.write(b"x" * 100_000)


def breaks_off(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    _answer(handler, 10_000)
    handler.wfile.write((5000).to_bytes(LENGTH, "big") + b"x" * 10)
    handler.close_connection = True


def refuses(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    handler.send_error(503, "\x1b[31mred")


def redirects(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    handler.send_response_only(302)
    handler.send_header("Location", "http://127.0.0.1:9/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def speaks_no_http(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    handler.wfile.write(b"\0\xff" * 1000 + b"\r\n\r\n")
    handler.close_connection = True


def hangs(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    time.sleep(3)


def trickles(handler: BaseHTTPRequestHandler, digests: list[str]) -> None:
    _answer(handler, 10_000)
    handler.wfile.write((64).to_bytes(LENGTH, "big"))
    for _ in range(64):
        handler.wfile.write(b"[")
        handler.wfile.flush()
        time.sleep(0.2)


EVIL = [
    lies, has_nothing, promises_endless_amounts, breaks_off, refuses, redirects, speaks_no_http,
    hangs, trickles,
]  # fmt: skip


@contextmanager
def evil_peer(evil: Evil) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            try:
                evil(self, body.split("\n"))
            except OSError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.parametrize("evil", EVIL)
def test_an_evil_peer_costs_a_bounded_time_and_then_another_one_is_asked(
    site: Site, evil: Evil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("headway.builds.storage.patience.SLOW_SECONDS", 1.0)
    began = time.monotonic()
    with evil_peer(evil) as address:
        tracker = Tracker(site.answer(address, "evil"), site.answer())
        site.arrives(tracker)
    assert [ask.failed for ask in tracker.asks] == [(), ("evil",)]
    assert site.origin.contents == []
    assert time.monotonic() - began < 20


def test_of_evil_peers_only_so_many_are_tried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "TIMEOUT_SECONDS", 0.3)
    with ExitStack() as stack:
        evil = [stack.enter_context(evil_peer(kind)) for kind in (lies, has_nothing, breaks_off)]
        dead = ["127.0.0.1:1"] * 9
        answers = [site.answer(at, f"e{number}") for number, at in enumerate(evil + dead)]
        tracker = Tracker(*answers)
        site.arrives(tracker)
    assert len(tracker.asks) == peers.TRIES
    assert site.origin.contents


# The door: who is let in, and what for.


def ask(site: Site, body: bytes, path: str = "/v1/web/blobs", **headers: str) -> tuple[int, bytes]:
    """Status and body; 503 also where the door was shut before the request was out."""
    host, _, port = site.serving.address.rpartition(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=10)) as line:
        try:
            given = {PASS_HEADER: ticket(site.serving.address)} | headers
            line.request("POST", path, body, given)
            with line.getresponse() as answer:
                return answer.status, answer.read()
        except ConnectionError:
            return 503, b""


def a_digest(site: Site) -> str:
    found = sorted((site.holder.place / "store").glob("[0-9a-f][0-9a-f]/*"))
    found += sorted((site.holder.place / "store" / "incoming").iterdir())
    return found[0].name.removesuffix("x")


def test_what_is_asked_for_by_digest_is_served_in_order(site: Site) -> None:
    digest = a_digest(site)
    status, said = ask(site, f"{'0' * 64}\n{digest}".encode())
    assert status == 200
    assert said[:LENGTH] == MISSING
    size = int.from_bytes(said[LENGTH : 2 * LENGTH], "big")
    assert len(said) == 2 * LENGTH + size


@pytest.mark.parametrize(
    "claim",
    [
        {"app": "other"},
        {"at": "127.0.0.1:1"},
        {"until": 0.0},
        {"signer": Signer.generate()},
        {"signer": BUILD_KEY},
    ],
)
def test_a_pass_that_is_not_for_this_door_opens_nothing(site: Site, claim: dict) -> None:
    given = {"at": site.serving.address} | claim
    status, said = ask(site, a_digest(site).encode(), **{PASS_HEADER: ticket(**given)})
    assert status in {403, 422}
    assert b"pass" in said or b"sign" in said


@pytest.mark.parametrize("given", ["", "x", "e30=", "\xff", "A" * 5000])
def test_what_is_no_pass_opens_nothing(site: Site, given: str) -> None:
    status, _ = ask(site, a_digest(site).encode(), **{PASS_HEADER: given})
    assert status in {403, 422}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/web/blobs", b""),
        ("/v1/web/blobs", b"../../../etc/passwd"),
        ("/v1/web/blobs", b"/etc/passwd\n" + b"0" * 64),
        ("/v1/web/blobs", b"0" * 63 + b"\n"),
        ("/v1/web/blobs", b"0" * 64 + b"\n"),
        ("/v1/web/blobs", b"\n".join([b"0" * 64] * (peers.BATCH + 1))),
        ("/v1/web/state", b"0" * 64),
        ("/v1/web/", b"0" * 64),
        ("/", b"0" * 64),
        ("/v1/../web/blobs", b"0" * 64),
        ("/v1/web/blobs/..", b"0" * 64),
    ],
)
def test_nothing_but_digests_can_be_asked_for(site: Site, path: str, body: bytes) -> None:
    status, said = ask(site, body, path)
    assert status in {400, 403}
    assert len(said) < 200


def test_nothing_is_got_listed_or_written(site: Site) -> None:
    host, _, port = site.serving.address.rpartition(":")
    for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
        line = http.client.HTTPConnection(host, int(port), timeout=10)
        line.request(method, "/v1/web/blobs", headers={PASS_HEADER: ticket(site.serving.address)})
        assert line.getresponse().status == 501
        line.close()


def test_a_link_in_the_place_of_a_content_is_not_followed(site: Site) -> None:
    digest = "ab" * 32
    place = site.holder.place / "store" / "ab"
    place.mkdir(exist_ok=True)
    (place / digest).symlink_to("/etc/passwd")
    assert ask(site, digest.encode()) == (200, MISSING)


def test_who_takes_all_places_and_says_nothing_is_cut_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headway.agent.serving.HEAD_SECONDS", 0.5)
    host, _, port = site.serving.address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(4):
            line = stack.enter_context(socket.create_connection((host, int(port)), 10))
            line.sendall(b"POST /v1/web/blobs HTTP/1.1\r\nContent-Length: 64\r\n")
        time.sleep(0.1)
        assert ask(site, a_digest(site).encode())[0] == 503
        deadline = time.monotonic() + 15
        while ask(site, a_digest(site).encode())[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_all_together_are_served_no_faster_than_was_said(tmp_path: Path) -> None:
    from headway.agent.serving import Throttle

    throttle = Throttle(1e6)
    began = time.monotonic()
    threads = [threading.Thread(target=throttle.pass_, args=(100_000,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.45 < time.monotonic() - began < 5


def test_an_address_that_is_taken_is_told(site: Site) -> None:
    with pytest.raises(StorageFailed, match="peers cannot be served at 127"):
        Serving(
            site.serving.address, site.room, ["web"], RELEASE_TRUST, connections=1, rate=1.0
        ).server_close()
