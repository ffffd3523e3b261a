"""A unit counts as restarted when it is active, not when systemctl has taken the order."""

from pathlib import Path

import pytest

from headway.agent.lifecycle import Hooks
from headway.agent.restart import restart
from headway.agent.state import Memory
from headway.agent.strategies import SystemdRestart
from headway.errors import HookFailed

SYSTEMCTL = """#!/bin/sh
cd "{place}"
echo "$*" >> asked
case "$*" in
*" show "*) head -n 1 states; sed -i 1d states ;;
*" status "*) echo "the last lines"; exit 3 ;;
esac
"""


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    """Hooks that find a ``systemctl`` which writes down what it is asked."""
    script = tmp_path / "systemctl"
    script.write_text(SYSTEMCTL.format(place=tmp_path))
    script.chmod(0o755)
    monkeypatch.setattr("headway.agent.lifecycle.PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Hooks(Memory(tmp_path), tmp_path)


def test_it_waits_while_the_unit_comes_up(hooks: Hooks, tmp_path: Path) -> None:
    (tmp_path / "states").write_text("activating\nreloading\nactive\nfailed\n")
    restart(SystemdRestart("web@1.service", "reload-or-restart"), hooks, {})
    assert (tmp_path / "states").read_text() == "failed\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    common = "--no-ask-password --no-pager"
    assert asked[0] == f"{common} reload-or-restart -- web@1.service"
    assert asked[1:] == [f"{common} show --property=ActiveState --value -- web@1.service"] * 3


@pytest.mark.parametrize("state", ["failed", "inactive"])
def test_what_has_ended_is_not_waited_for(hooks: Hooks, tmp_path: Path, state: str) -> None:
    (tmp_path / "states").write_text(f"activating\n{state}\nactive\n")
    with pytest.raises(HookFailed, match=r"web is .*, not active") as raised:
        restart(SystemdRestart("web"), hooks, {})
    assert raised.value.output == "the last lines\n"


def test_a_unit_that_stays_on_its_way_is_given_up(hooks: Hooks, tmp_path: Path) -> None:
    (tmp_path / "states").write_text("activating\n" * 1000)
    with pytest.raises(HookFailed, match=r"is activating, not active|took longer"):
        restart(SystemdRestart("web", timeout=0.4), hooks, {})
