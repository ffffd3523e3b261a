"""Running a program to its end, by its argv, and leaving nothing of it behind."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from headway.errors import HookFailed

MAX_OUTPUT_BYTES = 8000


def run(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    *,
    timeout: float,
    output: IO[bytes],
    errors: IO[bytes],
    given: IO[bytes] | None = None,
) -> None:
    """Run a command; when it ends, or after ``timeout`` seconds, its process group is killed.

    ``given`` is its standard input. Raises HookFailed with its last errors unless it succeeds.
    """
    name = ascii(Path(command[0]).name[:80])
    try:
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL if given is None else given,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise HookFailed(f"{name} cannot be run: {error}") from None
    try:
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise HookFailed(
            f"{name} ran longer than {timeout:g} s and was killed", tail(errors)
        ) from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if status != 0:
        ended = f"ended with status {status}" if status > 0 else f"was killed by signal {-status}"
        raise HookFailed(f"{name} {ended}; its last output says why", tail(errors))


def told(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], *, timeout: float
) -> str:
    """The last of what a command writes, to either of its outputs. Raises HookFailed with that."""
    with tempfile.TemporaryFile() as said:
        run(command, directory, environment, timeout=timeout, output=said, errors=said)
        return tail(said)


def tail(output: IO[bytes], limit: int = MAX_OUTPUT_BYTES) -> str:
    """The last ``limit`` bytes of a file, as text."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - limit))
    return output.read(limit).decode("utf-8", "replace")
