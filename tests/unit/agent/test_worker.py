"""One app from signal to report: the way forward, the way back, and what is refused."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from headway.agent.config import AppSettings, Hook, Scrubbing, Verify
from headway.agent.slots import Slots
from headway.agent.state import Activation, Memory
from headway.agent.strategies import CommandRestart
from headway.agent.switch import switch
from headway.agent.worker import Worker
from headway.errors import Unreachable, Untrusted
from headway.model.build import Failure
from headway.model.report import Activity, Inspection, Report
from headway.model.signal import SIGNAL_TYPE, NodeHold
from headway.signing import Signer, Trust
from tests.unit.agent.agent_shelf import (
    RELEASE_KEY,
    Shelf,
    files,
    sealed_record,
    sealed_signal,
    until,
)


class Site:
    """A pretended app: healthy unless the build it was started from is called bad.

    ``started`` is the text of ``f`` in the tree of the last restart. Each hook writes its name to
    ``journal``.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.shelf = Shelf()
        self.good, self.better, self.bad = (
            self.shelf.add(files(f=text)) for text in ("good", "better", "bad")
        )
        self.current = place / "web" / "current"
        self.journal = place / "journal"
        self.journal.touch()
        self.blocker = place / "block"
        self.workers: list[tuple[Worker, threading.Thread]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                started = site.started()
                body = started.encode()
                self.send_response(500 if started == "bad" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def started(self) -> str:
        path = self.place / "started"
        return path.read_text() if path.exists() else "nothing"

    def hook(self, name: str, more: str = "") -> tuple[str, ...]:
        script = self.place / name
        script.write_text(f'#!/bin/sh\necho "{name}" >> "{self.journal}"\n{more}')
        script.chmod(0o755)
        return (str(script),)

    def app(self, prepare: Hook | None = None) -> AppSettings:
        restart = f'cat "$HEADWAY_TREE/f" > "{self.place}/started"\n'
        port = self.server.server_port
        return AppSettings(
            name="web",
            tier="production",
            restart=CommandRestart(self.hook("restart", restart)),
            verify=Verify(
                f"http://127.0.0.1:{port}/", minimum_healthy=0.02, timeout=0.3, interval=0.01
            ),
            drain=Hook(self.hook("drain")),
            undrain=Hook(self.hook("undrain")),
            prepare=prepare,
        )

    def worker(self, app: AppSettings | None = None, scrub: Scrubbing | None = None) -> Worker:
        worker = Worker(
            node="n1",
            app=app or self.app(),
            root=self.place,
            source=self.shelf,
            trust=Trust.of(RELEASE_KEY.public_pem),
            scrub=scrub or Scrubbing(),
            tell=lambda: None,
        )
        thread = threading.Thread(target=worker.run)
        self.workers.append((worker, thread))
        thread.start()
        return worker

    def stop(self) -> None:
        for worker, thread in self.workers:
            worker.stop()
            thread.join(20)
            assert not thread.is_alive()
        self.workers.clear()

    def done(self) -> list[str]:
        return self.journal.read_text().split()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()
    site.server.shutdown()
    site.thread.join()
    site.server.server_close()


def seen(worker: Worker) -> Report:
    return worker.report("boot", 1, {})


def idle_with(worker: Worker, running: str | None, **rest: object) -> bool:
    report = seen(worker)
    return (
        report.activity is Activity.IDLE
        and report.running == running
        and all(getattr(report, name) == value for name, value in rest.items())
    )


def on_the_good_build(site: Site, app: AppSettings | None = None) -> Worker:
    worker = site.worker(app)
    worker.offer(*sealed_record())
    worker.offer(*sealed_signal(site.good, epoch=1))
    until(lambda: idle_with(worker, site.good))
    return worker


def test_a_first_build_and_the_next(site: Site) -> None:
    worker = on_the_good_build(site)
    assert site.done() == ["drain", "restart", "undrain"]
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better, prepared=site.good, epoch=2))
    assert site.started() == "better"
    assert site.done()[3:] == ["drain", "restart", "undrain"]
    assert "within 1: target" in seen(worker).why


