"""One activation after another by the agent's real code, each in a forked process of its own.

``python -m tests.faults.driver`` reads orders, one JSON object a line, and answers each with two
lines: the process that stands ready, stopped, and how it ended. Between the two it is the test's:
it is traced, continued, cut off. A fork takes milliseconds where an interpreter takes a second,
and begins with no system call made.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import msgspec

from headway.agent import activation, durable, processes, switch
from headway.agent.config import AppSettings, Scrubbing
from headway.agent.log import log
from headway.agent.slots import Slots
from headway.agent.state import Memory, Slot
from headway.agent.worker import Worker
from headway.builds.fetch import Fetcher
from headway.builds.storage import open as open_storage
from headway.errors import HeadwayError
from headway.model.report import Activity
from headway.signing import Trust
from tests.unit.agent.agent_shelf import RELEASE_KEY, sealed_record, sealed_signal


class Outcome(msgspec.Struct):
    """How an activation ended: what it reported, or the sentence or traceback it failed with."""

    running: str | None = None
    sentence: str = ""
    trace: str = ""


class Order(msgspec.Struct):
    """Bring the app below ``root`` onto ``target`` from ``store``; ``proc`` stands for /proc."""

    root: str
    store: str
    key: str
    target: str
    epoch: int
    proc: str
    mutant: str = ""


class _Ear(logging.Handler):
    """Hears of the first failure, and has the worker stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.worker: Worker | None = None
        self.outcome = Outcome()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = getattr(record, "error", "")
        if record.exc_info:
            self.outcome.trace = logging.Formatter().formatException(record.exc_info)
        elif sentence and not self.outcome.sentence:
            self.outcome.sentence = sentence
        if (record.exc_info or sentence) and self.worker is not None:
            self.worker.stop()


class _Once(Worker):
    """A worker that ends when there is nothing more to do, and all is tidied up."""

    def _glance(self) -> float:
        self.stop()
        return super()._glance()


def activate(order: Order, trust: Trust) -> Outcome:
    ear = _Ear()
    log.handlers[:] = [ear]
    log.propagate = False
    log.setLevel(logging.WARNING)

    def told() -> None:
        if worker is None:
            return
        report = worker.report("boot", 1, {})
        if report.activity is Activity.IDLE and report.running == order.target:
            ear.outcome.running = report.running

    worker: Worker | None = None
    try:
        worker = _Once(
            node="n1",
            app=AppSettings("web", "production"),
            root=Path(order.root),
            source=Fetcher(open_storage(order.store), trust),
            trust=Trust.of(RELEASE_KEY.public_pem),
            tell=told,
            scrub=Scrubbing(megabytes_per_second=0.0),
        )
        ear.worker = worker
        worker.offer(*sealed_record())
        worker.offer(*sealed_signal(order.target, epoch=order.epoch, attempt=order.epoch))
        worker.run()
    except HeadwayError as error:
        ear.outcome.sentence = error.sentence
    except Exception:
        ear.outcome.trace = traceback.format_exc()
    return ear.outcome


def _no_sync() -> None:
    """Trust the page cache."""
    os.fsync = lambda _: None
    durable.sync_file_system = lambda _: None


def _unlink_and_symlink() -> None:
    """Replace ``current`` in two steps."""

    def torn(app: Path, slot: str) -> None:
        with durable.storing("switching"), durable.opened(app) as handle:
            with contextlib.suppress(FileNotFoundError):
                os.unlink("current", dir_fd=handle)
            os.symlink(f"slots/{slot}", "current", dir_fd=handle)
            os.fsync(handle)

    switch.switch = activation.switch = torn


def _no_dirty_mark() -> None:
    """Change a slot while it is known to hold a build."""
    keep = Memory.keep_slot

    def forgetful(memory: Memory, name: str, slot: Slot) -> None:
        if slot != Slot():
            keep(memory, name, slot)

    Memory.keep_slot = forgetful


def _no_spared_slot() -> None:
    """Prepare in the slot that serves."""
    Slots._choose = lambda slots, keep: slots.hot() or "1"


MUTANTS = {
    "no-sync": _no_sync,
    "unlink-and-symlink": _unlink_and_symlink,
    "no-dirty-mark": _no_dirty_mark,
    "no-spared-slot": _no_spared_slot,
}


def _child(order: Order, line: socket.socket) -> None:
    """Stand still until continued, then do it; what is said goes out by no file system call."""
    try:
        if order.proc:
            processes._PROC = order.proc
        if order.mutant:
            MUTANTS[order.mutant]()
        trust = Trust.load([Path(order.key)])
        os.kill(os.getpid(), signal.SIGSTOP)
        line.sendall(msgspec.json.encode(activate(order, trust)))
    finally:
        os._exit(0)


def main() -> None:
    for text in sys.stdin:
        order = msgspec.json.decode(text, type=Order)
        ours, theirs = socket.socketpair()
        process = os.fork()
        if process == 0:
            _child(order, theirs)
        theirs.close()
        os.waitpid(process, os.WUNTRACED)
        _say({"process": process})
        _, status = os.waitpid(process, 0)
        with ours:
            said = ours.recv(1 << 20)
        outcome = json.loads(said) if said else None
        _say({"killed": os.WIFSIGNALED(status), "outcome": outcome})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
