"""A node's own line to a real store: its place, its word, and what it hears."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Queue

import msgspec
import pytest
from msgspec import structs

from headway.errors import Denied, InvalidInput, StoreDenied, Unreachable
from headway.model.report import Activity, Enrolment, Presence, Report, presence_key
from headway.model.signal import record_key, signal_key
from headway.signals import direct
from headway.signals.direct import DirectLink
from headway.signals.port import Entry, SignalStore, Update
from headway.signals.stores import open_store
from tests.contract.store_servers import Cluster, start

ENROLMENT = Enrolment("n1", "east", {"web": "production"})
KEY = presence_key("n1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, program) -> Iterator[Cluster]:
    with start("etcd", tmp_path_factory.mktemp("etcd"), program) as running:
        yield running


@pytest.fixture
def url(cluster: Cluster, request) -> str:
    return cluster.url(request.node.name.replace("[", "-").replace("]", ""))


@pytest.fixture(autouse=True)
def brief(monkeypatch) -> None:
    monkeypatch.setattr(direct, "TTL", 1.0)
    monkeypatch.setattr(direct, "_RETRY_LAST", 0.3)


@pytest.fixture
def link(url: str) -> Iterator[DirectLink]:
    opened = DirectLink(url, "n1")
    yield opened
    hang_up(opened)


def hang_up(link: DirectLink) -> None:
    link.close()
    with suppress(Unreachable):
        link.report(())


def report(why: str = "idle", seq: int = 1, output: str = "") -> Report:
    return Report(
        "n1", "web", "boot", seq, 1, Activity.IDLE, None, None, why, float(seq), output=output
    )


def ask(url: str, what: Callable[[SignalStore], object]) -> object:
    async def asking() -> object:
        store = open_store(url)
        try:
            return await what(store)
        finally:
            await store.close()

    return asyncio.run(asking())


def standing(url: str) -> Entry | None:
    return ask(url, lambda store: store.get(KEY))


def said(url: str) -> Presence:
    entry = standing(url)
    assert entry is not None
    presence = msgspec.json.decode(entry.value, type=Presence)
    assert presence.lease
    return structs.replace(presence, lease="")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_node_says_who_it_is_and_what_it_does(link: DirectLink, url: str) -> None:
    link.enrol(ENROLMENT)
    assert said(url) == Presence(ENROLMENT)
    link.report((report("fetching"),))
    assert said(url) == Presence(ENROLMENT, (report("fetching"),))


def test_only_news_is_written(link: DirectLink, url: str) -> None:
    link.enrol(ENROLMENT)
    link.report((report(seq=1),))
    before = standing(url)
    link.report((report(seq=2),))
    assert standing(url) == before
    link.report((report("switching", seq=3),))
    assert said(url).reports == (report("switching", seq=3),)


def test_nobody_reports_before_it_is_enrolled(link: DirectLink, url: str) -> None:
    with pytest.raises(Unreachable, match="not been enrolled"):
        link.report((report(),))
    assert standing(url) is None


def test_whoever_leaves_is_gone_at_once(url: str) -> None:
    link = DirectLink(url, "n1")
    link.enrol(ENROLMENT)
    hang_up(link)
    assert standing(url) is None
    link.report((report(),))


def test_the_place_of_a_killed_agent_is_free_when_its_lease_has_ended(url: str) -> None:
    killed, link = DirectLink(url, "n1"), DirectLink(url, "n1")
    try:
        killed.enrol(ENROLMENT)
        with pytest.raises(Unreachable, match="not free yet"):
            link.enrol(ENROLMENT)
        hang_up(killed)
        link.enrol(ENROLMENT)
        assert said(url) == Presence(ENROLMENT)
    finally:
        hang_up(link)


def test_a_node_whose_lease_was_lost_takes_its_place_again(link: DirectLink, url: str) -> None:
    link.enrol(ENROLMENT)
    link.report((report(),))
    link._loop.call_soon_threadsafe(link._lease.lose)
    until(lambda: link._lease.lost)
    until(lambda: standing(url) is None)
    link.report((report(),))
    assert said(url) == Presence(ENROLMENT, (report(),))


def test_last_lines_that_do_not_fit_are_left_out(link: DirectLink, url: str) -> None:
    link.enrol(ENROLMENT)
    link.report(tuple(report(f"app {n} failed", output="x" * 8000) for n in range(10)))
    assert [r.why for r in said(url).reports] == [f"app {n} failed" for n in range(10)]
    assert {r.output for r in said(url).reports} == {""}


def test_a_node_hears_its_record_and_its_signals_and_of_the_line(
    link: DirectLink, cluster: Cluster, url: str
) -> None:
    heard: Queue[Update] = Queue()

    def listen() -> None:
        for update in link.watch(("web",)):
            heard.put(update)

    def hear(wanted: Callable[[Update], bool]) -> Update:
        while True:
            update = heard.get(timeout=30)
            if wanted(update):
                return update

    listening = threading.Thread(target=listen)
    listening.start()
    revisions = {}
    for key in (record_key("n1"), signal_key("web")):
        revisions[key] = ask(url, lambda store, key=key: store.put(key, key.encode(), None))
        hear(lambda update, key=key: update == Update(key, key.encode()))
    ask(url, lambda store: store.put(signal_key("api"), b"not ours", None))
    cluster.servers[0].kill()
    assert "etcd" in hear(lambda update: not update.connected).why
    cluster.servers[0].start()
    cluster.ready()
    hear(lambda update: update.connected and not update.key)
    hear(lambda update: update.key == record_key("n1"))
    ask(url, lambda store: store.put(signal_key("web"), b"new", revisions[signal_key("web")]))
    hear(lambda update: update == Update(signal_key("web"), b"new"))
    with pytest.raises(Empty):
        heard.get(block=False)
    link.close()
    listening.join(30)
    assert not listening.is_alive()


def test_what_the_agent_is_told_of_a_store_are_its_own_errors(link: DirectLink) -> None:
    async def refuse(*_: object) -> None:
        raise StoreDenied("etcd does not let us in")

    link._store.lease = refuse
    with pytest.raises(Denied, match="let us in"):
        link.enrol(ENROLMENT)
    with pytest.raises(InvalidInput):
        DirectLink("etcd://", "n1")
