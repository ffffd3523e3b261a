"""An agent's worker that is told signals by hand, and tells how long each took.

``python -m benchmarks.running_agent ROOT STORE-URL BUILD-KEY``: each line on standard input is a
build and an epoch; each answer one line of JSON, when the build runs and that is durable.
"""

import gc
import json
import os
import sys
import threading
import time
from pathlib import Path

import msgspec

from headway.agent.config import AppSettings, Scrubbing
from headway.agent.worker import Worker
from headway.builds.fetch import Fetcher
from headway.builds.storage import open as open_storage
from headway.model.report import Activity
from headway.model.signal import (
    RECORD_TYPE,
    SIGNAL_TYPE,
    NodeRecord,
    Seat,
    Signal,
    record_key,
    signal_key,
)
from headway.signing import Signer, Trust

_REST = 2.0
"""How long, in seconds, the agent has had time to tidy up before each signal."""


def _status(field: str) -> float:
    """A field of /proc/self/status in megabytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) / 1024


class _Bench:
    def __init__(self, root: Path, store: str, key: Path) -> None:
        self._signer = Signer.generate()
        self._done = threading.Event()
        self._at = 0.0
        self._target = ""
        self.worker: Worker | None = None
        self.worker = Worker(
            node="n1",
            app=AppSettings("web", "production"),
            root=root,
            source=Fetcher(open_storage(store), Trust.load([key])),
            trust=Trust.of(self._signer.public_pem),
            tell=self._told,
            scrub=Scrubbing(megabytes_per_second=0.0),
        )
        record = NodeRecord("n1", 1, "a", {"web": Seat("production", 0.5)})
        self.worker.offer(record_key("n1"), self._seal(record, RECORD_TYPE))
        threading.Thread(target=self.worker.run, daemon=True).start()

    def _seal(self, value: msgspec.Struct, kind: str) -> bytes:
        return self._signer.seal(msgspec.json.encode(value), kind)

    def _told(self) -> None:
        if self.worker is None:
            return
        report = self.worker.report("b", 1, {})
        if report.activity is Activity.IDLE and report.running == self._target:
            self._at = time.perf_counter()
            self._done.set()

    def go(self, target: str, epoch: int) -> dict[str, float]:
        assert self.worker is not None
        signal = Signal(
            app="web",
            epoch=epoch,
            rollout="r",
            base=None,
            target=target,
            fractions={"production": 1.0},
            attempt=1,
            prepare=True,
            issued_at=0.0,
            by="bench",
            why="",
        )
        envelope = self._seal(signal, SIGNAL_TYPE)
        self._target = target
        self._done.clear()
        time.sleep(_REST)
        gc.collect()
        idle = _status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        cpu, began = time.process_time(), time.perf_counter()
        self.worker.offer(signal_key("web"), envelope)
        if not self._done.wait(600):
            raise TimeoutError(self.worker.report("b", 1, {}).error)
        cpu = time.process_time() - cpu
        return {
            "seconds": self._at - began,
            "cpu_seconds": cpu,
            "peak_mb": _status("VmHWM"),
            "idle_mb": idle,
        }


def main() -> None:
    """Answer until standard input ends."""
    root, store, key = sys.argv[1:]
    bench = _Bench(Path(root), store, Path(key))
    for line in sys.stdin:
        target, epoch = line.split()
        print(json.dumps(bench.go(target, int(epoch))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
