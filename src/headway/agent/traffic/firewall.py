"""A port of this node that refuses new connections while those that stand go on.

A connection that begins, a SYN, is answered with a reset, so that whoever balances the load tries
elsewhere at once. The rule is nftables' or iptables'.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from headway.agent.lifecycle import PATH
from headway.agent.strategies import FirewallTool
from headway.agent.traffic.iptables import Iptables
from headway.agent.traffic.nftables import Nftables
from headway.agent.traffic.patience import wait
from headway.core.words import count
from headway.errors import HookFailed

_OPEN = {"01", "03", "08"}
"""States in which the app may still have something to answer: established, beginning, and
closed by the client alone."""


class Refusal(Protocol):
    """What the kernel is told. Loopback is let through; both may be called again at any time."""

    def refuse(self, port: int) -> None:
        """Answer whoever connects to the port with a reset. Raises HookFailed."""

    def admit(self, port: int) -> None:
        """Let everybody connect. Raises HookFailed."""


class Firewall:
    """The door to one TCP port of this node; ``tool`` None is what is installed."""

    def __init__(self, port: int, deadline: float, tool: FirewallTool | None = None) -> None:
        self._port = port
        self._deadline = deadline
        self._tool = tool

    def close(self) -> str:
        """See ``Door``."""
        refusal(self._tool).refuse(self._port)
        if wait(lambda: connections(self._port) == 0, self._deadline):
            return ""
        open_still = count(connections(self._port), "connection")
        return f"{open_still} to port {self._port} still open after {self._deadline:g} s"

    def open(self) -> None:
        """See ``Door``."""
        refusal(self._tool).admit(self._port)

    def release(self) -> None:
        """See ``Door``."""
        self.open()


def refusal(tool: FirewallTool | None) -> Refusal:
    """The tool that is asked for, or else nftables before iptables. Raises HookFailed."""
    for name, program, kind in (
        ("nftables", "nft", Nftables),
        ("iptables", "iptables", Iptables),
    ):
        if tool in {None, name} and shutil.which(program, path=PATH):
            return kind()
    wanted = tool or "nftables or iptables"
    raise HookFailed(f"the firewall cannot be told: install {wanted}, and run the agent as root")


def connections(port: int) -> int:
    """How many connections from elsewhere to the port are open."""
    return sum(1 for _ in _remote(port))


def _remote(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path("/proc/self/net", name).read_text("ascii").splitlines()[1:]:
                _, local, remote, state = line.split()[:4]
                here = int(local.rpartition(":")[2], 16) == port
                if here and state in _OPEN and not _is_loopback(remote.partition(":")[0]):
                    yield remote


def _is_loopback(address: str) -> bool:
    """Whether an address as ``/proc/net/tcp`` writes it, in words of the CPU's order, is local."""
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    plain = b"".join(words)
    if len(plain) == 16 and plain.startswith(bytes(10) + b"\xff\xff"):
        plain = plain[12:]
    return plain[0] == 127 if len(plain) == 4 else plain == bytes(15) + b"\x01"
