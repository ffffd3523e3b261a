"""What it costs to be watched: ``python -m benchmarks.scrape --json``.

One control plane in this process, whose nodes are in the middle of a rollout, and of whose API
every route has been used, well and badly. Between scrapes
``--moved`` of the nodes report something new. ``scrape_ms``: the median time of ``/metrics``, as
the route answers it, with ``--nodes`` nodes; ``cpu_ms`` is what it takes of a processor, which
does not depend on who else is at work. ``growth``: that as a multiple of what it is with a
hundredth of them. ``observe_ratio``: as a multiple of what the engine's own look at the app takes
meanwhile, which happens up to ten times a second.
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from pathlib import Path

import structlog
from litestar.testing import AsyncTestClient
from msgspec import Struct, structs

from headway.core import rollout as core
from headway.model.access import Role
from headway.model.build import Build
from headway.model.plan import AppConfig, Checks, Step
from headway.model.report import Activity, Report
from headway.model.signal import NodeRecord, Seat
from headway.server.app import create_app
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.auth.rules import routes
from headway.server.database import apps, builds, rollouts, tokens
from headway.server.database.connection import Database
from headway.server.database.tokens import Token
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from headway.signing import Signer, Trust

ROUNDS = 60
OLD, NEW = "a" * 64, "b" * 64
TIERS = ("canary", *["production"] * 9)


class Costs(Struct):
    """Medians, in milliseconds, and how large the page is."""

    scrape: float
    cpu: float
    observe: float
    page_kb: float


async def measure(nodes: int, moved: int, room: Path) -> Costs:
    """Scrape a control plane with so many nodes."""
    key = Signer.generate()
    plane = ControlPlane(
        database=Database(f"sqlite:///{room / 'headway.db'}"),
        signals=MemorySignals(),
        artifacts=room,
        release_key=key,
        build_trust=Trust.of(key.public_pem),
    )
    secret = new_secret()
    now = time.time()
    steps = tuple(Step(tier, checks=Checks.NONE) for tier in dict.fromkeys(TIERS))
    app = AppConfig("web", plans={"default": steps}, silent_after=3600)
    for number in range(nodes):
        record = NodeRecord(
            f"n{number}",
            1,
            "z",
            {"web": Seat(TIERS[number % len(TIERS)], (number + 0.5) / nodes)},
        )
        plane.fleet.place(record)
        plane.fleet.hear(_report(number, 1), now)
    state = core.start(
        id="web-1", app=app, plan_name="default", base=OLD, target=NEW, by="ann", reason="",
        epoch=0, fleet=plane.fleet.view("web", None, now, 3600), holds=(), now=now,
    ).state  # fmt: skip
    state = structs.replace(state, fractions={"canary": 1.0, "production": 0.5})

    def write(connection: object) -> None:
        tokens.add(connection, Token("scraper", Role.VIEWER, fingerprint(secret), now))  # type: ignore[arg-type]
        apps.put(connection, app, now)  # type: ignore[arg-type]
        for build in (OLD, NEW):
            builds.add(connection, Build(build, "web", "c0ffee", now, "ci", 1, 1, 1), now)  # type: ignore[arg-type]
        rollouts.put(connection, state)  # type: ignore[arg-type]

    await plane.database.write(write)
    plane.callers.admit(*await plane.database.read(tokens.every))
    scrapes, cpus, looks, size = [], [], [], 0
    # The engine is not started: nothing else runs while the clock does.
    web = create_app(plane)
    web.on_startup.clear()
    for path, handler in routes(web):
        for method in getattr(handler, "http_methods", ()):
            for status in (200, 404):
                plane.meters.answered(method, path, status, 0.01)
    client = AsyncTestClient(web)
    headers = {"Authorization": f"Bearer {secret}"}
    for turn in range(ROUNDS):
        for number in range(moved):
            plane.fleet.hear(_report((turn * moved + number) % nodes, turn + 2), time.time())
        began = time.perf_counter()
        known = await plane.engine.situation("web")
        plane.engine.view(known, time.time())
        looked = time.perf_counter()
        spent = time.process_time()
        answer = await client.get("/metrics", headers=headers)
        cpus.append(time.process_time() - spent)
        scrapes.append(time.perf_counter() - looked)
        looks.append(looked - began)
        assert answer.status_code == 200
        size = len(answer.content)
    await plane.close()
    scrape, cpu, look = (statistics.median(times) * 1000 for times in (scrapes, cpus, looks))
    return Costs(scrape, cpu, look, size / 1000)


def _report(number: int, seq: int) -> Report:
    return Report(
        node=f"n{number}", app="web", boot="b", seq=seq, epoch=1, activity=Activity.IDLE,
        running=NEW if number % 3 else OLD, prepared=NEW, why="idle", at=0.0,
    )  # fmt: skip


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--moved", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    costs = []
    for nodes in (asked.nodes // 100, asked.nodes):
        with tempfile.TemporaryDirectory() as room:
            costs.append(asyncio.run(measure(nodes, min(asked.moved, nodes), Path(room))))
    few, many = costs
    told = {
        "scrape_ms": round(many.scrape, 2),
        "cpu_ms": round(many.cpu, 2),
        "growth": round(many.cpu / few.cpu, 2),
        "observe_ratio": round(many.scrape / many.observe, 2),
        "page_kb": round(many.page_kb, 1),
    }
    print(json.dumps(told) if asked.json else "\n".join(f"{k}: {v}" for k, v in told.items()))


if __name__ == "__main__":
    main()