def test_a_build_is_prepared_before_its_turn(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good, fraction=0.25))
    until(lambda: idle_with(worker, site.good, prepared=site.better))
    assert "beyond 0.25" in seen(worker).why
    fetched = list(site.shelf.fetched)
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.good, fraction=0.75))
    until(lambda: idle_with(worker, site.better))
    worker.offer(*sealed_signal(site.better, epoch=4, base=site.good, fraction=0.0, prepare=False))
    until(lambda: idle_with(worker, site.good))
    assert site.shelf.fetched == fetched, "neither the switch nor the revert fetched anything"


def test_a_build_that_is_not_healthy_is_flipped_back(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.bad, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 1)))
    report = seen(worker)
    assert "not healthy within" in report.error and "answers 500" in report.error
    assert site.started() == "good"
    assert site.done()[3:] == ["drain", "restart", "restart", "undrain"]
    worker.offer(*sealed_signal(site.bad, epoch=3, base=site.good))
    until(lambda: idle_with(worker, site.good, epoch=3))
    assert len(site.done()) == 7, "not tried again"
    worker.offer(*sealed_signal(site.bad, epoch=4, base=site.good, attempt=2))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 2)))
    assert len(site.done()) == 11, "tried once more when told so"
    worker.offer(*sealed_signal(site.better, epoch=5, base=site.good))
    until(lambda: idle_with(worker, site.better, error="", output=""))


def test_a_failing_restart_is_flipped_back_too(site: Site) -> None:
    app = site.app()
    site.hook("restart", 'grep -q good "$HEADWAY_TREE/f" || exit 7')
    (site.place / "started").write_text("good")
    worker = on_the_good_build(site, app)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.better, 1)))
    assert "the restart hook failed: it exited with 7" in seen(worker).error


def test_a_failing_drain_switches_nothing(site: Site) -> None:
    worker = on_the_good_build(site)
    site.hook("drain", "echo the balancer is away\nexit 1")
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.better, 1)))
    assert seen(worker).output == "the balancer is away\n"
    assert site.done()[3:] == ["drain", "undrain"]


def test_a_first_build_that_fails_has_no_way_back(site: Site) -> None:
    worker = site.worker()
    worker.offer(*sealed_record())
    worker.offer(*sealed_signal(site.bad, epoch=1))
    until(lambda: idle_with(worker, None, failed=Failure(site.bad, 1)))
    worker.offer(*sealed_signal(site.good, epoch=2))
    until(lambda: idle_with(worker, site.good))


def test_a_prepare_hook_runs_in_the_cold_slot(site: Site) -> None:
    argv = site.hook("prepare", 'pwd; echo "$HEADWAY_COMMIT" > made; [ "$(cat f)" != bad ]')
    worker = on_the_good_build(site, site.app(prepare=Hook(argv)))
    assert (site.current / "made").read_text() == "commit-0\n"
    worker.offer(*sealed_signal(site.bad, epoch=2, base=site.good, fraction=0.0))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 1)))
    assert seen(worker).output.strip().startswith(str(site.place / "web" / "slots"))
    assert site.started() == "good"


def test_an_untrusted_build_fails_without_a_trace(site: Site) -> None:
    worker = on_the_good_build(site)

    def tampered(_: str) -> None:
        raise Untrusted("the content is not what was signed")

    site.shelf.on_fetch = tampered
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.better, 1)))
    assert seen(worker).error == "the content is not what was signed"
    assert not list((site.place / "web" / "store" / "incoming").iterdir())


def test_an_unreachable_store_is_tried_again(site: Site) -> None:
    worker = on_the_good_build(site)
    failures = iter([Unreachable("the store does not answer")])

    def away(_: str) -> None:
        for error in failures:
            raise error

    site.shelf.on_fetch = away
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: seen(worker).error == "the store does not answer")
    assert seen(worker).running == site.good
    until(lambda: idle_with(worker, site.better, error="", failed=None))


def test_a_fresh_signal_supersedes_what_is_being_fetched(site: Site) -> None:
    worker = on_the_good_build(site)
    large = site.shelf.add(files(**{f"f{number}": f"text {number}" for number in range(50)}))
    fetching, go_on = threading.Event(), threading.Event()

    def slow(_: str) -> None:
        fetching.set()
        assert go_on.wait(20)

    site.shelf.on_fetch = slow
    site.shelf.fetched.clear()
    worker.offer(*sealed_signal(large, epoch=2, base=site.good))
    assert fetching.wait(20)
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.good))
    go_on.set()
    until(lambda: idle_with(worker, site.better))
    assert len(site.shelf.fetched) == 2


