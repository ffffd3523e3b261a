"""The agent's configuration: strict, and helpful about it."""

from pathlib import Path

import pytest

from headway.agent.config import load
from headway.agent.strategies import (
    CommandRestart,
    FileTraffic,
    NoRestart,
    SignalRestart,
    SystemdRestart,
    filled,
    placeholders,
)
from headway.errors import InvalidInput

EXAMPLE = Path(__file__).parents[3] / "examples" / "webapp" / "agent.toml"

MINIMAL = """
node = "n1"
server = "http://127.0.0.1:7300"
token_file = "token"
root = "apps"
[trust]
build = ["build.pub"]
release = ["/etc/release.pub"]
[[apps]]
name = "web"
tier = "production"
"""

TWO = '[[apps.instances]]\nname = "a"\n[[apps.instances]]\nname = "b"\nport = 2\n'
INSTANCES = """
instances = [{ name = "a", port = 8081 }, { name = "b", port = 8082 }]
[apps.restart]
strategy = "systemd"
unit = "web@{instance}.service"
[apps.traffic]
by = "file"
path = "web-{instance}.drain"
[apps.verify]
url = "http://127.0.0.1:{port}/healthz"
contains = "{tree} of {instance}"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return path


def test_the_example_is_valid() -> None:
    config = load(EXAMPLE)
    [app] = config.apps
    assert isinstance(app.restart, SignalRestart)
    assert app.verify is not None and app.verify.contains == "{tree}"


def test_little_is_needed_and_paths_count_from_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, MINIMAL))
    assert config.root == tmp_path / "apps"
    assert config.token_file == tmp_path / "token"
    assert config.trust.build == (tmp_path / "build.pub",)
    assert config.trust.release == (Path("/etc/release.pub"),)
    assert config.report_every == 5
    assert isinstance(config.apps[0].restart, NoRestart)


def test_a_restart_by_command(tmp_path: Path) -> None:
    text = MINIMAL + '[apps.restart]\nstrategy = "command"\nargv = ["/bin/true"]\n'
    restart = load(written(tmp_path, text)).apps[0].restart
    assert isinstance(restart, CommandRestart) and restart.argv == ("/bin/true",)


def test_placeholders_are_filled_for_each_instance(tmp_path: Path) -> None:
    [app] = load(written(tmp_path, MINIMAL + INSTANCES)).apps
    words = placeholders(app.instances[1])
    assert filled(app.restart, words) == SystemdRestart("web@b.service")
    assert filled(app.traffic, words) == FileTraffic(tmp_path / "web-b.drain")
    verify = filled(app.verify, words)
    assert verify is not None
    assert verify.url == "http://127.0.0.1:8082/healthz"
    assert verify.contains == "{tree} of b", "what the build stands for comes later"
    command = CommandRestart(("x", "{instance}"), env={"PORT": "{port}"})
    assert filled(command, words) == CommandRestart(("x", "b"), env={"PORT": "8082"})


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('[apps.verfy]\nurl = "http://x"', 'unknown key "verfy" in .*did you mean "verify"?'),
        ("[apps.metrics]\n", "missing required field `url`"),
        ('[apps.restart]\nstrategy = "pray"', "Invalid value 'pray'"),
        ('[apps.restart]\nstrategy = "signal"\npidfile = "p"\nsignal = "HUP"', "SIG"),
        ("[apps.drain]\nargv = []", "length >= 1"),
        ('[apps.prepare]\nargv = ["x"]\ntimeout = 0', "> 0"),
        ('[apps.verify]\nurl = "file:///etc/passwd"', "matching regex"),
        ('[[apps]]\nname = "web"\ntier = "canary"', "'web' is listed twice"),
        (TWO + TWO.replace("2", "3"), "instance 'a' twice"),
        ('[apps.verify]\nurl = "http://x:{port}/"', r"{port} in \[apps.verify\]: give every"),
        (TWO + '[apps.verify]\nurl = "http://x:{port}/"', r"{port} in \[apps.verify\]"),
        ('[apps.restart]\nstrategy = "systemd"\nunit = "w@{instance}"', "has no "),
        ('[apps.drain]\nargv = ["off", "{port}"]', r"{port} in \[apps.drain\]"),
        (TWO + '[apps.restart]\nstrategy = "systemd"\nunit = "w"', r"same to all .*\[apps.restart"),
        (TWO + '[apps.traffic]\nby = "file"\npath = "f"', r"same to all .*\[apps.traffic"),
        (TWO + '[apps.traffic]\nby = "firewall"\nport = 80', r"same to all .*\[apps.traffic"),
        ('[apps.traffic]\nby = "firewall"', "needs a port"),
        ('[apps.restart]\nstrategy = "systemd"\nunit = "-H evil"', "matching regex"),
        ('[apps.restart]\nstrategy = "systemd"\nunit = "w"\naction = "stop"', "'stop'"),
        ('[apps.traffic]\nby = "haproxy"\nsocket = "s"\nserver = "b/s; shutdown"', "matching"),
        ('[apps.traffic]\nby = "haproxy"\nsocket = "s"\nserver = "b"', "matching regex"),
        ('[[apps]]\nname = "../web"\ntier = "canary"', "matching regex"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as raised:
        load(written(tmp_path, MINIMAL + line + "\n"))
    assert str(tmp_path / "agent.toml") in raised.value.sentence
    assert "\n" not in raised.value.sentence
