"""What a crowd costs: ``python -m benchmarks.train --json``.

A control plane with its database on disk, a release of 10,000 changes, and trains of 5 and of 500
riders, who together bring as many changes as there are. Times what people wait for: a command in
chat, from the line to the answer, durable; looking at the train; the topic. ``growth`` is how many
times longer the crowd of 500 waits than five people do, ``added`` by how much; a delay is visible
from 100 ms on. ``command_cpu_ms`` is what a command takes of the processor, whatever the disk does.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from headway.chat.topic import IRC_BYTES, bytes_of, topic
from headway.model.access import Identity, Role
from headway.model.plan import AppConfig, Checks, Step
from headway.model.release import Change, Lane, Release, Tag
from headway.model.report import Enrolment
from headway.server.database import apps, releases, trains
from headway.server.database.connection import Database
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from headway.signing import Signer, Trust

CHANGES = 10_000
CROWDS = (5, 500)
COMMANDS = 300
LOOKS = 100
VISIBLE_MS = 100.0
"""From here on people notice."""


def released(app: str, riders: int) -> Release:
    """A release of all changes, dealt out to the riders."""
    commit = "c" * 40
    changes = tuple(
        Change(
            f"{i:040x}", f"rider{i % riders}", f"Change {i} of the page", number=i, url="https://x"
        )
        for i in range(CHANGES)
    )
    return Release(
        id=f"{app}-r1",
        app=app,
        number=1,
        lane=Lane.CODE,
        branch="release/1",
        base=None,
        main=commit,
        tags=(Tag("web-1.0", commit),),
        changes=changes,
        by="bench",
        at=1.0,
        why="cut",
    )


async def measure(room: Path, riders: int) -> dict[str, float]:
    """Milliseconds, for a train of so many riders."""
    (room / "artifacts").mkdir(parents=True)
    key = Signer.generate()
    plane = ControlPlane(
        database=Database(f"sqlite:///{room / 'headway.db'}"),
        signals=MemorySignals(),
        artifacts=room / "artifacts",
        release_key=key,
        build_trust=Trust.of(key.public_pem),
    )
    config = AppConfig("web", plans={"default": (Step("staging", checks=Checks.NONE),)}, metrics=())
    await plane.database.write(lambda c: apps.put(c, config, 1.0))
    await plane.start()
    try:
        await plane.roster.enrol(Enrolment("n1", "z", {"web": "staging"}))
        await plane.database.write(lambda c: releases.put(c, released("web", riders)))
        for i in range(riders):
            await say(plane, f"rider{i}", ".join")
        return await _timed(plane, riders)
    finally:
        await plane.close()


async def say(plane: ControlPlane, who: str, text: str) -> None:
    """Somebody types a line."""
    await plane.chat.hear("web", Identity(who, Role.DEPLOYER), text)


async def _timed(plane: ControlPlane, riders: int) -> dict[str, float]:
    rng = random.Random(1)
    commands, looks, topics = [], [], []
    busy = time.process_time()
    for number in range(COMMANDS):
        who = f"rider{rng.randrange(riders)}"
        line = rng.choice((".join last", ".config", ".config -", f'.message "{number}"', ".say hi"))
        began = time.perf_counter()
        await say(plane, who, line)
        commands.append((time.perf_counter() - began) * 1000)
    busy = (time.process_time() - busy) * 1000 / COMMANDS
    for _ in range(LOOKS):
        began = time.perf_counter()
        await plane.chat.view("web")
        looks.append((time.perf_counter() - began) * 1000)
    state = await plane.database.read(lambda c: trains.get(c, "web"))
    assert sum(len(rider.changes) for rider in state.riders.values()) == CHANGES
    for _ in range(LOOKS):
        began = time.perf_counter()
        topic(state, IRC_BYTES, bytes_of)
        topics.append((time.perf_counter() - began) * 1000)
    commands.sort()
    return {
        "command_p50_ms": statistics.median(commands),
        "command_p99_ms": commands[int(0.99 * len(commands))],
        "command_cpu_ms": busy,
        "look_p50_ms": statistics.median(looks),
        "topic_p50_ms": statistics.median(topics),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only one line of JSON")
    arguments = parser.parse_args()
    import structlog  # noqa: PLC0415 - only to be quiet

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    found: dict[int, dict[str, float]] = {}
    for riders in CROWDS:
        with tempfile.TemporaryDirectory(prefix="headway-train-") as room:
            found[riders] = asyncio.run(measure(Path(room) / "plane", riders))
        if not arguments.json:
            told = ", ".join(f"{name} {value:.2f}" for name, value in found[riders].items())
            print(f"{riders:>4} riders, {CHANGES:,} changes: {told}", flush=True)
    few, many = (found[riders] for riders in CROWDS)
    result = {name: round(value, 3) for name, value in many.items()}
    result |= {
        "growth": round(many["command_p50_ms"] / few["command_p50_ms"], 2),
        "added_p50_ms": round(many["command_p50_ms"] - few["command_p50_ms"], 3),
        "added_p99_ms": round(many["command_p99_ms"] - few["command_p99_ms"], 3),
        "visible_delay": many["command_p50_ms"] - few["command_p50_ms"] >= VISIBLE_MS
        or many["command_p99_ms"] - few["command_p99_ms"] >= VISIBLE_MS,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