@pytest.mark.parametrize("restart", [False, True])
def test_epochs_and_serials_never_go_back(
    site: Site, restart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_record(serial=5))
    worker.offer(*sealed_signal(site.better, epoch=7, base=site.good))
    until(lambda: idle_with(worker, site.better, epoch=7))
    if restart:
        site.stop()
        worker = site.worker()
        until(lambda: idle_with(worker, site.better, epoch=7))
    restarts = site.done().count("restart")
    worker.offer(*sealed_signal(site.good, epoch=6))
    worker.offer(*sealed_signal(site.good, epoch=7))
    worker.offer(*sealed_record(serial=4, pin=site.good))
    worker.offer(*sealed_record(serial=5, pin=site.good))
    worker.offer(*sealed_signal(site.better, epoch=8, base=site.good))
    until(lambda: idle_with(worker, site.better, epoch=8))
    assert site.done().count("restart") == restarts
    refused = [vars(record)["error"] for record in caplog.records if "refused" in record.message]
    assert refused == [
        "its epoch 6 is behind 7, already reached",
        "a different one with the same epoch 7 is known",
        "its serial 4 is behind 5, already reached",
        "a different one with the same serial 5 is known",
    ]


def test_what_is_not_signed_for_here_is_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    worker = on_the_good_build(site)
    stranger = Signer.generate()
    key, envelope = sealed_signal(site.better, epoch=2)
    for value in (
        sealed_signal(site.better, epoch=9, signer=stranger),
        (key, sealed_signal(site.better, epoch=9, app="other")[1]),
        (key, sealed_record(serial=9)[1]),
        (key, RELEASE_KEY.seal(b"{}", "application/vnd.headway.signal+json")),
        (key, b"junk"),
        sealed_record(serial=9, signer=stranger),
        ("nodes/n1", sealed_record(serial=9, node="n2")[1]),
    ):
        worker.offer(*value)
    assert len([record for record in caplog.records if "refused" in record.message]) == 7
    worker.offer(key, envelope)
    until(lambda: idle_with(worker, site.better, epoch=2))


def test_fields_of_a_newer_control_plane_are_ignored_but_not_a_newer_version(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    worker = on_the_good_build(site)
    key, envelope = sealed_signal(site.better, epoch=2)
    payload = json.loads(Trust.of(RELEASE_KEY.public_pem).open(envelope, SIGNAL_TYPE))
    newer = json.dumps(payload | {"version": 2, "epoch": 3}).encode()
    worker.offer(key, RELEASE_KEY.seal(newer, SIGNAL_TYPE))
    assert "upgrade this agent" in caplog.records[-1].__dict__["error"]
    wider = json.dumps(payload | {"something": "new"}).encode()
    worker.offer(key, RELEASE_KEY.seal(wider, SIGNAL_TYPE))
    until(lambda: idle_with(worker, site.better, epoch=2))


def test_a_hold_and_a_pin_come_first(site: Site) -> None:
    worker = on_the_good_build(site)
    hold = NodeHold("alice", "disk swap")
    worker.offer(*sealed_record(serial=2, hold=hold))
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.good, why="held by alice: disk swap", epoch=2))
    worker.offer(*sealed_record(serial=3, pin=site.better))
    until(lambda: idle_with(worker, site.better))


def test_a_hold_expires(site: Site) -> None:
    worker = on_the_good_build(site)
    hold = NodeHold("alice", "a moment", until=time.time() + 0.5)
    worker.offer(*sealed_record(serial=2, hold=hold))
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better))


def test_somebody_else_moves_current(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better))
    site.stop()
    memory = Memory(site.place / "web")
    assert memory.state.good is not None
    switch(site.place / "web", memory.state.good)
    worker = site.worker()
    until(lambda: idle_with(worker, site.better) and site.started() == "better")
    assert (site.current / "f").read_text() == "better"


