"""How an app is restarted, how it is taken out of traffic, and which instances of it there are.

``{instance}`` and ``{port}`` in any text of these stand for the instance that it is done to.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct, structs

from headway.model.names import Name, Seconds

Url = Annotated[str, Meta(pattern=r"\Ahttps?://[^\s/]+")]
Argv = Annotated[tuple[str, ...], Meta(min_length=1)]
Period = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(ge=1, le=65535)]
FirewallTool = Literal["nftables", "iptables"]
SignalName = Annotated[str, Meta(pattern=r"\ASIG[A-Z0-9]+\Z")]

_Filled = TypeVar("_Filled")


class Instance(Struct, frozen=True, forbid_unknown_fields=True):
    """One of several processes of the app on this node, restarted one after another."""

    name: Name
    """What ``{instance}`` stands for."""
    port: Port | None = None
    """What ``{port}`` stands for."""


class NoRestart(Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="none"):
    """The app notices a new ``current`` by itself."""


class SignalRestart(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="signal"
):
    """Send ``signal`` to the process that ``pidfile`` names."""

    pidfile: Path
    """The file with the process's number."""
    signal: SignalName = "SIGHUP"
    """The signal to send."""


class CommandRestart(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="command"
):
    """Run a command; what it leaves running must have redirected its output."""

    argv: Argv
    """The program and its arguments."""
    timeout: Period = 60.0
    """How long it may take before its whole process group is killed."""
    user: str | None = None
    """The user that it runs as; without it, the agent's."""
    env: dict[str, str] = {}
    """Variables to set in its otherwise clean environment."""


class SystemdRestart(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="strategy", tag="systemd"
):
    """Restart a unit with ``systemctl`` and wait until it is active."""

    unit: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9:_.@{][A-Za-z0-9:_.@{}\\-]*\Z")]
    """The unit, such as ``web.service``, or ``web@{instance}.service`` of a template."""
    action: Literal["restart", "reload", "reload-or-restart"] = "restart"
    """What ``systemctl`` is told to do; reload only what then runs new code."""
    timeout: Period = 60.0
    """How long it may take until the unit is active."""


Restart = NoRestart | SignalRestart | CommandRestart | SystemdRestart


class HaproxyTraffic(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="haproxy"
):
    """Tell HAProxy, over its runtime API, to send nothing new to the server."""

    socket: str
    """HAProxy's stats socket of level admin: a path, or HOST:PORT."""
    server: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:{}-]+/[A-Za-z0-9_.:{}-]+\Z")]
    """The server as HAProxy knows it: BACKEND/SERVER, such as ``web/web-{instance}``."""
    deadline: Seconds = 30.0
    """How long requests under way may take to finish, and the server to be up afterwards."""


class FirewallTraffic(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="firewall"
):
    """Have the kernel refuse new connections to the port; those that stand may finish.

    Connections over the loopback interface are let through, for health checks.
    """

    port: Port | None = None
    """The port; without it, that of the instance."""
    tool: FirewallTool | None = None
    """Whose rule refuses them; without it, nftables where it is installed, else iptables."""
    deadline: Seconds = 30.0
    """How long connections may take to finish; those that a client keeps open never do."""


class FileTraffic(Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="file"):
    """Make a file that tells the app, or what checks its health, that it is to get no traffic."""

    path: Path
    """The file, there while the instance is out of traffic."""
    wait: Seconds = 5.0
    """How long everybody may take to notice it and to finish."""


class UrlTraffic(Struct, frozen=True, forbid_unknown_fields=True, tag_field="by", tag="url"):
    """Ask over HTTP, for example a load balancer's API, for no more traffic."""

    drain: Url
    """What is asked to take the instance out of traffic; any 2xx means that it will."""
    undrain: Url
    """What is asked to bring it back."""
    method: Literal["POST", "PUT"] = "POST"
    """The method of both, with an empty body."""
    wait: Seconds = 5.0
    """How long requests under way may take to finish."""


Traffic = HaproxyTraffic | FirewallTraffic | FileTraffic | UrlTraffic


def placeholders(instance: Instance) -> dict[str, str]:
    """What is put in place of which ``{name}`` for an instance."""
    port = {} if instance.port is None else {"{port}": str(instance.port)}
    return {"{instance}": instance.name, **port}


def filled(value: _Filled, words: dict[str, str]) -> _Filled:
    """The same settings with every key of ``words`` in their texts replaced by its value."""
    return _filled(value, words)  # type: ignore[no-any-return]


def texts(value: Any) -> list[str]:
    """Every text in some settings."""
    if isinstance(value, Struct):
        return [text for one in structs.asdict(value).values() for text in texts(one)]
    if isinstance(value, (tuple, list)):
        return [text for one in value for text in texts(one)]
    if isinstance(value, dict):
        return texts([*value.keys(), *value.values()])
    return [str(value)] if isinstance(value, (str, Path)) else []


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, str):
        for word, meant in words.items():
            value = value.replace(word, meant)
        return value
    if isinstance(value, Path):
        return Path(_filled(str(value), words))
    if isinstance(value, tuple):
        return tuple(_filled(one, words) for one in value)
    if isinstance(value, dict):
        return {key: _filled(one, words) for key, one in value.items()}
    if isinstance(value, Struct):
        changed = {key: _filled(one, words) for key, one in structs.asdict(value).items()}
        return structs.replace(value, **changed)
    return value
