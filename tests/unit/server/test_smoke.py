"""The smoke test's commands: what they are given, what is kept, and that nothing of them stays."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from headway.model.plan import SmokeCheck
from headway.server import smoke
from headway.server.smoke import smoke_test

pytestmark = pytest.mark.anyio

SHELL = ("/bin/sh",)


def command(script: str, **more: object) -> SmokeCheck:
    return SmokeCheck(command=("/bin/sh", "-c", script), **more)


async def test_a_command_that_ends_well_passes_and_its_output_is_kept() -> None:
    result = await smoke_test([command("echo checked; echo twice >&2")], SHELL)
    (finding,) = result.findings
    assert (result.passed, result.sentence) == (True, "the smoke test passed: 1 check")
    assert finding.output == "checked\ntwice\n"


async def test_a_command_that_fails_says_how_and_the_last_that_it_said() -> None:
    result = await smoke_test([command("echo first; echo the basket is empty; exit 3")], SHELL)
    assert result.sentence.endswith("ended with status 3")
    assert result.findings[0].output.endswith("the basket is empty\n")


async def test_what_a_command_says_may_be_asked_for() -> None:
    ok = command("echo 12 orders", contains="12 orders")
    bad = command("echo 11 orders", contains="12 orders")
    assert (await smoke_test([ok], SHELL)).passed
    assert 'does not say "12 orders"' in (await smoke_test([bad], SHELL)).sentence


async def test_only_named_programs_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    result = await smoke_test([command(f"touch {mark}")], ("/bin/true",))
    assert "/bin/sh is not one of the server's smoke_programs" in result.sentence
    assert not mark.exists()


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 300 & echo $! > {pid}; echo begun; wait"
    began = time.monotonic()
    result = await smoke_test([command(script, timeout=0.5)], SHELL)
    assert time.monotonic() - began < 5
    assert "ran longer than 0.5 s and was killed" in result.sentence
    assert result.findings[0].output == "begun\n"
    child = int(pid.read_text())
    for _ in range(100):
        if not alive(child):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the child of the command is still alive")


async def test_a_smoke_test_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    task = asyncio.create_task(
        smoke_test([command(f"echo $$ > {pid}; exec sleep 300", timeout=300)], SHELL)
    )
    while not pid.exists() or not pid.read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not alive(int(pid.read_text()))


async def test_secrets_of_the_server_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_SECRET", "s3cret")
    result = await smoke_test([command("env")], SHELL, {"HEADWAY_BUILD": "b1"})
    assert "HEADWAY_BUILD=b1" in result.findings[0].output
    assert "s3cret" not in result.findings[0].output


async def test_a_flood_is_kept_to_its_end() -> None:
    result = await smoke_test([command("yes | head -c 3000000; echo the end", timeout=30)], SHELL)
    kept = result.findings[0].output
    assert len(kept) == smoke.KEPT_CHARACTERS
    assert kept.endswith("the end\n")


async def test_a_program_that_is_not_there() -> None:
    check = SmokeCheck(command=("/nonexistent",))
    result = await smoke_test([check], ("/nonexistent",))
    assert "/nonexistent cannot be run" in result.sentence


async def test_what_a_page_answered_is_kept(unused: None = None) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        result = await smoke_test([SmokeCheck(f"http://127.0.0.1:{port}/")])
    assert result.findings[0].output == "wrong"
    assert "answered 500, expected 200" in result.sentence


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
