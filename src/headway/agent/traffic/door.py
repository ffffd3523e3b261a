"""What every means of draining can do, and which one the configuration asks for."""

from typing import Protocol

from headway.agent.strategies import (
    FileTraffic,
    FirewallTraffic,
    HaproxyTraffic,
    Instance,
    Traffic,
)
from headway.agent.traffic.firewall import Firewall
from headway.agent.traffic.haproxy import Haproxy
from headway.agent.traffic.marker import DrainFile, DrainUrl
from headway.errors import InvalidInput


class Door(Protocol):
    """The way that traffic takes to one instance. All three may be called again at any time."""

    def close(self) -> str:
        """Let nothing new in and wait for what is inside; returns a sentence if some would not go.

        Raises HookFailed when the door cannot be closed.
        """

    def open(self) -> None:
        """Let traffic in; returns when it may come. Raises HookFailed."""

    def release(self) -> None:
        """Let traffic in, without waiting until it comes. Raises HookFailed."""


def door(how: Traffic, instance: Instance | None) -> Door:
    """The door of one instance, whose placeholders have been filled in."""
    if isinstance(how, HaproxyTraffic):
        return Haproxy(how)
    if isinstance(how, FileTraffic):
        return DrainFile(how)
    if isinstance(how, FirewallTraffic):
        port = how.port or (instance.port if instance else None)
        if port is None:
            raise InvalidInput("the firewall needs a port to refuse connections to")
        return Firewall(port, how.deadline, how.tool)
    return DrainUrl(how)
