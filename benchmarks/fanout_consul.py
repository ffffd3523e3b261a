"""Consul, watched directly: a blocking query per watcher."""

import base64

import msgspec

from benchmarks import fanout_stores
from benchmarks.fanout_stores import PATH, Watcher
from benchmarks.watched import Fanout

AT_ONCE = 200


class _Pair(msgspec.Struct):
    Value: str


class _Query(Watcher):
    """Asks again, from the last index, as soon as it has its answer."""

    index = 0

    def ask(self) -> None:
        self._rest = b""
        path = f"/v1/kv/{PATH}?index={self.index}&wait=60s"
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: consul\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._rest += data
        head, mark, body = self._rest.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if not mark or len(body) < int(fields[b"Content-Length"]):
            return
        first, self.index = self.index == 0, int(fields[b"X-Consul-Index"])
        self.ask()
        if first:
            self.begun()
        else:
            (pair,) = msgspec.json.decode(body, type=list[_Pair])
            self.heard(base64.b64decode(pair.Value))


async def measure(agents: int, rounds: int) -> Fanout:
    """See ``benchmarks.fanout``."""
    limits = {"limits": {"http_max_conns_per_client": agents + 100}}
    return await fanout_stores.measure("consul", _Query, agents, rounds, AT_ONCE, more=limits)
