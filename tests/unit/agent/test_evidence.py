"""The last words of an app that did not become healthy: all there are, bounded, nobody else's."""

import os
import sys
from pathlib import Path

import pytest

from headway.agent.config import AppSettings, Verify
from headway.agent.evidence import evidence, last_lines
from headway.agent.lifecycle import KEPT_OUTPUT, Hooks
from headway.agent.rolling import Rolling
from headway.agent.state import Memory
from headway.agent.strategies import CommandRestart, Instance, SystemdRestart
from headway.errors import HookFailed


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_bytes(b"old \xff\n" * 5000 + b"".join(b"line %d\n" % n for n in range(25)))
    assert last_lines(log).splitlines() == [f"line {n}" for n in range(5, 25)]
    log.write_text("x" * 3 * KEPT_OUTPUT)
    assert last_lines(log) == "x" * KEPT_OUTPUT
    log.write_text("")
    assert last_lines(log) == ""


def test_what_is_no_log_of_the_app_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:hash")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    assert "cannot be read" in last_lines(tmp_path / "link")
    assert "cannot be read: No such file" in last_lines(tmp_path / "none")
    for name in ("pipe", "."):
        assert "hash" not in last_lines(tmp_path / name)
    assert "is no file" in last_lines(tmp_path / "pipe")


def test_what_the_restart_said_and_the_log_come_with_a_failed_verification(tmp_path: Path) -> None:
    (tmp_path / "web-x.log").write_text("no memory\n")
    app = AppSettings(
        name="web",
        tier="production",
        instances=(Instance("x"),),
        restart=CommandRestart((sys.executable, "-c", "print('starting')")),
        verify=Verify("http://127.0.0.1:9/", timeout=0.1, log=tmp_path / "web-{instance}.log"),
    )
    hooks = Hooks(Memory(tmp_path), tmp_path)
    environment = {"HEADWAY_BUILD": "b", "HEADWAY_COMMIT": "c", "HEADWAY_TREE": "t"}
    with pytest.raises(HookFailed, match="the app was not healthy within") as raised:
        Rolling(app, hooks).move("x", environment)
    assert raised.value.output == "starting\nno memory"


def test_systemd_is_asked_about_its_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "systemctl").write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setattr("headway.agent.lifecycle.PATH", str(tmp_path))
    app = AppSettings(name="web", tier="production", restart=SystemdRestart("web.service"))
    told = evidence(app, Hooks(Memory(tmp_path), tmp_path), "")
    assert told.endswith("status -- web.service")
