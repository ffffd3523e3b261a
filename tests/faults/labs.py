"""The two ways to do harm to a node: one system call that fails, and a power cut."""

import os
import random
import signal
import time
from pathlib import Path

from tests.faults.disks import Disk
from tests.faults.driver import Outcome
from tests.faults.stage import copy, stage
from tests.faults.tracing import Tracer, calls

Case = tuple[str, int, str]
"""A system call, which of its occurrences, and what becomes of it, in strace's words."""

SYNCS = {"fsync", "fdatasync", "syncfs"}


class CallLab:
    """A node on build A, the way to put it back there, and build B to bring it to."""

    def __init__(self, place: Path, strace: str) -> None:
        self.node, self.driver = stage(place, place / "root", 5)
        self.strace, self._place = strace, place
        self.old, self.new = self.node.builds.ids[-2:]
        self._before = place / "before"
        copy(self.node.root, self._before)

    def reset(self) -> None:
        copy(self._before, self.node.root)

    def close(self) -> None:
        self.driver.close()

    def occurrences(self) -> list[tuple[str, int]]:
        """Every file system call of one activation that nothing disturbs, numbered per call."""
        trace = self._place / "trace"
        self.reset()
        outcome = self._traced("-o", str(trace), "-e", "trace=%file,%desc")
        assert outcome == Outcome(running=self.new)
        counted = calls(trace)
        assert {"fsync", "syncfs", "linkat", "renameat", "symlinkat"} <= counted.keys()
        return [(call, n) for call, count in counted.items() for n in range(1, count + 1)]

    def suffer(self, case: Case, mutant: str = "") -> str:
        """One activation with one fault, then a look at the node, then one without.

        Returns whether the activation was "killed", "failed" with a sentence, or "went through".
        """
        call, number, fault = case
        self.reset()
        inject = f"inject={call}:{fault}:when={number}"
        outcome = self._traced("-o", os.devnull, "-e", f"trace={call}", "-e", inject, mutant=mutant)
        self.node.check(self.old, self.new)
        if outcome is None:
            assert fault == "signal=SIGKILL"
        else:
            assert not outcome.trace, outcome.trace
            assert outcome.running == self.new or outcome.sentence, outcome
            assert call not in SYNCS or outcome.sentence, "nobody heard that it is not on the disk"
            if outcome.running == self.new and not mutant:
                assert self.node.live() == self.new
        self.driver.converge(self.node, self.new)
        if outcome is None:
            return "killed"
        return "went through" if outcome.running else "failed"

    def _traced(self, *arguments: str, mutant: str = "") -> Outcome | None:
        process = self.driver.begin(self.node, self.new, mutant)
        tracer = Tracer(self.strace, process, *arguments)
        outcome = self.driver.end()
        tracer.wait()
        return outcome


class PowerLab:
    """A node on a disk of its own, brought from build to build."""

    def __init__(self, place: Path, kind: str) -> None:
        place.mkdir()
        self.disk = Disk(place / "disk", kind)
        self.node, self.driver = stage(place, self.disk.mount / "root", 6)
        self.live: str | None = self.node.live()
        began = time.monotonic()
        self.driver.converge(self.node, self.next())
        self._usual = time.monotonic() - began
        self.live = self.node.live()

    def next(self) -> str:
        """The build after the one that is live, in a circle."""
        ids = self.node.builds.ids
        return ids[(ids.index(self.live) + 1) % len(ids)] if self.live else ids[0]

    def cut(self, dice: random.Random, flag: int, mutant: str = "") -> str:
        """Cut the power somewhere in, or soon after, an activation; look, and converge."""
        old, new = self.live, self.next()
        moment = dice.uniform(0.0, 1.3) * self._usual

        process = self.driver.begin(self.node, new, mutant)
        os.kill(process, signal.SIGCONT)
        time.sleep(moment)
        self.disk.cut(flag)
        outcome = self.driver.end()
        self.disk.reboot()
        assert outcome is not None
        assert not outcome.trace, outcome.trace
        self.node.check(old, new)
        if outcome.running == new:
            # What was reported has happened, and stays so.
            assert self.node.live() == new, "reported as running, and not there after the boot"
        self.live = new
        self.driver.converge(self.node, new)
        return "reported" if outcome.running else "failed"

    def close(self) -> None:
        try:
            self.driver.close()
        finally:
            self.disk.stop()
