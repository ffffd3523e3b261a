"""An nftables set of ports that refuse new connections, in a table of its own, ``headway``.

A connection that begins, a SYN, is answered with a reset, so that whoever balances the load tries
elsewhere at once; connections that stand go on. Nothing but SYNs is looked at, so connections
need not be tracked. Each change is one transaction, and may be made again.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headway.agent.lifecycle import PATH
from headway.agent.traffic.patience import wait
from headway.errors import HookFailed

_TABLE = """\
add table inet headway
add set inet headway drained {{ type inet_service; }}
add chain inet headway input {{ type filter hook input priority -10; policy accept; }}
flush chain inet headway input
add rule inet headway input iifname != "lo" tcp flags & (syn | ack) == syn \
tcp dport @drained reject with tcp reset
add element inet headway drained {{ {port} }}
"""
_TAKE_AWAY = "delete element inet headway drained {{ {port} }}\n"
_PATIENCE = 10.0
_OPEN = {"01", "03", "08"}
"""States in which the app may still have something to answer: established, beginning, and
closed by the client alone."""


class Firewall:
    """The door to one TCP port of this node."""

    def __init__(self, port: int, deadline: float) -> None:
        self._port = port
        self._deadline = deadline

    def close(self) -> str:
        """See ``Door``."""
        _nft(_TABLE.format(port=self._port))
        if wait(lambda: connections(self._port) == 0, self._deadline):
            return ""
        return (
            f"{connections(self._port)} connections to port {self._port} "
            f"were still open after {self._deadline:g} s"
        )

    def open(self) -> None:
        """See ``Door``."""
        # Only what is there can be deleted: so it is added first, within the same transaction.
        _nft((_TABLE + _TAKE_AWAY).format(port=self._port))

    def release(self) -> None:
        """See ``Door``."""
        self.open()


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


def _nft(commands: str) -> None:
    try:
        subprocess.run(
            ["nft", "-f", "-"],
            input=commands,
            env={"PATH": PATH, "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise HookFailed(
            f"nft refuses the firewall's rule: {' '.join(error.stderr.split())[:300]}"
        ) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise HookFailed(f"nft cannot be run: {error}; install nftables, run as root") from None
