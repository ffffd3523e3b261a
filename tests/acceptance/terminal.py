"""A program on a terminal of its own: a real pty, and what a person would see on its screen."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

import pyte


def _take_the_terminal() -> None:
    """The pty is ours, and Ctrl-C ends us even where whoever runs the tests ignores it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Runs a program at so many columns and lines; ``screen`` is what stands there."""

    def __init__(
        self, argv: Sequence[str], environment: dict[str, str], columns: int = 80, lines: int = 24
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        ours, theirs = pty.openpty()
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
        self.process = subprocess.Popen(
            list(argv),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_the_terminal,  # noqa: PLW1509
        )
        os.close(theirs)
        self._ours = ours

    def read_for(self, seconds: float) -> None:
        """Let the program run for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.read(left)

    def read(self, seconds: float = 0.1) -> None:
        """Take in whatever is written within ``seconds``."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._ours], [], [], left)
            if not ready:
                return
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return
            self.raw += data
            self._stream.feed(data)

    @property
    def screen(self) -> str:
        """The text that stands on the screen, a line a line."""
        return "\n".join(self._screen.display)

    def until(self, seen: Callable[[str], bool], what: str, seconds: float = 30.0) -> str:
        """Wait until the screen is like that; the screen then."""
        deadline = time.monotonic() + seconds
        while not seen(self.screen):
            assert time.monotonic() < deadline, f"waited in vain until {what}:\n{self.screen}"
            self.read()
        return self.screen

    def shows(self, text: str, seconds: float = 30.0) -> str:
        """Wait until a text stands on the screen; the screen then."""
        return self.until(lambda screen: text in screen, f"it shows {text!r}", seconds)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def ended(self, seconds: float = 20.0) -> int:
        """The exit code of the program, which ends by itself."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.screen}"
            self.read()
        self.read()
        return self.process.returncode

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)
