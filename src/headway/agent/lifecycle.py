"""The app's own commands: run with a deadline, in a clean environment, and dead with it."""

import contextlib
import os
import pwd
import selectors
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from headway.agent import processes
from headway.agent.config import Hook
from headway.agent.state import Memory
from headway.agent.strategies import CommandRestart
from headway.errors import HookFailed

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT_OUTPUT = 8000
"""How many characters of a hook's output are kept, its last ones."""

_GLANCE = 0.25


class Hooks:
    """Runs the commands of one app, one at a time."""

    def __init__(self, memory: Memory, directory: Path) -> None:
        self._memory = memory
        self._directory = directory

    def bury(self) -> int:
        """Kill what a hook of an agent that died has left running; returns how many processes."""
        token = self._memory.state.hook
        if token is None:
            return 0
        killed = processes.kill_marked(token)
        self._memory.keep(hook=None)
        return killed

    def run(
        self,
        name: str,
        hook: Hook | CommandRestart,
        env: Mapping[str, str],
        cwd: Path | None = None,
        proceed: Callable[[], None] = lambda: None,
    ) -> str:
        """Run a hook; returns the last of its output.

        Raises HookFailed when it cannot start, fails or runs out of time. ``proceed`` is called
        several times a second and may raise to end it. Then the hook's processes are dead.
        """
        user, group, groups = _identity(hook.user, name)
        token = uuid.uuid4().hex
        self._memory.keep(hook=token)
        clean = {"PATH": PATH, "LANG": "C.UTF-8", **env, **hook.env, processes.MARK: token}
        try:
            process = subprocess.Popen(
                hook.argv,
                cwd=cwd or self._directory,
                env=clean,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=groups,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise HookFailed(f"the {name} hook cannot start: {error}") from None
        output = bytearray()
        finished = False
        try:
            finished = _attend(process, output, time.monotonic() + hook.timeout, proceed)
        finally:
            if not finished:
                _kill(process, token)
        text = bytes(output).decode("utf-8", "replace")[-KEPT_OUTPUT:]
        if not finished:
            raise HookFailed(f"the {name} hook took longer than {hook.timeout:g} s", text)
        self._memory.keep(hook=None)
        if process.returncode:
            raise HookFailed(f"the {name} hook failed: {_ending(process.returncode)}", text)
        return text


def _attend(
    process: subprocess.Popen[bytes],
    output: bytearray,
    deadline: float,
    proceed: Callable[[], None],
) -> bool:
    """Collect output until the process ends; False when the deadline comes first."""
    pipe = _pipe(process)
    ended = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                proceed()
                ready = {key.fd for key, _ in selector.select(min(left, _GLANCE))}
                if pipe in ready and not _drink(pipe, output):
                    selector.unregister(pipe)
                # What it leaves behind may hold the pipe open for ever: its own end counts.
                if ended in ready:
                    process.wait()
                    _drink(pipe, output)
                    return True
    finally:
        os.close(ended)
        os.close(pipe)
    return False


def _pipe(process: subprocess.Popen[bytes]) -> int:
    """The reading end of the process's output, which does not block, as a handle of its own."""
    if process.stdout is None:
        raise ValueError("started without a pipe for its output")
    with process.stdout as stream:
        pipe = os.dup(stream.fileno())
    os.set_blocking(pipe, False)
    return pipe


def _drink(pipe: int, output: bytearray) -> bool:
    """Read what is there, keep the end of it; False once nobody can write any more."""
    try:
        chunk = os.read(pipe, 1 << 20)
    except BlockingIOError:
        return True
    output += chunk
    del output[: -4 * KEPT_OUTPUT]
    return bool(chunk)


def _kill(process: subprocess.Popen[bytes], token: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    processes.kill_marked(token)
    process.wait()


def _ending(code: int) -> str:
    if code > 0:
        return f"it exited with {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"


def _identity(user: str | None, name: str) -> tuple[int | None, int | None, list[int] | None]:
    """Whom to run as: the user with all its groups, and none of the agent's."""
    if user is None:
        return None, None, None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise HookFailed(f"the {name} hook's user {user!r} does not exist here") from None
    return entry.pw_uid, entry.pw_gid, os.getgrouplist(user, entry.pw_gid)
