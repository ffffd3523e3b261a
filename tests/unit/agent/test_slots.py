"""Which slot is taken, and what an interruption leaves."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from headway.agent import durable
from headway.agent.content import Content
from headway.agent.slots import Save, Slots
from headway.agent.state import Memory, Slot
from headway.agent.switch import hot, switch
from headway.errors import Refused, StorageFailed
from headway.model.build import Entry, Kind
from tests.unit.agent.agent_shelf import Shelf, digest, expected, files, snapshot


class Bench:
    """The slots of one app, and a shelf of builds."""

    def __init__(self, app: Path) -> None:
        app.mkdir(exist_ok=True)
        self.shelf = Shelf()
        self.memory = Memory(app)
        self.slots = Slots(app, self.memory)

    def prepare(self, text: str, hooked: bool = False) -> str:
        build = self.shelf.add(files(f=text, same="same"))
        described, manifest = self.shelf.describe("web", build)
        self.slots.gather(
            manifest, lambda wanted, save: self.shelf.fetch("web", build, wanted, save), quiet
        )
        hook = (lambda tree: (tree / "made").write_text("hook")) if hooked else None
        return self.slots.prepare(described, manifest, set(), hook, quiet)

    def text(self, slot: str) -> str:
        return (self.slots.path(slot) / "f").read_text()


def quiet() -> None:
    pass


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "web")


def test_the_oldest_cold_slot_is_taken(bench: Bench) -> None:
    assert [bench.prepare(text) for text in "ABC"] == ["1", "2", "3"]
    assert bench.prepare("D") == "1"
    assert bench.text("1") == "D"


def test_the_hot_and_the_last_good_slot_are_never_touched(bench: Bench) -> None:
    bench.prepare("A")
    bench.prepare("B")
    switch(bench.slots.app, "2")
    bench.memory.keep(running="2", good="1")
    assert {bench.prepare(text) for text in "CDEF"} == {"3"}
    assert (bench.text("1"), bench.text("2")) == ("A", "B")


def test_a_slot_that_a_process_works_in_is_not_touched(bench: Bench) -> None:
    for text in "ABC":
        bench.prepare(text)
    sleeper = [sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"]
    users = [
        subprocess.Popen(
            sleeper, cwd=bench.slots.path("1"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ),
        subprocess.Popen(
            sleeper,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[opened := os.open(bench.slots.path("2") / "f", os.O_RDONLY)],
        ),
    ]
    os.close(opened)
    try:
        for user in users:
            assert user.stdout is not None
            assert user.stdout.readline() == b"up\n"
        switch(bench.slots.app, "3")
        assert bench.prepare("D") == "4"
        assert [bench.text(slot) for slot in "1234"] == ["A", "B", "C", "D"]
    finally:
        for user in users:
            user.send_signal(signal.SIGKILL)
            user.communicate()
    assert bench.prepare("E") == "1"


def test_a_dirty_slot_is_rebuilt(bench: Bench) -> None:
    for text in "ABC":
        bench.prepare(text)
    bench.memory.keep_slot("2", Slot())
    (bench.slots.path("2") / "f").unlink()
    (bench.slots.path("2") / "f").write_text("torn")
    (bench.slots.path("2") / "unknown").write_text("junk")
    assert bench.prepare("D") == "2"
    assert set(snapshot(bench.slots.path("2"))) == {"f", "same"}
    assert bench.text("2") == "D"


def test_a_slot_is_dirty_while_it_is_changed(bench: Bench) -> None:
    for text in "ABC":
        bench.prepare(text)
    build = bench.shelf.add(files(f="D"))
    described, manifest = bench.shelf.describe("web", build)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.slots.prepare(described, manifest, set(), None, interrupted)
    again = Memory(bench.slots.app)
    assert again.state.slots["1"].build is None
    assert bench.slots.holding(build) is None


def test_what_had_arrived_for_an_interrupted_preparation_is_not_fetched_again(bench: Bench) -> None:
    build = bench.shelf.add(files(f="D", g="E"))
    described, manifest = bench.shelf.describe("web", build)

    def fetch(wanted: Mapping[str, int], save: Save) -> None:
        bench.shelf.fetch("web", build, wanted, save)

    def interrupted() -> None:
        raise KeyboardInterrupt

    bench.slots.gather(manifest, fetch, quiet)
    with pytest.raises(KeyboardInterrupt):
        bench.slots.prepare(described, manifest, set(), None, interrupted)
    bench.slots.gather(manifest, fetch, quiet)
    assert sorted(bench.shelf.fetched) == sorted([digest("D"), digest("E")])
    slot = bench.slots.prepare(described, manifest, set(), None, quiet)
    assert snapshot(bench.slots.path(slot)) == expected(manifest, bench.shelf.texts)


@pytest.mark.parametrize("damage", ["gone", "torn", "unreadable"])
def test_a_slot_whose_listings_are_damaged_is_looked_at_name_by_name(
    bench: Bench, damage: str
) -> None:
    for text in "ABC":
        bench.prepare(text)
    for path in (bench.slots.app / "listings").glob("??/*"):
        path.unlink()
        if damage == "torn":
            path.write_bytes(b"")
        elif damage == "unreadable":
            path.mkdir()
    bench.slots.tidy(set(), quiet)
    assert set(snapshot(bench.slots.path(bench.prepare("D")))) == {"f", "same"}


def test_what_a_prepare_hook_made_is_gone_with_the_build(bench: Bench) -> None:
    slot = bench.prepare("A", hooked=True)
    assert (bench.slots.path(slot) / "made").exists()
    for text in "BC":
        bench.prepare(text)
    assert bench.prepare("D") == slot
    assert not (bench.slots.path(slot) / "made").exists()


def test_only_what_is_new_is_fetched(bench: Bench) -> None:
    bench.prepare("A")
    bench.shelf.fetched.clear()
    bench.prepare("B")
    assert len(bench.shelf.fetched) == 1


def test_what_was_seen_in_the_store_is_not_looked_for_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    holds = Content._holds

    def watched(content: Content, entry: Entry) -> bool:
        looked.append(entry.name)
        return holds(content, entry)

    monkeypatch.setattr(Content, "_holds", watched)
    bench.prepare("A")
    assert looked == ["f", "same"]
    looked.clear()
    bench.prepare("B")
    assert looked == ["f"]


def test_content_that_vanished_is_fetched_again_after_one_failure(bench: Bench) -> None:
    bench.prepare("A")
    bench.prepare("B")
    bench.slots.tidy(set(), quiet)
    same = next((bench.slots.app / "store").glob(f"??/{digest('same')}"))
    same.unlink()
    with pytest.raises(StorageFailed):
        bench.prepare("C")
    assert bench.text(bench.prepare("C")) == "C"
    bench.slots.tidy(set(), quiet)
    assert same.exists()


def test_an_executable_is_fetched_once_and_its_content_without_the_mode_again(
    bench: Bench,
) -> None:
    def prepare(kind: Kind, text: str) -> None:
        build = bench.shelf.add({"run": (kind, "#!/bin/sh"), **files(f=text)})
        described, manifest = bench.shelf.describe("web", build)
        bench.slots.gather(
            manifest, lambda wanted, save: bench.shelf.fetch("web", build, wanted, save), quiet
        )
        slot = bench.slots.prepare(described, manifest, set(), None, quiet)
        assert snapshot(bench.slots.path(slot))["run"] == (kind, "#!/bin/sh")
        bench.slots.tidy(set(), quiet)

    for text in "ABCDE":
        prepare(Kind.EXECUTABLE, text)
    assert bench.shelf.fetched.count(digest("#!/bin/sh")) == 1
    prepare(Kind.FILE, "F")
    assert bench.shelf.fetched.count(digest("#!/bin/sh")) == 2


def test_tidying_finds_what_was_left_in_a_cold_slot(bench: Bench) -> None:
    for text in "ABC":
        bench.prepare(text)
    litter = bench.slots.path("1") / "cache.pyc"
    litter.write_text("junk")
    for slot in "12":
        known = bench.memory.state.slots[slot]
        bench.memory.keep_slot(slot, Slot(known.build, known.commit, exact=False, age=known.age))
    bench.slots.tidy(set(), quiet)
    assert [bench.memory.state.slots[slot].exact for slot in "12"] == [False, True]
    assert bench.prepare("D") == "1"
    assert not litter.exists()


def test_slots_beyond_three_are_given_up(bench: Bench) -> None:
    for text in "ABC":
        bench.prepare(text)
    bench.slots.path("4").mkdir()
    bench.memory.keep_slot("4", Slot())
    bench.slots.tidy(set(), quiet)
    assert not bench.slots.path("4").exists()
    assert set(bench.memory.state.slots) == {"1", "2", "3"}


def serve(bench: Bench, text: str) -> str:
    """Deploy as a worker does, with the build before as the last good one, and tidy up."""
    slot = bench.prepare(text)
    state = bench.memory.state
    good, build = state.running, state.slots[slot].build
    switch(bench.slots.app, slot)
    bench.memory.keep(running=slot, good=good)
    keep = {state.slots[good].build, build} if good else {build}
    bench.slots.tidy({one for one in keep if one}, quiet)
    return slot


def test_a_spare_is_what_runs_a_second_time_and_the_next_build_starts_from_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [serve(bench, text) for text in "ABC"] == ["1", "2", "3"]
    known = bench.memory.state.slots
    assert (known["1"].spare, known["1"].build) == (True, known["3"].build)
    assert [bench.text(slot) for slot in "123"] == ["C", "B", "C"]
    relinked: list[str] = []
    monkeypatch.setattr(Content, "relink", lambda *given: relinked.append(given[2]))
    build = bench.shelf.add(files(f="C", same="same"))
    assert bench.slots.holding(build) == "3", "a spare is never switched to"
    assert bench.prepare("D") == "1"
    assert relinked == ["f"], "only what changes is touched"
    assert not bench.memory.state.slots["1"].spare


def test_a_spare_is_not_told_of(bench: Bench) -> None:
    builds = []
    for text in "ABC":
        slot = serve(bench, text)
        builds.append(bench.memory.state.slots[slot].build)
    assert bench.slots.cold() == builds[1]
    assert bench.slots.builds() == [builds[2], builds[1]]


def test_an_agent_killed_while_it_makes_a_spare_makes_the_slot_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(bench, "A")
    serve(bench, "B")
    slot = bench.prepare("C")
    switch(bench.slots.app, slot)
    bench.memory.keep(running=slot, good="2")

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(durable, "sync_file_system", killed)
        bench.slots.tidy(set(), quiet)
    again = Slots(bench.slots.app, Memory(bench.slots.app))
    assert again._memory.state.slots["1"] == Slot()
    again.tidy(set(), quiet)
    assert not again._memory.state.slots["1"].spare, "nothing is known of what is in it"
    bench.memory, bench.slots = again._memory, again
    assert bench.prepare("D") == "1"
    assert set(snapshot(bench.slots.path("1"))) == {"f", "same"}


def test_no_spare_is_made_of_a_slot_that_is_used_or_where_a_hook_has_worked(bench: Bench) -> None:
    for text in "AB":
        serve(bench, text)
    with subprocess.Popen(["sleep", "60"], cwd=bench.slots.path("1")) as sleeper:
        assert serve(bench, "C") == "3"
        assert bench.text("1") == "A"
        sleeper.kill()
    bench.slots.tidy(set(), quiet)
    assert bench.text("1") == "C"
    slot = bench.prepare("D", hooked=True)
    switch(bench.slots.app, slot)
    bench.memory.keep(running=slot, good="3")
    bench.slots.tidy(set(), quiet)
    assert not any(known.spare for known in bench.memory.state.slots.values())


def test_listings_that_arrived_outlive_the_agent_and_get_files_of_their_own(bench: Bench) -> None:
    slot = bench.prepare("A")
    build = bench.memory.state.slots[slot].build
    assert build is not None
    arrived = bench.slots.app / "listings" / "arrived"
    assert [path.name for path in arrived.iterdir()] == [build]
    again = Slots(bench.slots.app, Memory(bench.slots.app))
    content = again.listing(build)
    assert content is not None
    again.tidy({build}, quiet)
    assert not list(arrived.iterdir())
    assert Slots(bench.slots.app, Memory(bench.slots.app)).listing(build) == content


def test_a_torn_file_of_listings_is_not_believed(bench: Bench) -> None:
    slot = bench.prepare("A")
    build = bench.memory.state.slots[slot].build
    assert build is not None
    torn = bench.slots.app / "listings" / "arrived" / build
    torn.write_bytes(torn.read_bytes()[:-1])
    bench.slots = Slots(bench.slots.app, Memory(bench.slots.app))
    assert bench.slots.listing(build) is None
    assert set(snapshot(bench.slots.path(bench.prepare("B")))) == {"f", "same"}


class _News(Exception):
    pass


def test_tidying_makes_way_for_news(bench: Bench) -> None:
    for text in "ABCD":
        bench.prepare(text)
    bench.prepare("E")
    bench.slots.content.commit()
    store = bench.slots.app / "store"
    unused = [next(store.glob(f"??/{digest(text)}")) for text in "AB"]
    looks = 0

    def news() -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            raise _News

    with pytest.raises(_News):
        bench.slots.tidy(set(), news)
    assert any(path.exists() for path in unused)
    bench.slots.tidy(set(), quiet)
    assert not any(path.exists() for path in unused)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_while_fetching(bench: Bench, code: int) -> None:
    slot = bench.prepare("A")
    switch(bench.slots.app, slot)

    def full(_: str) -> None:
        raise OSError(code, os.strerror(code))

    bench.shelf.on_fetch = full
    with pytest.raises(StorageFailed, match="what served still serves"):
        bench.prepare("B")
    assert bench.text(slot) == "A"
    assert not list((bench.slots.app / "store" / "incoming").iterdir())


def test_a_full_disk_while_linking(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prepare("A")
    switch(bench.slots.app, "1")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(StorageFailed, match="the disk is full; free some space"):
            bench.prepare("B")
    assert bench.text("1") == "A"
    assert hot(bench.slots.app) == "1"
    assert bench.text(bench.prepare("B")) == "B"


def test_the_slot_is_on_the_disk_before_it_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def synced(_: int) -> None:
        seen.append(next((s.build for s in bench.memory.state.slots.values()), "nothing"))

    monkeypatch.setattr(durable, "sync_file_system", synced)
    bench.prepare("A")
    assert seen == [None], "once, while the slot is dirty"


def test_current_that_is_not_ours_is_left_alone(bench: Bench) -> None:
    (bench.slots.app / "current").mkdir()
    with pytest.raises(Refused, match="is not a link; move it away"):
        bench.slots.hot()
    (bench.slots.app / "current").rmdir()
    (bench.slots.app / "current").symlink_to("/etc")
    with pytest.raises(Refused, match="leads out of"):
        bench.slots.hot()
