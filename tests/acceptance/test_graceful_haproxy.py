"""Ten deploys behind a real HAProxy lose nothing, because each instance is drained first."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.agent.strategies import HaproxyTraffic
from headway.agent.traffic.haproxy import Haproxy
from headway.errors import HookFailed
from tests.acceptance.agent_stage import children, until
from tests.acceptance.balancer import Balancer, all_up
from tests.acceptance.graceful_stage import Clients, Instances, alternating, staged


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Instances]:
    with staged(tmp_path) as node:
        yield node


@pytest.fixture
def balancer(program: Callable[[str], str], tmp_path: Path, node: Instances) -> Iterator[Balancer]:
    balancer = Balancer(program("haproxy"), tmp_path, node)
    yield balancer
    balancer.end()


def test_ten_deploys_under_load_lose_nothing(node: Instances, balancer: Balancer) -> None:
    node.write(balancer.traffic())
    steps = alternating(node, 10)
    before, after = next(steps)
    until(lambda: all_up(balancer))
    with Clients(("127.0.0.1", balancer.port)) as clients:
        node.bring(after, before)
        for before, after in steps:
            slow = clients.slow
            node.bring(after, before)
            assert clients.slow > slow
    assert clients.failed == []
    assert clients.releases == {"A", "B"}
    assert all_up(balancer)


def test_the_same_without_draining_loses_requests(node: Instances, balancer: Balancer) -> None:
    """Or the test above would prove nothing."""
    node.write("")
    steps = alternating(node, 2)
    before, after = next(steps)
    until(lambda: all_up(balancer))
    with Clients(("127.0.0.1", balancer.port)) as clients:
        until(lambda: clients.slow > 10)
        node.bring(after, before)
    assert clients.failed != []


def test_a_build_that_one_instance_refuses_goes_back_on_all(
    node: Instances, balancer: Balancer
) -> None:
    node.write(balancer.traffic())
    bad = node.published("bad", "refuse-2")
    good, _ = next(alternating(node, 1))
    until(lambda: all_up(balancer))
    first, second = node.process("1"), node.process("2")
    with Clients(("127.0.0.1", balancer.port)) as clients:
        node.control.signal(bad, good)
        until(lambda: node.control.reported(good))
        report = node.control.report()
        assert report is not None and report.failed is not None and report.failed.build == bad
        assert "instance 2 will not have it" in report.output
        until(lambda: all_up(balancer))
    assert clients.failed == []
    assert clients.releases >= {"A", "bad"}, "the first instance did serve it for a while"
    assert node.process("1") != first
    assert node.process("2") != second, "it may have been half restarted, so it is again"
    assert "flipped back" in node.log()


def test_a_build_that_the_first_instance_refuses_leaves_the_second_alone(
    node: Instances, balancer: Balancer
) -> None:
    node.write(balancer.traffic())
    bad = node.published("bad", "refuse-1")
    good, _ = next(alternating(node, 1))
    second = node.process("2")
    node.control.signal(bad, good)
    until(lambda: node.control.reported(good))
    assert node.process("2") == second


def test_an_agent_killed_while_draining_leaves_nothing_drained(
    node: Instances, balancer: Balancer
) -> None:
    node.write(balancer.traffic(deadline=60))
    before, after = next(alternating(node, 1))
    until(lambda: all_up(balancer))
    held = socket.create_connection(("127.0.0.1", balancer.port))
    with held, Clients(("127.0.0.1", balancer.port)) as clients:
        node.control.signal(after, before)
        until(lambda: any("DRAIN" in status for status in balancer.statuses()))
        node.kill_agent()
        node.start_agent()
        until(lambda: node.control.reported(after))
    assert clients.failed == []
    until(lambda: all_up(balancer))


def test_a_server_drained_by_nobody_knows_whom_is_put_back_at_the_start(
    node: Instances, balancer: Balancer
) -> None:
    node.write(balancer.traffic())
    next(alternating(node, 1))
    until(lambda: all_up(balancer))
    node.kill_agent()
    Haproxy(HaproxyTraffic(str(balancer.socket), "web/web-2")).close()
    assert "DRAIN" in balancer.statuses()
    node.start_agent()
    until(lambda: all_up(balancer))


def test_what_does_not_finish_is_not_waited_for_forever(
    node: Instances, balancer: Balancer
) -> None:
    node.write(balancer.traffic())
    next(alternating(node, 1))
    until(lambda: all_up(balancer))
    [worker] = children(node.process("1"))
    door = Haproxy(HaproxyTraffic(balancer.address, "web/web-1", deadline=0.3))
    os.kill(worker, signal.SIGSTOP)
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                address = ("127.0.0.1", balancer.port)
                client = stack.enter_context(socket.create_connection(address))
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: "to web/web-1 not finished after 0.3 s" in door.close())
    finally:
        os.kill(worker, signal.SIGCONT)
    until(lambda: door.close() == "")
    door.open()


def test_haproxy_says_what_it_does_not_know(node: Instances, balancer: Balancer) -> None:
    with pytest.raises(HookFailed, match=r"does not set web/none to drain: No such server"):
        Haproxy(HaproxyTraffic(str(balancer.socket), "web/none")).close()
    with pytest.raises(HookFailed, match="cannot be used"):
        Haproxy(HaproxyTraffic("/no/such/socket", "web/web-1")).close()
    with pytest.raises(HookFailed, match=r"does not find web/web-1 up after 0 s: it is DOWN"):
        until(lambda: balancer.statuses()[0].startswith("DOWN"))
        Haproxy(HaproxyTraffic(balancer.address, "web/web-1", deadline=0)).open()
