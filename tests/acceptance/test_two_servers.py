"""Two control planes on one store: one acts, the other stands by, and never do two act."""

import asyncio
import shutil
import signal
import sqlite3
import threading
from pathlib import Path

import httpx2
import msgspec

from headway.demo.site import free_ports
from headway.errors import LeaseLost
from headway.model.rollout import Phase
from headway.model.signal import SIGNAL_TYPE, Signal, signal_key
from headway.model.views import DeployRequest
from headway.signals.stores import open_store
from headway.signing import Signer, Trust
from tests.acceptance.fleet import real_fleet
from tests.acceptance.server_process import Agent, Server, until
from tests.acceptance.test_server_stores import CONFIG, deploy, stored_signal
from tests.contract.store_servers import start

SHORT = "from headway.server import leadership; leadership.LEASE_SECONDS = 3.0"


class Onlooker(threading.Thread):
    """Watches the store itself, and keeps every epoch in the order in which it stood there."""

    def __init__(self, url: str, trust: Trust) -> None:
        super().__init__(daemon=True)
        self.epochs: list[int] = []
        self._url, self._trust = url, trust
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None

    def run(self) -> None:
        self._task = self._loop.create_task(self._watch())
        self._loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.join(10)

    async def _watch(self) -> None:
        store = open_store(self._url)
        try:
            async for entry in store.watch(signal_key("web")):
                if entry is not None:
                    payload = self._trust.open(entry.value, SIGNAL_TYPE)
                    self.epochs.append(msgspec.json.decode(payload, type=Signal).epoch)
        finally:
            await store.close()


def restore_database(source: Path, target: Path) -> None:
    """Bring what one control plane knows to where another one will look for it."""
    target.mkdir(exist_ok=True)
    with (
        sqlite3.connect(source / "headway.db") as known,
        sqlite3.connect(target / "headway.db") as copy,
    ):
        known.backup(copy)
    known.close()
    copy.close()
    for name in ("keys", "artifacts"):
        shutil.copytree(source / name, target / name, dirs_exist_ok=True)
    shutil.copy(source / "admin.token", target / "admin.token")


def test_one_acts_and_the_other_takes_over_and_never_do_two_act(tmp_path: Path, program) -> None:
    with start("etcd", tmp_path / "store", program) as cluster:
        url = cluster.url("two")
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        one = Server(tmp_path / "a" / "data", addresses[0], SHORT, url)
        servers, agents = [one], []
        trust = Trust.of(Signer.load(one.data / "keys" / "release.key").public_pem)
        onlooker = Onlooker(url, trust)
        onlooker.start()
        try:
            one.set_up(CONFIG)
            first, second, third = (one.publish("web", text) for text in (b"1", b"2", b"3"))
            token = one.node_token("n1")
            agents.append(enrolled(one, token, trust))
            rollout = deploy(one, first)
            until(lambda: one.phase(rollout) == "succeeded", "the first build is out")

            (tmp_path / "b" / "data" / "keys").mkdir(parents=True)
            for key in (one.data / "keys").iterdir():
                shutil.copy(key, tmp_path / "b" / "data" / "keys" / key.name)
            two = Server(tmp_path / "b" / "data", addresses[1], SHORT, url, stands_by=True)
            servers.append(two)
            until(lambda: addresses[0] in stands_by(two), "the other one says who leads")
            assert not (two.data / "headway.db").exists()
            for path in ("/v1/health", "/v1/node/watch?apps=web"):
                assert two.client.get(path).status_code == 503

            # The leader dies; the other one has got its database from a backup.
            restore_database(one.data, two.data)
            one.kill()
            two.lead()
            agents.append(enrolled(two, token, trust, 1000))
            rollout = deploy(two, second)
            until(lambda: two.phase(rollout) == "succeeded", "the second build is out")

            # The one that leads now is paused beyond its lease, and wakes up again.
            restore_database(two.data, one.data)
            one = Server(tmp_path / "a" / "data", addresses[0], SHORT, url, stands_by=True)
            servers.append(one)
            until(lambda: addresses[1] in stands_by(one), "it stands by now")
            two.process.send_signal(signal.SIGSTOP)
            one.lead()
            led = stored_signal(url, trust)
            two.process.send_signal(signal.SIGCONT)
            try:
                answer = two.call("POST", "/v1/apps/web/rollouts", DeployRequest(third))
                assert answer.status_code >= 409 or stored_signal(url, trust) == led
            except httpx2.HTTPError:
                pass  # It has ended already.
            assert two.process.wait(30) == LeaseLost.exit_code
            assert "another control plane has led" in two.log.read_text()
            assert stored_signal(url, trust) == led
            agents.append(enrolled(one, token, trust, 2000))
            rollout = deploy(one, third)
            until(lambda: one.phase(rollout) == "succeeded", "the third build is out")
            assert agents[-1].running == third
            until(lambda: onlooker.epochs[-1:] == [stored_signal(url, trust).epoch], "all is seen")
            assert onlooker.epochs == sorted(onlooker.epochs)
        finally:
            onlooker.stop()
            for agent in agents:
                agent.stopped.set()
            for server in servers:
                if server.process.poll() is None:
                    server.process.send_signal(signal.SIGCONT)
                server.stop()


