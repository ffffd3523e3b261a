"""``headway emergency`` on a store in a file: what it shows, asks, writes and refuses."""

import asyncio
import fcntl
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.signals.port import SignalStore
from headway.signals.stores import open_store
from headway.signing import Signer, Trust

OLD, NEW = "aa" * 32, "bb" * 32
STANDING = Signal(
    app="web",
    epoch=7,
    rollout="web-5",
    base=OLD,
    target=NEW,
    fractions={"canary": 1.0, "production": 0.25},
    attempt=5,
    prepare=True,
    issued_at=1.0,
    by="headway",
    why="the wave rises",
    turned=5,
    retry={"canary": 1.0, "production": 1.0},
)


@dataclass
class Site:
    """A stopped server's directory, and what is in its store."""

    room: Path
    signer: Signer

    @property
    def options(self) -> tuple[str, ...]:
        return ("web", "--store", f"embedded:{self.room}/signals.db", "--key", f"{self.room}/key")

    def put(self, signal: Signal, signer: Signer | None = None) -> None:
        sealed = (signer or self.signer).seal(msgspec.json.encode(signal), SIGNAL_TYPE)

        async def write(store: SignalStore) -> None:
            entry = await store.get(signal_key("web"))
            await store.put(signal_key("web"), sealed, entry.revision if entry else None)

        self._with(write)

    def signal(self) -> Signal:
        async def read(store: SignalStore) -> bytes:
            entry = await store.get(signal_key("web"))
            assert entry is not None
            return entry.value

        payload = Trust.of(self.signer.public_pem).open(self._with(read), SIGNAL_TYPE)
        return msgspec.json.decode(payload, type=Signal)

    def _with(self, work: Any) -> Any:
        async def run() -> Any:
            store = open_store(f"embedded:{self.room}/signals.db")
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(run())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    signer = Signer.generate()
    signer.save(tmp_path / "key")
    made = Site(tmp_path, signer)
    made.put(STANDING)
    return made


def test_the_fleet_goes_back_and_what_was_done_and_how_to_see_it_is_said(
    headway: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    ended = headway("emergency", "revert", *site.options, "--reason", "all is red", "--yes")
    assert ended.code == 0, ended.err
    assert "every node of web is to run aaaaaaaaaaaa" in ended.out
    assert "headway emergency show web" in ended.out
    assert "when a server runs on this store again" in ended.out
    signal = site.signal()
    assert (signal.epoch, signal.base, signal.fractions) == (8, OLD, {})
    assert (signal.by, signal.layer, signal.turned) == ("alice", None, 8)
    assert "all is red" in signal.why
    again = headway("emergency", "revert", *site.options, "--yes")
    assert again.code == 3
    assert "already, since epoch 8" in again.err
    assert headway("emergency", "revert", *site.options, "--yes", "--to", NEW[:8]).code == 0
    assert site.signal().base == NEW


def test_show_says_it_in_words_also_with_the_public_key_alone(
    headway: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ended = headway("emergency", "show", *site.options[:-1], f"{site.room}/key.pub")
    assert ended.code == 0
    assert "100 % of canary, 25 % of production runs bbbbbbbbbbbb" in ended.out
    assert "the rest aaaaaaaaaaaa" in ended.out
    assert "none reports in this store" in ended.out
    told = headway("emergency", "show", *site.options, "--json").json
    assert told["signal"]["epoch"] == 7


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("said", "code", "epoch"), [("y\n", 0, 8), ("n\n", 3, 7), ("\n", 3, 7)])
def test_it_asks_and_shows_what_it_is_about_to_do(
    headway: Any, site: Site, monkeypatch: pytest.MonkeyPatch, said: str, code: int, epoch: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(said))
    ended = headway("emergency", "revert", *site.options)
    assert ended.code == code
    assert "Now:  epoch 7: 100 % of canary" in ended.err
    assert "Then: epoch 8: every node runs aaaaaaaaaaaa" in ended.err
    assert "Send every node of web to aaaaaaaaaaaa?" in ended.err
    assert site.signal().epoch == epoch


def test_what_is_written_while_it_asks_is_not_written_over(
    headway: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(signal: Signal) -> bool:
        site.put(msgspec.structs.replace(STANDING, epoch=8, fractions={}, prepare=False))
        return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("headway.cli.emergency._agreed", meanwhile)
    ended = headway("emergency", "revert", *site.options)
    assert ended.code == 3
    assert "changed meanwhile" in ended.err
    assert site.signal().by == STANDING.by


def test_where_nobody_can_be_asked_nothing_is_done_without_yes(
    headway: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ended = headway("emergency", "revert", *site.options)
    assert (ended.code, site.signal().epoch) == (2, 7)
    assert "--yes" in ended.err


def test_a_server_that_runs_on_the_store_is_not_worked_around(headway: Any, site: Site) -> None:
    with (site.room / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for verb in ("show", "revert"):
            ended = headway("emergency", verb, *site.options, *(["--yes"] * (verb == "revert")))
            assert ended.code == 3
            assert "a server is running" in ended.err
            assert "headway rollout revert" in ended.err
    assert site.signal().epoch == 7


def test_another_key_is_refused_unless_the_old_one_is_trusted(headway: Any, site: Site) -> None:
    Signer.generate().save(site.room / "new")
    options = (*site.options[:-1], f"{site.room}/new", "--yes")
    ended = headway("emergency", "revert", *options)
    assert ended.code == 7
    assert "not signed with this key" in ended.err
    assert site.signal().epoch == 7
    ended = headway("emergency", "revert", *options, "--trust", f"{site.room}/key.pub")
    assert ended.code == 0, ended.err


def test_a_forged_signal_is_never_the_base_of_one_that_is_signed(headway: Any, site: Site) -> None:
    site.put(msgspec.structs.replace(STANDING, base="ee" * 32), Signer.generate())
    ended = headway("emergency", "revert", *site.options, "--yes")
    assert ended.code == 7


def test_what_is_not_there_is_said(headway: Any, site: Site, tmp_path: Path) -> None:
    ended = headway("emergency", "show", "shop", *site.options[1:])
    assert ended.code == 4
    assert "it has those of web" in ended.err
    nowhere = f"embedded:{tmp_path}/other.db"
    ended = headway("emergency", "show", "web", "--store", nowhere, "--key", f"{site.room}/key")
    assert ended.code == 4
    assert not (tmp_path / "other.db").exists()
    first = msgspec.structs.replace(STANDING, base=None, epoch=8)
    site.put(first)
    ended = headway("emergency", "revert", *site.options, "--yes")
    assert ended.code == 3
    assert "first build" in ended.err


def test_beyond_passes_what_nodes_have_reached(headway: Any, site: Site) -> None:
    assert headway("emergency", "revert", *site.options, "--yes", "--beyond", "40").code == 0
    assert site.signal().epoch == 41
