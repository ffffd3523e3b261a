"""Refusing new connections with nftables: a set of ports in a table of its own, ``headway``.

Each change is one transaction, and may be made again. Nothing but SYNs is looked at, so
connections need not be tracked.
"""

from headway.agent.traffic.rules import change

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


class Nftables:
    """See ``Refusal``."""

    def refuse(self, port: int) -> None:
        """See ``Refusal``."""
        _transaction(_TABLE.format(port=port))

    def admit(self, port: int) -> None:
        """See ``Refusal``."""
        # Only what is there can be deleted: so it is added first, within the same transaction.
        _transaction((_TABLE + _TAKE_AWAY).format(port=port))


def _transaction(commands: str) -> None:
    change(("nft", "-f", "-"), commands)
