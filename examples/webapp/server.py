"""The server process of the example: started once per node, and not part of any build.

It holds the listening socket and runs one worker, ``app.py``, from the tree that ``current``
leads to. On SIGHUP it starts a worker from the new tree; once that one is ready the old one is told
to accept nothing more, and only then does the new one begin. Connections that come between the two
wait in the socket's backlog: none is refused and none reaches the old build afterwards. A worker
that does not come up changes nothing. SIGTERM ends everything.

    server.py --root /srv/headway/webapp --port 8080 --pidfile /run/webapp.pid
"""

import argparse
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path

READY_WITHIN = 20.0
DRAINED_WITHIN = 5.0
LOOK_EVERY = 1.0


class Worker:
    """A process of ``app.py``, and the socket over which it is told what to do."""

    def __init__(self, tree: Path, listener: socket.socket) -> None:
        self.tree = tree
        self._control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-B", str(tree / "app.py")),
                    *("--listen", str(listener.fileno()), "--master", str(theirs.fileno())),
                ],
                cwd=tree,
                stdin=subprocess.DEVNULL,
                pass_fds=(listener.fileno(), theirs.fileno()),
            )

    def says(self, word: bytes, within: float) -> bool:
        """Whether the worker says ``word`` within so many seconds."""
        self._control.settimeout(within)
        try:
            return self._control.recv(1) == word
        except OSError:
            return False

    def tell(self, word: bytes) -> None:
        """Say ``word``; a worker that has died does not mind."""
        with contextlib.suppress(OSError):
            self._control.send(word)

    def end(self) -> None:
        """Kill the worker at once."""
        self.process.kill()
        self.process.wait()
        self._control.close()

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        if self.process.poll() is None:
            return False
        self._control.close()
        return True


class Master:
    """The one worker that accepts, and those that still finish."""

    def __init__(self, root: Path, listener: socket.socket) -> None:
        self._root = root
        self._listener = listener
        self._active: Worker | None = None
        self._finishing: list[Worker] = []

    def reload(self) -> None:
        """Bring up a worker from the tree that ``current`` leads to, and retire the old one."""
        try:
            tree = (self._root / "current").resolve(strict=True)
        except OSError:
            say(f"there is no build in {self._root} yet")
            return
        fresh = Worker(tree, self._listener)
        if not fresh.says(b"r", READY_WITHIN):
            fresh.end()
            say(f"{tree} does not come up; what ran before still runs")
            return
        if self._active is not None:
            self._active.tell(b"d")
            if not self._active.says(b"d", DRAINED_WITHIN):
                self._active.process.kill()
            self._finishing.append(self._active)
        self._listener.listen(1024)
        fresh.tell(b"a")
        self._active = fresh
        say(f"serving {tree}")

    def look(self) -> None:
        """Forget the workers that have finished; replace one that has died."""
        self._finishing = [worker for worker in self._finishing if not worker.has_ended()]
        if self._active is not None and self._active.has_ended():
            say(f"the worker of {self._active.tree} has died")
            self._active = None
            self.reload()

    def end(self) -> None:
        """End all workers."""
        for worker in (self._active, *self._finishing):
            if worker is not None:
                worker.end()


def say(sentence: str) -> None:
    """One line on standard error."""
    print(f"webapp: {sentence}", file=sys.stderr, flush=True)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Serve the example web application.")
    parser.add_argument("--root", type=Path, required=True, help="the app's directory on the node")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--pidfile", type=Path, required=True)
    arguments = parser.parse_args()
    waker, wakes = socket.socketpair()
    for end in (waker, wakes):
        end.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((arguments.host, arguments.port))
        except OSError as error:
            sys.exit(f"webapp: {arguments.host}:{arguments.port} cannot be used: {error.strerror}")
        listener.setblocking(False)
        fresh = arguments.pidfile.with_name(f".{arguments.pidfile.name}.{os.getpid()}")
        fresh.write_text(f"{os.getpid()}\n")
        fresh.rename(arguments.pidfile)
        master = Master(arguments.root, listener)
        try:
            master.reload()
            serve(master, wakes)
        finally:
            master.end()
            arguments.pidfile.unlink(missing_ok=True)


def serve(master: Master, wakes: socket.socket) -> None:
    """Reload when told so, until told to end."""
    with selectors.DefaultSelector() as selector:
        selector.register(wakes, selectors.EVENT_READ)
        while True:
            heard = wakes.recv(64) if selector.select(LOOK_EVERY) else b""
            if {signal.SIGTERM, signal.SIGINT} & set(heard):
                return
            if signal.SIGHUP in heard:
                master.reload()
            master.look()


if __name__ == "__main__":
    main()
