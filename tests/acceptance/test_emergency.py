"""The control plane, its database and its disk are gone; the store and a key are enough."""

import shutil
from pathlib import Path

from headway.model.rollout import Phase
from tests.acceptance.fleet import real_fleet
from tests.contract.store_servers import start


def test_the_fleet_goes_back_without_the_control_plane_which_then_takes_it_for_a_fact(
    tmp_path: Path, program
) -> None:
    with (
        start("etcd", tmp_path / "store", program) as cluster,
        real_fleet(tmp_path, cluster.url("direct")) as fleet,
    ):
        fleet.apply()
        for name in ("n1", "n2"):
            fleet.start_agent(name)
        fleet.enrolled(2)
        good, bad = fleet.publish(release="1"), fleet.publish(release="2")
        fleet.finish(fleet.deploy(good))
        rollout = fleet.deploy(bad)
        assert fleet.finish(rollout).rollout.phase is Phase.SUCCEEDED

        fleet.kill("server")
        fleet.data.rename(tmp_path / "gone")
        key = tmp_path / "release.key"
        shutil.copy(tmp_path / "gone" / "keys" / "release.key", key)
        told = ("web", "--store", fleet.store, "--key", str(key))
        refused = fleet.headway("emergency", "revert", *told, ok=False)
        assert "--yes" in refused.stderr
        done = fleet.headway("emergency", "revert", *told, "--reason", "red", "--yes")
        assert "Nodes that watch this store" in done.stdout
        trees = lambda: [fleet.tree(name)["release"] for name in ("n1", "n2")]  # noqa: E731
        fleet.wait("the fleet to go back", lambda: trees() == ["1", "1"])

        def seen() -> str:
            return fleet.headway("emergency", "show", *told).stdout

        fleet.wait("the store to tell so", lambda: f"2 nodes (n1, n2) on {good[:12]}" in seen())

        (tmp_path / "gone").rename(fleet.data)
        fleet.start_server()
        view = fleet.finish(rollout)
        assert view.rollout.phase is Phase.REVERTED
        assert trees() == ["1", "1"]
        with fleet.client() as client:
            assert client.app("web").live == good
            entries = [e for e in client.journal("web") if e.kind == "overtaken"]
            assert ["changed outside the control plane" in e.why for e in entries] == [True]
            (hold,) = client.holds()
            refused = fleet.headway("deploy", "web", bad, ok=False)
            assert "held by headway" in refused.stderr
            client.lift_hold(hold.id)
        assert fleet.finish(fleet.deploy(bad)).rollout.phase is Phase.SUCCEEDED
        assert trees() == ["2", "2"]
