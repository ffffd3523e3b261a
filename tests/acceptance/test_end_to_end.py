"""Real control plane, real agents: killed, starved, lied to, and misconfigured."""

import json
import os
import socket
import subprocess
import time

import pytest

from headway.demo.site import free_ports
from headway.model.plan import Checks, Gate, Step
from headway.model.rollout import NodeState, Phase
from headway.model.views import ActionRequest
from tests.acceptance.fleet import APP, RealFleet, real_fleet

SLOW_HOOK = '''
[apps.prepare]
argv = ["sh", "-c", """
test -e {flag} || exit 0
touch {flag}.$HEADWAY_NODE
while test -e {flag}; do sleep 0.05; done
"""]
'''


@pytest.fixture
def fleet(tmp_path):
    with real_fleet(tmp_path) as running:
        yield running


def at_once(**facts: object) -> Step:
    return Step("production", soak=0, checks=Checks.NONE, concurrency="100%", **facts)  # type: ignore[arg-type]


def test_a_control_plane_killed_in_the_middle_of_a_step_carries_on(fleet: RealFleet) -> None:
    flag = fleet.home / "flag"
    fleet.apply(at_once())
    names = ("n1", "n2", "n3")
    for name in names:
        fleet.start_agent(name, extra=SLOW_HOOK.format(flag=flag).replace("prepare", "drain"))
    fleet.enrolled(3)
    first = fleet.publish(release="one")
    assert fleet.finish(fleet.deploy(first)).rollout.phase is Phase.SUCCEEDED
    flag.touch()
    second = fleet.publish(release="two")
    rollout = fleet.deploy(second)
    for name in names:
        fleet.wait(f"{name} to be in the middle of it", flag.with_name(f"flag.{name}").exists)
    epoch = fleet.view(rollout).rollout.epoch
    assert fleet.view(rollout).rollout.phase is Phase.ROLLING
    fleet.kill("server")
    flag.unlink()
    for name in names:
        fleet.wait(
            "nodes to act without it", lambda name=name: fleet.tree(name) == {"release": "two"}
        )
    fleet.start_server()
    after = fleet.finish(rollout).rollout
    assert after.phase is Phase.SUCCEEDED
    assert after.epoch >= epoch


@pytest.mark.parametrize("moment", ["prepare", "verify"])
def test_an_agent_killed_in_the_middle_carries_on(fleet: RealFleet, moment: str) -> None:
    flag = fleet.home / "flag"
    hook = SLOW_HOOK.format(flag=flag)
    if moment == "verify":
        hook = hook.replace("apps.prepare", "apps.restart").replace(
            "argv =", 'strategy = "command"\nargv ='
        )
    fleet.apply(at_once())
    fleet.start_agent("n1", extra=hook)
    fleet.enrolled(1)
    assert fleet.finish(fleet.deploy(fleet.publish(a="1", b="1"))).rollout.phase is Phase.SUCCEEDED
    flag.touch()
    rollout = fleet.deploy(fleet.publish(a="2", b="2"))
    fleet.wait("the hook", flag.with_name("flag.n1").exists)
    fleet.kill("n1")
    assert fleet.tree("n1") in ({"a": "1", "b": "1"}, {"a": "2", "b": "2"})
    flag.unlink()
    fleet.start_agent("n1")
    assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED
    assert fleet.tree("n1") == {"a": "2", "b": "2"}


def test_a_node_that_fails_flips_back_is_named_and_can_be_retried(fleet: RealFleet) -> None:
    bad = fleet.home / "bad"
    fleet.apply(at_once())
    hook = f'''
[apps.restart]
strategy = "command"
argv = ["sh", "-c", """
test -e {bad} && grep -q 2 $HEADWAY_TREE/release || exit 0
echo it is broken
exit 3
"""]
'''
    fleet.start_agent("n1", extra=hook)
    fleet.enrolled(1)
    fleet.finish(fleet.deploy(fleet.publish(release="1")))
    bad.touch()
    rollout = fleet.deploy(fleet.publish(release="2"))
    fleet.wait("the pause", lambda: fleet.view(rollout).rollout.phase is Phase.PAUSED)
    view = fleet.view(rollout)
    assert "1 of 1 node of" in view.rollout.why
    assert "n1" in view.rollout.why
    assert fleet.tree("n1") == {"release": "1"}
    status = fleet.state_of("n1")
    assert status.state is NodeState.FAILED
    assert status.report is not None
    assert "it is broken" in status.report.output
    bad.unlink()
    with fleet.client() as client:
        client.act(rollout, "retry", ActionRequest("repaired"))
    assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED
    assert fleet.tree("n1") == {"release": "2"}


