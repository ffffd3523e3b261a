"""A file of a serving node is written to by root: found, named, taken out of use, and healed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.model.rollout import NodeState, Phase
from tests.acceptance.fleet import APP, RealFleet, real_fleet

FAST = """
[scrub]
megabytes_per_second = 50
every = 0.0001
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RealFleet]:
    with real_fleet(tmp_path) as running:
        running.apply()
        yield running


def write_through(path: Path, text: str) -> None:
    """As root may, whatever the mode says."""
    path.chmod(0o644)
    path.write_text(text)
    path.chmod(0o444)


def journal(fleet: RealFleet) -> list[str]:
    with fleet.client() as client:
        return [entry.why for entry in client.journal() if entry.kind == "drift"]


def test_damage_is_found_named_and_healed_by_the_next_deploy(fleet: RealFleet) -> None:
    fleet.start_agent("n1")
    fleet.enrolled(1)
    first = fleet.publish(a="as it was", b="one")
    assert fleet.finish(fleet.deploy(first)).rollout.phase is Phase.SUCCEEDED
    fine = fleet.headway("node", "verify", "n1")
    assert fine.stdout == f"n1: 2 files of {APP} {first[:12]} are as published\n"

    write_through(fleet.home / "n1" / "root" / APP / "current" / "a", "evil")
    bad = fleet.headway("node", "verify", "--app", APP, ok=False)
    assert bad.returncode == 1
    assert bad.stdout.splitlines() == [
        f"n1: 1 path of {APP} {first[:12]}, which serves, not as published:",
        "  a has other content",
    ]
    again = fleet.headway("node", "verify", "n1", "--json", ok=False)
    assert again.returncode == 1
    drift = json.loads(again.stdout)[0]["report"]["inspection"]["drift"]
    assert [stray["path"] for stray in drift[0]["strays"]] == ["a"]
    status = fleet.state_of("n1")
    assert status.state is NodeState.DONE, "told loudly, and in nobody's way"
    assert "a has other content" in status.why
    assert "a has other content" in fleet.headway("node", "list").stdout
    assert len(journal(fleet)) == 1, "found once"

    second = fleet.publish(a="as it was", b="two")
    assert fleet.finish(fleet.deploy(second)).rollout.phase is Phase.SUCCEEDED
    assert fleet.tree("n1") == {"a": "as it was", "b": "two"}
    fleet.wait("the drift to be gone", lambda: len(journal(fleet)) == 2)
    assert journal(fleet)[1].endswith("is gone")
    assert fleet.headway("node", "verify", "n1").returncode == 0
    assert fleet.finish(fleet.deploy(first)).rollout.phase is Phase.SUCCEEDED
    assert fleet.tree("n1") == {"a": "as it was", "b": "one"}, "nor does the way back bring it"


def test_the_scrub_finds_by_itself_what_is_not_right_and_makes_the_way_back_anew(
    fleet: RealFleet,
) -> None:
    agent = fleet.home / "n1"
    fleet.start_agent("n1")
    fleet.enrolled(1)
    first, second = fleet.publish(a="1", b="1"), fleet.publish(a="2", b="1")
    for build in (first, second):
        assert fleet.finish(fleet.deploy(build)).rollout.phase is Phase.SUCCEEDED
    slots = agent / "root" / APP / "slots"
    cold = next(slot for slot in slots.iterdir() if (slot / "a").read_text() == "1")
    fleet.kill("n1")
    config = (agent / "agent.toml").read_text()
    (agent / "agent.toml").write_text(config.replace("[trust]", f"{FAST}\n[trust]"))
    write_through(cold / "a", "x")
    os.utime(cold / "a")
    fleet.start_agent("n1")
    fleet.wait("it to be found", lambda: len(journal(fleet)) >= 1)
    assert "a has other content" in journal(fleet)[0]
    assert "which is not switched to" in journal(fleet)[0]
    fleet.wait("it to be mended", lambda: len(journal(fleet)) >= 2)
    fleet.wait(
        "the way back", lambda: getattr(fleet.state_of("n1").report, "prepared", "") == first
    )
    texts = {(slot / "a").read_text() for slot in slots.iterdir()}
    assert "1" in texts, "the way back is there again"
