"""etcd, watched directly: a stream of its JSON gateway per watcher."""

import base64
import json

from benchmarks import fanout_stores
from benchmarks.fanout_stores import PATH, Watcher
from benchmarks.watched import Fanout

AT_ONCE = 200


class _Stream(Watcher):
    def ask(self) -> None:
        self._rest = b""
        key = base64.b64encode(PATH.encode()).decode()
        body = json.dumps({"create_request": {"key": key}}).encode()
        head = f"POST /v3/watch HTTP/1.1\r\nHost: etcd\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if b'"created":true' in line:
                self.begun()
            elif b'"events"' in line:
                value = line.partition(b'"value":"')[2].partition(b'"')[0]
                self.heard(base64.b64decode(value))


async def measure(agents: int, rounds: int) -> Fanout:
    """See ``benchmarks.fanout``."""
    return await fanout_stores.measure("etcd", _Stream, agents, rounds, AT_ONCE)