def test_a_tampered_build_is_refused_and_the_hot_slot_untouched(fleet: RealFleet) -> None:
    fleet.apply(at_once())
    fleet.start_agent("n1")
    fleet.enrolled(1)
    fleet.finish(fleet.deploy(fleet.publish(release="1")))
    packs = fleet.data / "artifacts" / APP / "packs"
    before = set(packs.iterdir())
    build = fleet.publish(release="2" * 5000)
    (pack,) = set(packs.iterdir()) - before
    (bundle,) = (fleet.data / "artifacts" / APP / "builds" / build).glob("from-*")
    for stored in (pack, bundle):
        stored.chmod(0o644)
        content = bytearray(stored.read_bytes())
        content[-len(pack.read_bytes()) // 2] ^= 0xFF
        stored.write_bytes(bytes(content))
    rollout = fleet.deploy(build)
    fleet.wait("the pause", lambda: fleet.view(rollout).rollout.phase is Phase.PAUSED)
    assert "n1" in fleet.view(rollout).rollout.why
    assert fleet.tree("n1") == {"release": "1"}
    with fleet.client() as client:
        client.act(rollout, "revert", ActionRequest("tampered"))
    assert fleet.finish(rollout).rollout.phase is Phase.REVERTED


def test_a_revert_brings_everybody_back_and_holds_the_app(fleet: RealFleet) -> None:
    fleet.apply(at_once(share=0.5), at_once(gate=Gate.MANUAL))
    for name in ("n1", "n2"):
        fleet.start_agent(name)
    fleet.enrolled(2)
    with fleet.client() as client:
        rollout = fleet.deploy(fleet.publish(release="1"))
        fleet.wait("the gate", lambda: fleet.view(rollout).rollout.phase is Phase.WAITING)
        client.act(rollout, "advance", ActionRequest())
        assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED
        build = fleet.publish(release="2")
        rollout = fleet.deploy(build)
        fleet.wait("half way", lambda: fleet.view(rollout).rollout.phase is Phase.WAITING)
        assert sorted(fleet.tree(n)["release"] for n in ("n1", "n2")) == ["1", "2"]
        client.act(rollout, "revert", ActionRequest("graphs look odd"))
        assert fleet.finish(rollout).rollout.phase is Phase.REVERTED
        assert [fleet.tree(n) for n in ("n1", "n2")] == [{"release": "1"}] * 2
    refused = fleet.headway("deploy", APP, build[:12], ok=False)
    assert refused.returncode == 3
    assert "graphs look odd" in refused.stderr
    held = json.loads(fleet.headway("hold", "list", "--json").stdout)
    fleet.headway("hold", "lift", held[0]["id"])
    fleet.headway("deploy", APP, build[:12])


def test_what_people_get_wrong_is_one_clear_sentence(fleet: RealFleet, tmp_path) -> None:
    fleet.apply(at_once())
    unknown = fleet.headway("deploy", APP, "abcdef123456", ok=False)
    assert unknown.returncode == 4
    assert "abcdef123456" in unknown.stderr
    config = tmp_path / "app.toml"
    config.write_text('name = "web"\nmetricss = []\n')
    wrong = fleet.headway("app", "apply", str(config), ok=False)
    assert wrong.returncode == 2
    assert 'did you mean "metrics"?' in wrong.stderr
    taken = fleet.headway(
        "server", "--data", str(tmp_path / "d2"), "--listen", f"127.0.0.1:{fleet.port}", ok=False
    )
    assert taken.returncode != 0
    assert str(fleet.port) in taken.stderr
    fleet.kill("server")
    gone = fleet.headway("node", "list", ok=False)
    assert gone.returncode == 6
    assert fleet.url in gone.stderr
    for done in (unknown, wrong, taken, gone):
        assert done.stderr.startswith("headway: ")
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_full_disk_in_the_cold_slot_leaves_the_hot_one_alone(fleet: RealFleet) -> None:
    root = fleet.home / "n1" / "root"
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    fleet.apply(at_once())
    root.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "headway-test", str(root)], check=False
    )
    if mounted.returncode:
        if os.environ.get("HEADWAY_REQUIRE_SERVERS"):
            pytest.fail("a small tmpfs cannot be mounted here")
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        fleet.start_agent("n1")
        fleet.enrolled(1)
        fleet.finish(fleet.deploy(fleet.publish(release="1")))
        noise = os.urandom(600_000).hex()
        rollout = fleet.deploy(fleet.publish(release="2", noise=noise))
        fleet.wait("the pause", lambda: fleet.view(rollout).rollout.phase is Phase.PAUSED)
        assert "space" in fleet.view(rollout).rollout.why.lower()
        assert fleet.tree("n1") == {"release": "1"}
        with fleet.client() as client:
            client.act(rollout, "abort", ActionRequest("the disk is full"))
        fleet.finish(fleet.deploy(fleet.publish(release="3")))
        assert fleet.tree("n1") == {"release": "3"}
    finally:
        fleet.stop()
        fleet.processes.clear()
        subprocess.run(["umount", str(root)], check=True)


def test_a_second_server_on_the_same_data_is_refused(fleet: RealFleet) -> None:
    (port,) = free_ports(1)
    second = fleet.headway(
        "server", "--data", str(fleet.data), "--listen", f"127.0.0.1:{port}", ok=False
    )
    assert second.returncode == 3
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_journal_tells_the_story(fleet: RealFleet) -> None:
    fleet.apply(at_once())
    fleet.start_agent("n1")
    fleet.enrolled(1)
    began = time.time()
    rollout = fleet.deploy(fleet.publish(release="1"))
    fleet.finish(rollout)
    with fleet.client() as client:
        rows = [row for row in client.journal(app=APP) if row.rollout == rollout]
    assert [row.seq for row in rows] == sorted(row.seq for row in rows)
    assert rows[0].actor == "admin"
    assert rows[-1].changes["phase"] == "succeeded"
    assert all(row.why and row.at >= began - 1 for row in rows)
