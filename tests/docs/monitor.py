"""Draws the picture of the terminal monitor for the docs: ``python -m tests.docs.monitor``."""

import asyncio
import os
import re
import time
from pathlib import Path

from msgspec.structs import replace

from headway.model.access import Role
from headway.model.picture import LETTERS, NodeMap, Picture, StateCount
from headway.model.rollout import NodeState, Phase
from headway.monitor.app import Monitor
from tests.unit.monitor.samples import NOW, FakeClient, picture

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "monitor.svg"
FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
NAMES = re.compile(r"terminal-\d+")


def held(shown: Picture) -> Picture:
    """Three nodes that a person keeps as they are."""
    letters = list(shown.map.letters)
    for place in (100, 101, 102):
        letters[place] = LETTERS[NodeState.HELD, "old"]
    *others, last = shown.tiers
    states = (StateCount("done", last.nodes - 3), StateCount("held", 3))
    return replace(
        shown,
        map=NodeMap("layout", "".join(letters)),
        tiers=(*others, replace(last, states=states)),
    )


async def draw() -> str:
    """The screen at 100×30, as SVG that loads nothing."""
    client = FakeClient(held(picture(274, Phase.WAITING, now=NOW)))
    monitor = Monitor(client, "shop", ("shop",), Role.DEPLOYER)  # type: ignore[arg-type]
    async with monitor.run_test(size=(100, 30)) as pilot:
        deadline = time.monotonic() + 10
        while monitor._face is None and time.monotonic() < deadline:
            await pilot.pause(0.05)
        await pilot.pause(0.1)
        drawn = monitor.export_screenshot(title="headway watch shop")
        client.happenings.put(None)
    return NAMES.sub("terminal", FONTS.sub("", drawn))


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    IMAGE.write_text(asyncio.run(draw()), "utf-8")
    print(IMAGE.name, "written")
