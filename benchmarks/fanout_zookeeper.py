"""ZooKeeper, watched directly: a session and a one-shot watch per watcher."""

import struct

from benchmarks import fanout_stores
from benchmarks.fanout_stores import PATH, Watcher
from benchmarks.watched import Fanout

AT_ONCE = 40
"""ZooKeeper's listen backlog is 50."""

SESSION_MS = 120_000
_GET_DATA, _EVENT = 4, -1
_HEADER = struct.Struct(">iqi")


class _Session(Watcher):
    """Reads the key, with a watch, again after each event: an event itself has no value."""

    def ask(self) -> None:
        self._rest = b""
        self._count = 0
        self._send(struct.pack(">iqiqi16s", 0, 0, SESSION_MS, 0, 16, bytes(16)))

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= 4:
            (length,) = struct.unpack_from(">i", self._rest)
            if len(self._rest) < 4 + length:
                return
            message, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            self._take(message)

    def _take(self, message: bytes) -> None:
        self._count += 1
        number = _HEADER.unpack_from(message)[0]
        if self._count == 1 or number == _EVENT:
            path = f"/{PATH}".encode()
            ask = struct.pack(f">iii{len(path)}s?", self._count, _GET_DATA, len(path), path, True)
            self._send(ask)
            return
        (size,) = struct.unpack_from(">i", message, _HEADER.size)
        if self._count == 2:
            self.begun()
        else:
            self.heard(message[_HEADER.size + 4 :][:size])

    def _send(self, message: bytes) -> None:
        self.transport.write(struct.pack(">i", len(message)) + message)


async def measure(agents: int, rounds: int) -> Fanout:
    """See ``benchmarks.fanout``."""
    more = (f"maxSessionTimeout={SESSION_MS}",)
    return await fanout_stores.measure(
        "zookeeper", _Session, agents, rounds, AT_ONCE, more=more, heap="1g"
    )
