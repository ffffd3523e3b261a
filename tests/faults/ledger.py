"""How far a long run of power cuts has come, so that it goes on after it was stopped.

What a cut draws follows from the seed, the disk and the cut's number alone: a run that goes on
makes the cuts that were left. Each starts with a disk of its own, as a node that was set up anew.
"""

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.faults.stage import FULL, REPOSITORY, seed

_TOLD_EVERY = 10.0


class _Run(msgspec.Struct):
    seed: int
    met: dict[str, dict[str, int]] = {}
    """For each kind of cut, how many of them ended how."""


class Ledger:
    """A run's record in ``path``; without one, a run is made in one go. It counts ``thing``."""

    def __init__(self, path: Path | None, each: int, kinds: int, thing: str = "cuts") -> None:
        self._path = path
        self._each = each
        self._thing = thing
        known = (
            msgspec.json.decode(path.read_bytes(), type=_Run) if path and path.exists() else None
        )
        wanted = os.environ.get("HEADWAY_FAULTS_SEED")
        finished = known and sum(self._count(known, kind) for kind in known.met) == each * kinds
        if known is None or (int(wanted) != known.seed if wanted else finished):
            known = _Run(seed())
        self._run = known

    def cuts(self, kind: str, met: Counter[str]) -> Iterator[random.Random]:
        """The dice of each cut that is left; ``met`` is what they come to, with those before."""
        met.update(self._run.met.get(kind, {}))
        first = met.total()
        began = told = time.monotonic()
        try:
            while (number := met.total()) < self._each:
                yield random.Random(f"{self._run.seed}/{kind}/{number}")
                assert met.total() == number + 1, "a cut that nobody counted"
                if time.monotonic() - told > _TOLD_EVERY:
                    told = time.monotonic()
                    speed = (number + 1 - first) / (told - began)
                    self._keep(kind, met)
                    self._say(
                        f"{kind}: {number + 1} of {self._each} {self._thing}, {speed:.0f} a second"
                    )
        finally:
            self._keep(kind, met)
            self._say(f"{kind}: {met.total()} of {self._each} {self._thing}: {dict(met)}")

    def _keep(self, kind: str, met: Counter[str]) -> None:
        self._run.met[kind] = dict(met)
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._run))
            new.replace(self._path)

    def _say(self, sentence: str) -> None:
        sys.stdout.write(f"HEADWAY_FAULTS_SEED={self._run.seed} {sentence}\n")
        sys.stdout.flush()

    @staticmethod
    def _count(run: _Run, kind: str) -> int:
        return sum(run.met[kind].values())


def ledger(each: int, kinds: int) -> Ledger:
    """The long run's, kept in the repository's directory; the short one's is not kept."""
    return Ledger(REPOSITORY / ".faults.json" if FULL else None, each, kinds)
