"""The example application by itself: reloads lose nothing, and nothing outlives the master."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.agent.probe import get
from headway.agent.scrape import selector, sums
from headway.agent.switch import switch
from tests.acceptance.agent_stage import EXAMPLE, ControlPlane, Load, Node, children, until


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "plane").mkdir()
    node = Node(tmp_path, ControlPlane(tmp_path / "plane"))
    for slot, release in [("1", "A"), ("2", "B")]:
        tree = node.app / "slots" / slot
        shutil.copytree(EXAMPLE / "src", tree)
        for name in ("templates", "static"):
            (tree / name / "release.txt").write_text(f"{release}\n")
    node.start_server()
    yield node
    node.stop()


def reload(node: Node, slot: str) -> None:
    switch(node.app, slot)
    assert node.server is not None
    node.server.send_signal(signal.SIGHUP)


def serves_only(node: Node, slot: str) -> bool:
    tree = str((node.app / "slots" / slot).resolve()).encode()
    try:
        return all(node.get("/healthz") == (200, tree) for _ in range(5))
    except ConnectionRefusedError:
        return False


def test_it_waits_for_a_first_build(node: Node) -> None:
    with pytest.raises(ConnectionRefusedError):
        node.get()
    reload(node, "1")
    until(lambda: node.serves() == "A")


def test_reloads_under_load_lose_nothing(node: Node) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    with Load(node, clients=6) as load:
        for slot in ["2", "1", "2", "2"]:
            seen = load.requests
            until(lambda seen=seen: load.requests > seen + 50)
            reload(node, slot)
            until(lambda slot=slot: serves_only(node, slot))
    assert load.failed == []
    assert load.torn == 0
    assert {"A", "B"} == set(load.releases)


def test_an_idle_connection_gets_its_next_answer(node: Node) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    with socket.create_connection(("127.0.0.1", node.port), timeout=20) as client:
        ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(ask)
        assert b"Keep-Alive: timeout=5" in client.recv(65536)
        reload(node, "2")
        until(lambda: serves_only(node, "2"))
        client.sendall(ask)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    assert b"200 OK" in answer
    assert b"Connection: close" in answer
    assert b'"build_static": "A"' in answer


def test_after_a_reload_no_new_connection_reaches_the_old_build(node: Node) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    reload(node, "2")
    until(lambda: node.serves() == "B")
    assert {node.serves() for _ in range(200)} == {"B"}


def test_a_build_that_does_not_come_up_changes_nothing(node: Node) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    (node.app / "slots" / "2" / "settings.json").write_text("not json")
    with Load(node) as load:
        reload(node, "2")
        seen = load.requests
        until(lambda: load.requests > seen + 100)
        reload(node, "1")
        until(lambda: serves_only(node, "1"))
    assert load.failed == []
    assert set(load.releases) == {"A"}


def test_a_worker_that_dies_is_replaced(node: Node) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    assert node.server is not None
    [worker] = children(node.server.pid)
    os.kill(worker, signal.SIGKILL)
    until(lambda: worker not in children(node.server.pid) and node.serves() == "A")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_die_with_their_master(node: Node, number: int) -> None:
    reload(node, "1")
    until(lambda: node.serves() == "A")
    assert node.server is not None
    workers = children(node.server.pid)
    assert workers
    node.server.send_signal(number)
    node.server.wait(20)
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_metrics_count_what_users_see(node: Node) -> None:
    settings = node.app / "slots" / "1" / "settings.json"
    settings.write_text('{"checkout_error_rate": 1.0}')
    reload(node, "1")
    until(lambda: serves_only(node, "1"))
    statuses = [node.get(path)[0] for path in ["/", "/checkout", "/nowhere", "/checkout?x=1"]]
    assert statuses == [200, 500, 404, 500]
    _, body = get(f"http://127.0.0.1:{node.port}/metrics")
    wanted = {
        "requests": selector("http_requests_total"),
        "errors": selector('http_requests_total{status=~"5.."}'),
        "timed": selector("http_request_duration_seconds_count"),
    }
    assert sums(body.decode(), wanted) == {"requests": 4.0, "errors": 2.0, "timed": 4.0}


def test_a_port_that_is_taken_is_told(node: Node, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [
                *(sys.executable, str(EXAMPLE / "server.py"), "--root", str(node.app)),
                *("--port", str(taken.getsockname()[1]), "--pidfile", str(tmp_path / "other.pid")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "cannot be used: Address already in use" in done.stderr
    assert not (tmp_path / "other.pid").exists()


def test_the_build_command_stamps_both_files(tmp_path: Path) -> None:
    copy = tmp_path / "webapp"
    shutil.copytree(EXAMPLE, copy)
    subprocess.run([sys.executable, str(copy / "build.py"), "release-7"], check=True)
    built = copy / "dist"
    assert (built / "templates" / "release.txt").read_text() == "release-7\n"
    assert (built / "static" / "release.txt").read_text() == "release-7\n"
    assert (built / "app.py").exists()
