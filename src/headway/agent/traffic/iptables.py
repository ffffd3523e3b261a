"""Refusing new connections with iptables: one rule for each port in a chain, ``HEADWAY``.

There is one chain for IPv4 and one for IPv6. Each step looks first whether it is needed, so that
all may be done again, after an agent that was killed between two of them too. The jump to the chain
comes first in INPUT, and anew with every refusal: whoever loads rules anew may have dropped it.
"""

import threading
from pathlib import Path

from headway.agent.traffic.rules import change, holds

_CHAIN = "HEADWAY"
_JUMP = ("!", "-i", "lo", "-p", "tcp", "--syn", "-j", _CHAIN)
_LOCK_WAIT = "5"
"""Seconds for which another's change of the rules is waited for."""

_ours = threading.Lock()
"""Between looking and changing, no other app of this agent may do the same."""


class Iptables:
    """See ``Refusal``."""

    def refuse(self, port: int) -> None:
        """See ``Refusal``."""
        with _ours:
            for program in _programs():
                if not holds((*program, "-n", "-L", _CHAIN)):
                    change((*program, "-N", _CHAIN))
                if not holds((*program, "-C", *_rule(port))):
                    change((*program, "-A", *_rule(port)))
                if not holds((*program, "-C", "INPUT", *_JUMP)):
                    change((*program, "-I", "INPUT", *_JUMP))

    def admit(self, port: int) -> None:
        """See ``Refusal``."""
        with _ours:
            for program in _programs():
                if holds((*program, "-C", *_rule(port))):
                    change((*program, "-D", *_rule(port)))


def _programs() -> list[tuple[str, ...]]:
    names = ["iptables", "ip6tables"] if Path("/proc/self/net/tcp6").exists() else ["iptables"]
    return [(name, "-w", _LOCK_WAIT) for name in names]


def _rule(port: int) -> tuple[str, ...]:
    refusal = ("-j", "REJECT", "--reject-with", "tcp-reset")
    return (_CHAIN, "-p", "tcp", "--dport", str(port), *refusal)
