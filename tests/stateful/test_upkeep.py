"""However publishing, deploying, repacking and collecting follow upon each other, what is needed
can be fetched."""

import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import Phase as Search
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from msgspec import structs

from headway.builds import index, repack
from headway.builds.collect import collect
from headway.core.fleet import Member
from headway.errors import NotFound, Refused
from headway.model.report import Activity, Report
from headway.model.signal import Layer, NodeRecord, Seat, Signal
from headway.server import needed
from tests.unit.builds.build_shelf import Shelf, write_tree

APP = "shop"
NODES = ("n1", "n2")
MOST_PACKS = 2


class UpkeepMachine(RuleBasedStateMachine):
    """A store, a signal, and two nodes that may be anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.registered: list[str] = []
        self.signal: Signal | None = None
        self.reports: dict[str, Report] = {}
        self.pins: dict[str, str | None] = {}
        self.fetched_at: list[str] = []

    # What happens.

    @rule(texts=st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=4))
    def publish(self, texts: list[str]) -> None:
        with tempfile.TemporaryDirectory() as room:
            files = {f"f{i}": text.encode() * 50 for i, text in enumerate(texts)}
            tree = write_tree(Path(room, "t"), files)
            build = self.shelf.publish(tree, reversed(self.registered[-3:])).id
        if build not in self.registered:
            self.registered.append(build)

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def deploy(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.registered))
        before = self.signal
        layer = Layer(before.target, {"p": 0.5}) if before and data.draw(st.booleans()) else None
        self.signal = Signal(
            app=APP,
            epoch=before.epoch + 1 if before else 1,
            rollout="r",
            base=(layer and before and before.base) or (before.target if before else None),
            target=target,
            fractions={},
            attempt=1,
            prepare=True,
            issued_at=0.0,
            by="",
            why="",
            layer=layer,
        )

    @precondition(lambda self: self.signal)
    @rule(node=st.sampled_from(NODES), prepares=st.booleans())
    def move(self, node: str, prepares: bool) -> None:
        assert self.signal is not None
        last = self.reports.get(node)
        self.reports[node] = Report(
            node=node,
            app=APP,
            boot="b",
            seq=1,
            epoch=1,
            activity=Activity.IDLE,
            running=last.running if prepares and last else self.signal.target,
            prepared=self.signal.target if prepares else last and last.running,
            why="",
            at=0.0,
        )

    @precondition(lambda self: self.registered)
    @rule(node=st.sampled_from(NODES), data=st.data())
    def pin(self, node: str, data: st.DataObject) -> None:
        self.pins[node] = data.draw(st.none() | st.sampled_from(self.registered))

    @rule()
    def time_passes(self) -> None:
        self.shelf.storage.now += 100

    @precondition(lambda self: self.registered)
    @rule(most=st.integers(1, MOST_PACKS))
    def repack(self, most: int) -> None:
        kept = [build for build in reversed(self.registered) if build in self.needed()]
        repack.repack(self.shelf.storage, APP, kept, most)
        places = index.read(self.shelf.storage, APP, kept[0])
        assert len({place.pack for place in places.values()}) <= most

    @rule()
    def collect(self) -> None:
        storage = self.shelf.storage
        supposed = needed.needed(APP, self.signals(), self.members(), (), self.registered[-1:])
        planned = collect(storage, APP, supposed, storage.now - 50, dry=True)
        before = sum(map(len, storage.objects.values()))
        gone = collect(storage, APP, supposed, storage.now - 50)
        assert gone == planned
        assert before - sum(map(len, storage.objects.values())) == gone.bytes
        self.registered = [build for build in self.registered if build not in gone.builds]
        # A build that was spared for a young bundle goes once that bundle's base has gone.
        while gone.bytes:
            left = sum(map(len, storage.objects.values()))
            gone = collect(storage, APP, supposed, storage.now - 50)
            assert left - sum(map(len, storage.objects.values())) == gone.bytes
            self.registered = [build for build in self.registered if build not in gone.builds]
        assert not collect(storage, APP, supposed, storage.now - 50, dry=True).builds

    # What holds.

    def signals(self) -> list[Signal]:
        return [self.signal] if self.signal else []

    def members(self) -> list[Member]:
        def record(node: str) -> NodeRecord:
            return NodeRecord(node, 1, "z", {APP: Seat("p", 0.0, self.pins.get(node))})

        return [Member(record(node), self.reports.get(node)) for node in NODES]

    def needed(self) -> set[str]:
        """By the letter of the promise, not by the code that is to keep it."""
        builds = {self.registered[-1]} if self.registered else set()
        if self.signal:
            builds |= {self.signal.base or "", self.signal.target}
            builds.add(self.signal.layer.build if self.signal.layer else "")
        for report in self.reports.values():
            builds |= {report.running or "", report.prepared or ""}
        builds |= {pin or "" for pin in self.pins.values()}
        return builds - {""}

    @invariant()
    def everything_needed_can_be_fetched(self) -> None:
        for build in self.needed():
            blobs = self.shelf.fetch(build)
            assert all(sha256(raw).hexdigest() == digest for digest, raw in blobs.items())


UpkeepMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestUpkeep = UpkeepMachine.TestCase

Mutate = Callable[[pytest.MonkeyPatch], None]


def with_signal(change: Callable[[Signal], Signal]) -> Mutate:
    def mutate(patch: pytest.MonkeyPatch) -> None:
        genuine = needed.needed
        patch.setattr(
            needed,
            "needed",
            lambda app, signals, *rest: genuine(app, [change(one) for one in signals], *rest),
        )

    return mutate


def forget_reports(patch: pytest.MonkeyPatch) -> None:
    genuine = needed.needed
    patch.setattr(needed, "needed", lambda app, signals, _, *rest: genuine(app, signals, (), *rest))


def forget_to_point_at_the_new_pack(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("headway.builds.collect._packs", lambda *_: set())


MUTANTS: dict[str, Mutate] = {
    "the signal's base is forgotten": with_signal(lambda s: structs.replace(s, base=None)),
    "the signal's layer is forgotten": with_signal(lambda s: structs.replace(s, layer=None)),
    "what nodes run is forgotten": forget_reports,
    "packs are removed whoever names them": forget_to_point_at_the_new_pack,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)
    looking = settings(
        max_examples=1500,
        stateful_step_count=30,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Search.generate],
    )
    with pytest.raises((NotFound, Refused)):
        run(UpkeepMachine, settings=looking)


def test_a_build_that_is_being_published_is_left_alone(tmp_path: Path) -> None:
    shelf = Shelf()
    old = shelf.publish(write_tree(tmp_path / "old", {"a": b"a"}))
    shelf.storage.now = 1000
    new = shelf.publish(write_tree(tmp_path / "new", {"a": b"a", "b": b"b"}), [old.id])
    del shelf.storage.objects[f"{APP}/builds/{new.id}/attestation.json"]
    shelf.storage.write(f"{APP}/packs/{'a' * 64}", [b"on its way"])
    gone = collect(shelf.storage, APP, set(), 500)
    assert gone.builds == (old.id,)
    assert gone.packs == 0, "the new build names it"
    gone = collect(shelf.storage, APP, {new.id}, 2000)
    assert gone.packs == 1


def test_nothing_is_removed_while_it_is_not_certain_what_is_needed(tmp_path: Path) -> None:
    shelf = Shelf()
    build = shelf.publish(write_tree(tmp_path / "old", {"a": b"a"})).id
    other = shelf.publish(write_tree(tmp_path / "new", {"b": b"b"})).id
    before = dict(shelf.storage.objects)
    stored = f"{APP}/builds/{build}/index.zst"
    for damaged in (b"damaged", None):
        shelf.storage.objects[stored] = damaged or b""
        if damaged is None:
            del shelf.storage.objects[stored]
        with pytest.raises(Refused, match="nothing was removed"):
            collect(shelf.storage, APP, {build}, 500)
        assert before.keys() - shelf.storage.objects.keys() <= {stored}
    assert other


def test_a_fresh_node_reads_one_pack_after_repacking(tmp_path: Path) -> None:
    shelf = Shelf()
    files: dict[str, bytes] = {}
    builds: list[str] = []
    for number in range(9):
        files[f"f{number}"] = b"%d" % number * 100
        builds.insert(0, shelf.publish(write_tree(tmp_path / str(number), files), builds[:3]).id)
    assert repack.repack(shelf.storage, APP, builds[:2], 9) == repack.Repacked(9, 9)
    done = repack.repack(shelf.storage, APP, builds[:2], 4)
    assert (done.before, done.after) == (9, 1)
    shelf.storage.reads.clear()
    assert len(shelf.fetch(builds[0])) == 9
    assert len({path for path, _, _ in shelf.storage.reads if "/packs/" in path}) == 1