@pytest.mark.parametrize("returning", [False, True])
@pytest.mark.parametrize("switched", [False, True])
def test_every_interrupted_activation_is_finished_or_undone(
    site: Site, switched: bool, returning: bool
) -> None:
    """As an agent leaves it that is killed between any two steps."""
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good, fraction=0.0))
    until(lambda: idle_with(worker, site.good, prepared=site.better))
    site.stop()
    memory = Memory(site.place / "web")
    slots = {slot.build: name for name, slot in memory.state.slots.items()}
    activation = Activation(site.better, slots[site.better], slots[site.good], 1, returning)
    failed = Failure(site.better, 1) if returning else None
    memory.keep(activation=activation, failed=failed, error="not healthy" if returning else "")
    if switched:
        switch(site.place / "web", slots[site.better])
    site.journal.write_text("")
    worker = site.worker()
    until(lambda: site.done() and seen(worker).activity is Activity.IDLE)
    until(lambda: Memory(site.place / "web").state.activation is None)
    until(lambda: idle_with(worker, site.good))
    assert site.started() == "good"
    assert site.done()[-1] == "undrain"
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.good))
    if returning:
        until(lambda: idle_with(worker, site.good, failed=failed, epoch=3))
        assert seen(worker).error == "not healthy"
    else:
        until(lambda: idle_with(worker, site.better, failed=None, epoch=3))


def test_an_interrupted_switch_to_a_bad_build_still_has_its_way_back(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.bad, epoch=2, base=site.good, fraction=0.0))
    until(lambda: idle_with(worker, site.good, prepared=site.bad))
    worker.offer(*sealed_record(serial=2, hold=NodeHold("tests", "a pause")))
    worker.offer(*sealed_signal(site.bad, epoch=3, base=site.good))
    until(lambda: idle_with(worker, site.good, epoch=3))
    site.stop()
    memory = Memory(site.place / "web")
    slots = {slot.build: name for name, slot in memory.state.slots.items()}
    memory.keep(activation=Activation(site.bad, slots[site.bad], slots[site.good], 1))
    switch(site.place / "web", slots[site.bad])
    worker = site.worker()
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 1)))
    assert site.started() == "good"


def test_the_way_back_is_written_down_before_it_is_taken(site: Site) -> None:
    app = site.app()
    script = f'cat "$HEADWAY_TREE/f" > "{site.place}/started"\n'
    wait = f'while [ -e "{site.blocker}" ] && grep -q good "$HEADWAY_TREE/f"; do sleep 0.01; done\n'
    site.hook("restart", wait + script)
    worker = on_the_good_build(site, app)
    site.blocker.touch()
    worker.offer(*sealed_signal(site.bad, epoch=2, base=site.good))
    until(lambda: seen(worker).activity is Activity.FLIPPING_BACK)
    until(lambda: site.done().count("restart") == 3)
    state = Memory(site.place / "web").state
    assert state.activation is not None and state.activation.returning
    assert state.failed == Failure(site.bad, 1)
    assert seen(worker).running is None
    site.blocker.unlink()
    until(lambda: idle_with(worker, site.good))


def test_a_base_that_fails_is_not_tried_for_ever(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.bad, fraction=0.0))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 1)))
    restarts = site.done().count("restart")
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.bad, fraction=0.1))
    until(lambda: idle_with(worker, site.good, epoch=3))
    until(lambda: "failed here; waiting to be told to retry" in seen(worker).why)
    assert site.done().count("restart") == restarts


def test_pinning_again_tries_again(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_record(serial=2, pin=site.bad))
    until(lambda: idle_with(worker, site.good, failed=Failure(site.bad, 1)))
    restarts = site.done().count("restart")
    worker.offer(*sealed_record(serial=3, pin=site.bad))
    until(lambda: site.done().count("restart") == restarts + 2)


def test_undrain_runs_at_every_start(site: Site) -> None:
    on_the_good_build(site)
    site.stop()
    site.journal.write_text("")
    site.worker()
    until(lambda: site.done() == ["undrain"])


def test_a_lost_state_is_made_again(site: Site) -> None:
    on_the_good_build(site)
    site.stop()
    (site.place / "web" / "state").write_bytes(b"\x00" * 50)
    worker = site.worker()
    until(lambda: seen(worker).why == "waiting for this node's record")
    assert (site.current / "f").read_text() == "good", "what served still serves"
    worker.offer(*sealed_record())
    worker.offer(*sealed_signal(site.good, epoch=1))
    until(lambda: idle_with(worker, site.good))


