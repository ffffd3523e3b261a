"""The cockpit's app page with a large fleet and many viewers.

    python -m benchmarks.cockpit --agents 10000 --viewers 200 --json

One server process, a fleet on real sockets in this one, the viewers in a third, and Chromium.

``update_ms_p95``: from the moment at which something happens, as the journal has it, to its arrival
on a viewer's stream, over all viewers and ``--events`` of them, half of these while the whole fleet
moves, ``--concurrency`` of it at a time. ``update_ms_worst`` is the last viewer's of all,
``press_ms_p95`` the same from the moment at which somebody sends the request. ``page_kb``:
everything that a browser loads for the first look, as it comes over the network (kB of 1,000
bytes). ``server_ms``: what it takes to answer with the page, with all viewers there.
``map_update_ms``: the browser's time to draw what has changed on its map of all nodes, while all of
them change.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import httpx2
import uvloop
from tests.browser.chromium import chromium

from benchmarks.fleet import LINES, Pressing
from benchmarks.stage import APP, NEW, OLD, Stage, make_room
from benchmarks.viewers import Viewers
from headway.model.hold import Scope
from headway.model.rollout import Phase
from headway.model.views import ActionRequest, HoldRequest
from headway.testing import FakeFleet

PAGES = 40
RESTART = 3.0
_LOADED = re.compile(r'(?:src|href)="(/assets/[^"]+)"')
_DRAWN = "performance.getEntriesByName('map').map((m) => m.duration)"


class Visitor:
    """Somebody who has signed in with a token, as a browser would."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self.http = httpx2.Client(base_url=url, timeout=30.0)
        door = self.http.get("/sign-in").text
        [seal] = re.findall(r'name="csrf" value="([^"]+)"', door)[:1]
        self.http.post("/sign-in", data={"csrf": seal, "next": "/", "token": token})
        self.cookie = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())

    def page(self) -> float:
        """How many seconds the page takes, in a process that does nothing else."""
        asked = f'url = "{self._url}/apps/{APP}"\ncookie = "{self.cookie}"\n'
        curl = ("curl", "--fail", "--silent", "--compressed", "--config", "-")
        told = ("--output", "/dev/null", "--write-out", "%{time_total}")
        done = subprocess.run(
            [*curl, *told], input=asked, check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    def weight(self) -> int:
        """Bytes of the page and all that it loads, as they come."""
        page = self._raw(f"/apps/{APP}")
        assets = set(_LOADED.findall(self.http.get(f"/apps/{APP}").text))
        return page + sum(self._raw(asset) for asset in assets)

    def _raw(self, path: str) -> int:
        with self.http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            answer.raise_for_status()
            return sum(len(part) for part in answer.iter_raw())


class Drawing:
    """A browser that has the page open, in a thread of its own."""

    def __init__(self, url: str, token: str) -> None:
        self._found: list[float] = []
        self._ready, self._enough = Event(), Event()
        self._thread = Thread(target=self._run, args=(url, token))

    def start(self) -> None:
        """Open the page."""
        self._thread.start()
        self._ready.wait(120.0)

    def stop(self) -> list[float]:
        """What each update of the map took, in milliseconds."""
        self._enough.set()
        self._thread.join()
        return self._found

    def _run(self, url: str, token: str) -> None:
        with chromium() as page:
            page.look(1280, 900)
            page.sign_in(url, token)
            page.go(f"{url}/apps/{APP}")
            page.tab.wait_for_timeout(2000)
            page.run("performance.clearMeasures('map')")
            self._ready.set()
            while not self._enough.is_set():
                page.tab.wait_for_timeout(100)
            self._found += page.run(_DRAWN)


class Delays(NamedTuple):
    """Seconds until each viewer had seen something: since it happened, since it was asked for."""

    happened: list[float]
    asked: list[float]


def delays(stage: Stage, viewers: Viewers, events: int, name: str) -> Delays:
    """Somebody holds and lifts, again and again."""
    found = Delays([], [])
    with stage.client() as client:
        for number in range(events):
            words = f"{name} {number} of the benchmark"
            viewers.expect(words)
            asked = time.time()
            hold = client.add_hold(HoldRequest(Scope.TIER, f"{APP}/production", words))
            times = viewers.seen()
            found.happened.extend(seen - hold.at for seen in times)
            found.asked.extend(seen - asked for seen in times)
            client.lift_hold(hold.id)
            time.sleep(0.3)
    return found


async def measure(size: int, concurrency: str, count: int, events: int) -> dict[str, float]:
    """All figures."""
    with tempfile.TemporaryDirectory() as home:
        stage = await asyncio.to_thread(Stage, Path(home), size, concurrency)
        try:
            await asyncio.to_thread(stage.start)
            token = (stage.home / "control" / "admin.token").read_text().strip()
            async with FakeFleet(
                [stage.url],
                APP,
                stage.places,
                stage.trust,
                restart=lambda node, build: RESTART if build == NEW else 0.0,
                lines=LINES,
            ) as fleet:
                return await _watched(stage, fleet, token, count, events)
        finally:
            await asyncio.to_thread(stage.stop)


async def _watched(
    stage: Stage, fleet: FakeFleet, token: str, count: int, events: int
) -> dict[str, float]:
    with stage.client() as client:
        press = Pressing(client, fleet)
        await press.advance(await press.deploy(OLD))
        rollout = await press.deploy(NEW)
        visitor = await asyncio.to_thread(Visitor, stage.url, token)
        viewers = Viewers(stage.url, f"/apps/{APP}/live", visitor.cookie, count)
        await asyncio.to_thread(viewers.__enter__)
        try:
            pages = [await asyncio.to_thread(visitor.page) for _ in range(PAGES)]
            quiet = await asyncio.to_thread(delays, stage, viewers, events // 2, "rest")
            await asyncio.to_thread(client.act, rollout, "advance", ActionRequest("benchmark"))
            moving = await asyncio.to_thread(delays, stage, viewers, events // 2, "move")
            await press.reaches(rollout, Phase.SUCCEEDED)
            browser = Drawing(stage.url, token)
            await asyncio.to_thread(browser.start)
            await press.revert(rollout)
            drawn = await asyncio.to_thread(browser.stop)
            weight = await asyncio.to_thread(visitor.weight)
        finally:
            viewers.__exit__()
    return {
        "update_ms_p95": 1000 * _p95([*quiet.happened, *moving.happened]),
        "update_ms_quiet_p95": 1000 * _p95(quiet.happened),
        "update_ms_moving_p95": 1000 * _p95(moving.happened),
        "update_ms_worst": 1000 * max([*quiet.happened, *moving.happened]),
        "press_ms_p95": 1000 * _p95([*quiet.asked, *moving.asked]),
        "page_kb": weight / 1000,
        "server_ms_p95": 1000 * _p95(pages),
        "map_update_ms": _p95(drawn),
        "map_updates": len(drawn),
    }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--concurrency", default="25%", help="as in a plan; 25%% is the default")
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    given = parser.parse_args()
    make_room()
    found = uvloop.run(measure(given.agents, given.concurrency, given.viewers, given.events))
    if not given.json:
        for name, value in found.items():
            print(f"{name:>22} {value:.1f}")
    print(json.dumps({name: round(value, 2) for name, value in found.items()}))


if __name__ == "__main__":
    main()
