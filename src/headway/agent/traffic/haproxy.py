"""HAProxy's runtime API: one command on a connection of its own, and what it answers.

The server is set to ``drain``: it gets no new requests, sticky ones excepted, and health checks go
on. After ``ready`` it gets requests again once its checks have passed.
"""

import csv
import socket

from headway.agent.strategies import HaproxyTraffic
from headway.agent.traffic.patience import wait
from headway.core.words import count
from headway.errors import HookFailed

_PATIENCE = 5.0
_MAX_ANSWER = 4 * 1024 * 1024
_SERVERS = "4"
"""The type by which ``show stat`` is told to list servers only."""


class Haproxy:
    """One server of one backend."""

    def __init__(self, how: HaproxyTraffic) -> None:
        self._how = how
        self._backend, self._server = how.server.split("/")

    def close(self) -> str:
        """See ``Door``."""
        self._set("drain")
        if wait(lambda: self._sessions() == 0, self._how.deadline):
            return ""
        unfinished = count(self._sessions(), "request")
        return f"{unfinished} to {self._how.server} not finished after {self._how.deadline:g} s"

    def open(self) -> None:
        """See ``Door``."""
        self._set("ready")
        if not wait(self._is_up, self._how.deadline):
            raise HookFailed(
                f"HAProxy does not find {self._how.server} up after {self._how.deadline:g} s: "
                f"it is {self._state()['status']}"
            )

    def release(self) -> None:
        """See ``Door``."""
        self._set("ready")

    def _set(self, state: str) -> None:
        answer = self._ask(f"set server {self._how.server} state {state}").strip()
        if answer:
            raise HookFailed(f"HAProxy does not set {self._how.server} to {state}: {answer}")

    def _sessions(self) -> int:
        state = self._state()
        return int(state["scur"] or 0) + int(state["qcur"] or 0)

    def _is_up(self) -> bool:
        # While it is going down, or on its way up, it is "UP 1/3" and the like.
        return self._state()["status"] in {"UP", "no check"}

    def _state(self) -> dict[str, str]:
        answer = self._ask(f"show stat {self._backend} {_SERVERS} -1")
        for row in csv.DictReader(answer.removeprefix("# ").splitlines()):
            if row.get("svname") == self._server:
                return row
        raise HookFailed(f"HAProxy knows no server {self._how.server}")

    def _ask(self, command: str) -> str:
        try:
            with self._connected() as connection:
                connection.sendall(command.encode() + b"\n")
                answer = bytearray()
                while chunk := connection.recv(1 << 16):
                    answer += chunk
                    if len(answer) > _MAX_ANSWER:
                        raise HookFailed("HAProxy's answer never ends")
        except (OSError, ValueError) as error:
            raise HookFailed(
                f"HAProxy's socket {self._how.socket} cannot be used: {error}"
            ) from None
        return answer.decode("utf-8", "replace")

    def _connected(self) -> socket.socket:
        if "/" in self._how.socket:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(_PATIENCE)
                connection.connect(self._how.socket)
            except OSError:
                connection.close()
                raise
            return connection
        host, _, port = self._how.socket.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), _PATIENCE)
