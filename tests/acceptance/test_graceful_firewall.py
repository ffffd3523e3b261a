"""Ten deploys with the firewall refusing connections lose nothing, in a network of the test's own.

The node is one network namespace and its clients are another. This process's main thread is moved
into the node's, so that everything that it starts is there too; the machine's own rules are never
touched.
"""

import contextlib
import ctypes
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.agent.strategies import FirewallTool
from headway.agent.traffic.firewall import Firewall, connections, refusal
from headway.agent.traffic.iptables import Iptables
from headway.agent.traffic.nftables import Nftables
from headway.errors import HookFailed
from tests.acceptance.agent_stage import until
from tests.acceptance.graceful_stage import Clients, Instances, alternating, missing, staged

NODE, CLIENT = "10.203.0.1", "10.203.0.2"
NODE6 = "fd00:203::1"


class Network:
    """Two namespaces, and a cable between them."""

    def __init__(self, ip: str) -> None:
        self._ip = ip
        self.node, self.client = (f"headway-{os.getpid()}-{name}" for name in ("n", "c"))

    def build(self) -> None:
        for name in (self.node, self.client):
            self._run("netns", "add", name)
            self._run("-n", name, "link", "set", "lo", "up")
        cable = ("name", "end0", "type", "veth", "peer", "name", "end1", "netns", self.client)
        self._run("-n", self.node, "link", "add", *cable)
        for name, end, address in ((self.node, "end0", NODE), (self.client, "end1", CLIENT)):
            self._run("-n", name, "address", "add", f"{address}/24", "dev", end)
            six = f"fd00:203::{address[-1]}/64"
            self._run("-n", name, "address", "add", six, "dev", end, "nodad")
            self._run("-n", name, "link", "set", end, "up")

    def remove(self) -> None:
        for name in (self.node, self.client):
            subprocess.run([self._ip, "netns", "delete", name], check=False, capture_output=True)

    def enter(self, name: str) -> None:
        """Move the calling thread."""
        with Path("/run/netns", name).open() as handle:
            _move(handle.fileno())

    def _run(self, *words: str) -> None:
        done = subprocess.run([self._ip, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def _move(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, 0):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def network(program: Callable[[str], str]) -> Iterator[Network]:
    if os.getuid() != 0:
        missing("only root may make network namespaces and firewall rules")
    for name in ("nft", "iptables", "ip6tables"):
        program(name)
    network = Network(program("ip"))
    with Path("/proc/thread-self/ns/net").open() as home:
        try:
            network.build()
            network.enter(network.node)
            yield network
        finally:
            _move(home.fileno())
            network.remove()


@pytest.fixture
def node(tmp_path: Path, network: Network) -> Iterator[Instances]:
    with staged(tmp_path) as node:
        node.host = "0.0.0.0"
        yield node


@pytest.fixture(params=["nftables", "iptables"])
def tool(request: pytest.FixtureRequest) -> FirewallTool:
    return request.param  # type: ignore[no-any-return]


def traffic(tool: FirewallTool, deadline: float = 20) -> str:
    return f'[apps.traffic]\nby = "firewall"\ntool = "{tool}"\ndeadline = {deadline}\n'


def from_outside(network: Network, node: Instances, lasts: int | None = 3) -> Clients:
    addresses = [(NODE, port) for port in node.ports.values()]
    return Clients(*addresses, lasts=lasts, enter=lambda: network.enter(network.client))


@contextlib.contextmanager
def client_side(network: Network) -> Iterator[None]:
    """Be in the clients' namespace for a while."""
    network.enter(network.client)
    try:
        yield
    finally:
        network.enter(network.node)


def refused(tool: FirewallTool) -> list[str]:
    """The ports that are refused, as the tool itself tells."""
    if tool == "nftables":
        return _said("elements = { ", "nft", "list", "ruleset")
    four, six = (_said("--dport ", name, "-S") for name in ("iptables", "ip6tables"))
    if four != six:
        # For a moment while a rule is set; anywhere else it matches no port.
        return [f"IPv4 {four}, IPv6 {six}"]
    return four


def _said(before: str, *argv: str) -> list[str]:
    rules = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    lines = [line.partition(before)[2] for line in rules.splitlines() if before in line]
    return [port for line in lines for port in re.findall(r"\b\d+\b", line)]


def test_ten_deploys_under_load_lose_nothing(
    network: Network, node: Instances, tool: FirewallTool
) -> None:
    node.write(traffic(tool))
    steps = alternating(node, 10)
    before, after = next(steps)
    with from_outside(network, node) as clients:
        node.bring(after, before)
        for before, after in steps:
            slow = clients.slow
            node.bring(after, before)
            assert clients.slow > slow
    assert clients.failed == []
    assert clients.refused > 0
    assert clients.releases == {"A", "B"}
    assert refused(tool) == []
    assert "without waiting" not in node.log()


def test_the_same_without_draining_loses_requests(network: Network, node: Instances) -> None:
    node.write("")
    before, after = next(alternating(node, 1))
    with from_outside(network, node) as clients:
        until(lambda: clients.slow > 10)
        node.bring(after, before)
    assert clients.failed != []


def test_connections_that_are_kept_for_ever_end_at_the_deadline(
    network: Network, node: Instances
) -> None:
    node.write(traffic("nftables", deadline=0.5))
    before, after = next(alternating(node, 1))
    with client_side(network):
        idle = socket.create_connection((NODE, node.ports["1"]))
    with idle:
        node.bring(after, before)
    assert "1 connection to port" in node.log()


def test_an_agent_killed_while_draining_leaves_nothing_refused(
    network: Network, node: Instances, tool: FirewallTool
) -> None:
    node.write(traffic(tool, deadline=60))
    before, after = next(alternating(node, 1))
    with client_side(network):
        idle = socket.create_connection((NODE, node.ports["1"]))
    with idle:
        node.control.signal(after, before)
        until(lambda: refused(tool) == [str(node.ports["1"])])
        node.kill_agent()
    node.start_agent()
    until(lambda: node.control.reported(after))
    assert refused(tool) == []


@pytest.mark.parametrize("address", [NODE, NODE6])
def test_what_stands_stays_and_what_comes_is_refused(
    network: Network, address: str, tool: FirewallTool
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server(("", 0), family=family, dualstack_ipv6=False) as server:
        port = server.getsockname()[1]
        other_port = port % 65535 + 1
        loopback = "::1" if ":" in address else "127.0.0.1"
        firewall = Firewall(port, 0.1, tool)
        with client_side(network):
            standing = socket.create_connection((address, port), timeout=10)
        with standing, server.accept()[0] as inside:
            assert connections(port) == 1
            for _ in range(2):
                assert f"1 connection to port {port} still open" in firewall.close()
            with client_side(network), pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=10)
            with socket.create_connection((loopback, port), timeout=10):
                assert connections(port) == 1, "health checks are no traffic"
            standing.sendall(b"still here")
            assert inside.recv(100) == b"still here"
        other = Firewall(other_port, 0, tool)
        other.close()
        assert firewall.close() == ""
        for _ in range(2):
            firewall.open()
            with client_side(network):
                socket.create_connection((address, port), timeout=10).close()
        assert refused(tool) == [str(other_port)], "another one's port stays"
        other.release()
    assert refused(tool) == []


def test_rules_that_were_loaded_anew_are_no_way_around(network: Network) -> None:
    accepting = ("iptables", "-A", "INPUT", "-j", "ACCEPT")
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        firewall = Firewall(port, 0, "iptables")
        firewall.close()
        for argv in (("iptables", "-F", "INPUT"), accepting):
            subprocess.run(argv, check=True)
        firewall.close()
        with client_side(network), pytest.raises(ConnectionRefusedError):
            socket.create_connection((NODE, port), timeout=10)
        firewall.open()


def test_a_mapped_address_is_seen_for_what_it_is(network: Network) -> None:
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection((NODE, port)):
            assert connections(port) == 1


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [({"nft", "iptables"}, Nftables), ({"nft"}, Nftables), ({"iptables"}, Iptables)],
)
def test_what_is_installed_is_used(
    installed: set[str], chosen: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in installed:
        (tmp_path / name).touch(0o755)
    monkeypatch.setattr("headway.agent.traffic.firewall.PATH", str(tmp_path))
    assert type(refusal(None)) is chosen


def test_an_agent_without_the_means_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nft").touch(0o755)
    monkeypatch.setattr("headway.agent.traffic.firewall.PATH", str(tmp_path))
    with pytest.raises(HookFailed, match=r"install iptables, and run the agent as root"):
        Firewall(80, 0, "iptables").close()
    (tmp_path / "nft").unlink()
    with pytest.raises(HookFailed, match=r"install nftables or iptables"):
        Firewall(80, 0).close()


def test_an_agent_without_the_right_says_so(network: Network, tool: FirewallTool) -> None:
    argv = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c")
    code = (
        "from headway.agent.traffic.firewall import Firewall\n"
        "from headway.errors import HookFailed\n"
        "try:\n"
        f"    Firewall(80, 0, {tool!r}).close()\n"
        "except HookFailed as error:\n"
        "    print(error.sentence)\n"
    )
    done = subprocess.run((*argv, code), capture_output=True, text=True, check=True)
    assert "refuses the firewall's rule" in done.stdout