def enrolled(server: Server, token: str, trust: Trust, said: int = 0) -> Agent:
    """An agent of the one node, which has made so many reports before."""
    agent = Agent(server.url, token, "n1", "production", trust)
    agent._seq = said
    agent.start()
    until(lambda: agent.epochs != [] or has_node(server), "the agent is enrolled")
    return agent


def has_node(server: Server) -> bool:
    return len(server.call("GET", "/v1/nodes").json()) == 1


def stands_by(server: Server) -> str:
    try:
        answer = server.client.post("/v1/apps/web/rollouts")
    except httpx2.HTTPError:
        return ""
    assert answer.status_code == 503
    return str(answer.json()["sentence"])


def test_a_restored_store_takes_no_agent_back_and_is_told_again(tmp_path: Path, program) -> None:
    with (
        start("etcd", tmp_path / "store", program) as cluster,
        real_fleet(tmp_path, cluster.url("direct")) as fleet,
    ):
        url, (etcd,) = cluster.url("direct"), cluster.servers
        trust = Trust.load([fleet.data / "keys" / "release.key.pub"])
        fleet.apply()
        for name in ("n1", "n2"):
            fleet.start_agent(name)
        fleet.enrolled(2)
        assert fleet.finish(fleet.deploy(fleet.publish(release="1"))).rollout.phase is (
            Phase.SUCCEEDED
        )
        etcd.kill()
        shutil.copytree(etcd.room / "data", tmp_path / "copy")
        etcd.start()
        cluster.ready()
        newest = fleet.publish(release="2")
        assert fleet.finish(fleet.deploy(newest)).rollout.phase is Phase.SUCCEEDED
        reached = stored_signal(url, trust)
        etcd.kill()
        shutil.rmtree(etcd.room / "data")
        shutil.copytree(tmp_path / "copy", etcd.room / "data")
        etcd.start()
        cluster.ready()

        def told_again() -> bool:
            assert [fleet.tree(name) for name in ("n1", "n2")] == [{"release": "2"}] * 2
            return stored_signal(url, trust).epoch > reached.epoch

        fleet.wait("a higher epoch", told_again)
        told = stored_signal(url, trust)
        assert (told.target, told.fractions) == (newest, reached.fractions)
        with fleet.client() as client:
            assert any("older copy" in entry.why for entry in client.journal("web"))

        def answered(name: str) -> bool:
            report = fleet.state_of(name).report
            return report is not None and report.epoch == told.epoch

        for name in ("n1", "n2"):
            fleet.wait(f"{name} to answer", lambda name=name: answered(name))
            assert fleet.tree(name) == {"release": "2"}
