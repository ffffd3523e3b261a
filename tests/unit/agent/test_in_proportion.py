"""What a node has already is not fetched again."""

import random
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from headway.agent import slots as slots_module
from headway.agent.slots import Slots
from headway.agent.state import Memory
from headway.agent.switch import switch
from headway.builds import layout
from headway.errors import Unreachable, Untrusted
from tests.unit.agent import agent_shelf
from tests.unit.builds.build_shelf import Shelf, write_tree

NOISE = random.Random(7).randbytes(200_000)


def quiet() -> None:
    pass


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    app = tmp_path / "shop"
    app.mkdir()
    return Slots(app, Memory(app))


def test_a_second_build_takes_one_request(slots: Slots, tmp_path: Path) -> None:
    store = Shelf()

    def deploy(files: Mapping[str, bytes | str | None], earlier: list[str]) -> str:
        made = store.publish(write_tree(tmp_path / f"t{len(earlier)}", files), earlier)
        store.storage.reads.clear()
        build, tree = store.fetcher.describe("shop", made.id, slots)
        slots.gather(
            tree, lambda want, save: store.fetcher.fetch("shop", made.id, want, save), quiet
        )
        slot = slots.prepare(build, tree, set(), None, quiet)
        assert {path: (slots.path(slot) / path).read_bytes() for path in files} == files
        return made.id

    files = {f"f{i}": f"{i}\n".encode() * 5000 for i in range(50)}
    first = deploy(files, [])
    second = deploy(files | {"f7": files["f7"] + b"changed\n"}, [first])
    assert [path for path, _, _ in store.storage.reads] == [layout.bundle("shop", second, first)]
    assert len(store.storage.objects[layout.bundle("shop", second, first)]) < 1500
    assert slots.builds() == [second, first]


def test_a_program_that_changed_a_little_is_patched_too(slots: Slots, tmp_path: Path) -> None:
    """Its content lies here as an executable only, once the node has been tidied up."""
    store = Shelf()
    builds: list[str] = []
    for number in range(2):
        program = {"bin/run": NOISE + b"%d" % number}
        made = store.publish(write_tree(tmp_path / f"t{number}", program), builds[-1:])
        builds.append(made.id)
        store.storage.reads.clear()
        build, tree = store.fetcher.describe("shop", made.id, slots)
        slots.gather(tree, partial(store.fetcher.fetch, "shop", made.id), quiet)
        slot = slots.prepare(build, tree, set(), None, quiet)
        assert (slots.path(slot) / "bin" / "run").read_bytes() == program["bin/run"]
        slots.tidy(set(), quiet)
    assert [path for path, _, _ in store.storage.reads] == [
        layout.bundle("shop", *reversed(builds))
    ]


def test_a_change_in_a_directory_of_thousands_takes_two_of_its_listings(
    slots: Slots, tmp_path: Path
) -> None:
    """It stays so when all has been settled and collected, and after a restart of the agent."""
    store = Shelf()
    files: dict[str, bytes | str | None] = {f"icon-{i:05}": b"%d" % i for i in range(5000)}
    builds: list[str] = []
    for number, name in enumerate(["icon-00000", "icon-02500", "icon-02500.new"]):
        files[name] = f"{number}: {name}".encode()
        made = store.publish(write_tree(tmp_path / f"t{number}", files), builds[-1:])
        builds.append(made.id)
        build, tree = store.fetcher.describe("shop", made.id, slots)
        assert number == 0 or len(tree.arrived) == 2, "the piece, and the list of pieces"
        slots.gather(tree, partial(store.fetcher.fetch, "shop", made.id), quiet)
        slot = slots.prepare(build, tree, set(), None, quiet)
        assert {path.name: path.read_bytes() for path in slots.path(slot).iterdir()} == files
        switch(slots.app, slot)
        slots.tidy(set(), quiet)
        slots.close()
        slots = Slots(slots.app, Memory(slots.app))
        for kept in slots.builds():
            assert len(slots.manifest(kept).entries(kept)) == 5000 + (
                number == 2 and kept == made.id
            )


def cut_off(texts: list[str], error: Exception) -> tuple[agent_shelf.Shelf, str]:
    shelf = agent_shelf.Shelf()
    build = shelf.add(agent_shelf.files(**{f"f{text}": text for text in texts}))

    def stop(_: str) -> None:
        if len(shelf.fetched) == 2:
            raise error

    shelf.on_fetch = stop
    return shelf, build


@pytest.mark.parametrize(
    ("error", "kept"), [(Unreachable("the line is cut"), 2), (Untrusted("it is not so"), 0)]
)
def test_what_arrived_before_a_cut_is_kept(slots: Slots, error: Exception, kept: int) -> None:
    shelf, build = cut_off(list("ABCDE"), error)
    _, tree = shelf.describe("web", build)

    def fetch(wanted: Mapping[str, int], save: slots_module.Save) -> None:
        shelf.fetch("web", build, wanted, save)

    with pytest.raises(type(error)):
        slots.gather(tree, fetch, quiet)
    before = list(shelf.fetched)
    shelf.fetched.clear()
    shelf.on_fetch = lambda _: None
    slots.gather(tree, fetch, quiet)
    assert len(shelf.fetched) == 5 - kept
    assert set(before[:kept]).isdisjoint(shelf.fetched)


def test_much_is_made_durable_on_the_way(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "_KEPT_EVERY", 2)
    shelf = agent_shelf.Shelf()
    build = shelf.add(agent_shelf.files(**{f"f{text}": text for text in "ABCDE"}))
    _, tree = shelf.describe("web", build)
    durable: list[int] = []

    def fetch(wanted: Mapping[str, int], save: slots_module.Save) -> None:
        def count(digest: str, size: int, chunks: Iterator[bytes]) -> None:
            durable.append(len(list((slots.app / "store").glob("??/*"))))
            save(digest, size, chunks)

        shelf.fetch("web", build, wanted, count)

    slots.gather(tree, fetch, quiet)
    assert durable == [0, 0, 2, 2, 4]
