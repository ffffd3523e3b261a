"""The state file: whole, durable, and never believed when it cannot be understood."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.agent.state import Activation, Memory, Slot, State
from headway.agent.switch import hot, switch
from headway.errors import StorageFailed
from headway.model.build import Failure

BUILD = "ab" * 32


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.keep(
        slots={"1": Slot(BUILD, "c1", True, 3)},
        running="1",
        activation=Activation(BUILD, "1", None, 2),
        failed=Failure(BUILD, 1),
    )
    assert Memory(tmp_path).state == memory.state


def test_what_is_read_at_the_start_will_survive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent before this one may have been killed after its rename, before its sync."""
    Memory(tmp_path).keep(running="1")
    synced: list[int] = []
    genuine = os.fsync

    def fsync(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        genuine(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    assert Memory(tmp_path).state.running == "1"
    assert synced == [tmp_path.stat().st_ino]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b'{"slots": {"../../etc": {}}}',
        b'{"running": "/"}',
        b'{"slots": {"1": {"build": "not a digest"}}}',
        b'{"unknown": 1}',
        b"[" * 100_000,
    ],
)
def test_a_state_that_cannot_be_understood_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    assert Memory(tmp_path).state == State()
    [aside] = tmp_path.glob("state.unreadable-*")
    assert aside.read_bytes() == content


@given(st.binary(max_size=200))
def test_no_state_file_stops_the_agent(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    place = tmp_path_factory.mktemp("state")
    (place / "state").write_bytes(content)
    Memory(place).keep(running="1")
    assert Memory(place).state.running == "1"


def test_a_state_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(tmp_path)
    memory.keep(running="1")

    def broken(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(StorageFailed, match="the disk is full"):
            memory.keep(running="2")
    assert memory.state.running == "1"
    assert Memory(tmp_path).state.running == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_state_and_switch_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before its name is put in place, the directory after it."""
    steps: list[str] = []
    sync, rename = os.fsync, os.rename

    def synced(handle: int) -> None:
        steps.append("directory" if Path(f"/proc/self/fd/{handle}").is_dir() else "file")
        sync(handle)

    def renamed(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("rename")
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    memory = Memory(tmp_path)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    memory.keep(running="1")
    switch(tmp_path, "1")
    assert steps == ["file", "rename", "directory", "rename", "directory"]


def test_current_always_leads_somewhere(tmp_path: Path) -> None:
    assert hot(tmp_path) is None
    for slot in ["1", "2", "2", "17"]:
        switch(tmp_path, slot)
        assert hot(tmp_path) == slot
    (tmp_path / ".current.new").symlink_to("left by a crash")
    switch(tmp_path, "3")
    assert (tmp_path / "current").readlink() == Path("slots/3")


def test_nobody_ever_finds_current_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    switch(tmp_path, "1")
    missing: list[OSError] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                (tmp_path / "current").readlink()
            except OSError as error:
                missing.append(error)

    onlooker = threading.Thread(target=look)
    onlooker.start()
    for number in range(2000):
        switch(tmp_path, str(1 + number % 3))
    stop.set()
    onlooker.join()
    assert missing == []