def test_a_signal_does_not_wait_for_the_tidying(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(slots: Slots, keep: set[str], proceed: Callable[[], None]) -> None:
        while True:
            proceed()
            time.sleep(0.01)

    monkeypatch.setattr(Slots, "tidy", endless)
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better))


def hurt(path: Path) -> None:
    """Written through a link, as root may."""
    path.chmod(0o644)
    path.write_text("evil")
    path.chmod(0o444)


def test_a_signal_does_not_wait_for_a_scrub(site: Site) -> None:
    worker = site.worker(scrub=Scrubbing(megabytes_per_second=1e-6, every=1e-9))
    worker.offer(*sealed_record())
    worker.offer(*sealed_signal(site.good, epoch=1))
    until(lambda: idle_with(worker, site.good))
    until(lambda: worker._scrub._rest_until > time.monotonic() + 60)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better))
    assert seen(worker).inspection == Inspection(), "it is still at it"


def test_a_node_verifies_when_it_is_asked_and_once(site: Site) -> None:
    worker = on_the_good_build(site)
    hold = NodeHold("alice", "disk swap")
    worker.offer(*sealed_record(serial=2, verify=2, hold=hold))
    until(lambda: (report := seen(worker)).inspection and report.inspection.asked == 2)
    first = seen(worker).inspection
    assert first is not None
    assert (first.build, first.files, first.drift) == (site.good, 1, ())
    worker.offer(*sealed_record(serial=3, verify=2))
    until(lambda: "held" not in seen(worker).why)
    assert seen(worker).inspection == first
    site.stop()
    assert seen(site.worker()).inspection == first, "it outlives the agent"


def test_the_way_back_is_made_anew_and_the_hot_tree_left_alone(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better, prepared=site.good))
    slots = site.current.parent / "slots"
    for slot in slots.iterdir():
        hurt(slot / "f")
    away = threading.Event()

    def on_fetch(_: str) -> None:
        if not away.is_set():
            raise Unreachable("the store is away")

    site.shelf.on_fetch = on_fetch
    worker.offer(*sealed_record(serial=2, verify=2))
    until(lambda: "the store is away" in seen(worker).error)
    assert seen(worker).prepared is None, "what is damaged is not there to be switched to"
    away.set()
    until(lambda: idle_with(worker, site.better, prepared=site.good))
    until(lambda: (report := seen(worker)).inspection and report.inspection.asked == 2)
    report = seen(worker)
    assert report.inspection is not None
    drifts = {drift.build: drift for drift in report.inspection.drift}
    assert drifts.keys() == {site.good, site.better}
    assert (drifts[site.better].serving, drifts[site.better].mended) == (True, False)
    assert (drifts[site.good].serving, drifts[site.good].mended) == (False, True)
    assert (site.current / "f").read_text() == "evil"
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.good, fraction=0.0))
    until(lambda: idle_with(worker, site.good))
    assert (site.current / "f").read_text() == "good"
    worker.offer(*sealed_signal(site.better, epoch=4, base=site.good))
    until(lambda: idle_with(worker, site.better))
    assert (site.current / "f").read_text() == "better"


def test_a_held_node_makes_nothing_anew_before_it_is_let_go(site: Site) -> None:
    worker = on_the_good_build(site)
    worker.offer(*sealed_signal(site.better, epoch=2, base=site.good))
    until(lambda: idle_with(worker, site.better, prepared=site.good))
    cold = next(p for p in (site.current.parent / "slots").glob("*/f") if p.read_text() == "good")
    hurt(cold)
    site.shelf.fetched.clear()
    worker.offer(*sealed_record(serial=2, verify=2, hold=NodeHold("alice", "disk swap")))
    until(lambda: (report := seen(worker)).inspection and report.inspection.asked == 2)
    until(lambda: not worker._untidy)
    worker.offer(*sealed_record(serial=3, verify=3, hold=NodeHold("alice", "disk swap")))
    until(lambda: (report := seen(worker)).inspection and report.inspection.asked == 3)
    assert (seen(worker).prepared, site.shelf.fetched) == (None, [])
    worker.offer(*sealed_record(serial=4, verify=3))
    worker.offer(*sealed_signal(site.better, epoch=3, base=site.good))
    until(lambda: idle_with(worker, site.better))
