"""A hub's own metrics, for Prometheus.

They have an address of their own, which should be a private one: a hub knows nodes, and no people
whom it could ask for a token.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from headway import __version__

PATIENCE_SECONDS = 5.0
MAX_HEAD_BYTES = 8192


class HubMoment(Collector):
    """How a hub stands: watches, keys, reports that wait, those passed on and those that failed."""

    def __init__(
        self, watches: int, keys: int, waiting: int, passed: int, failed: int, trouble: str
    ) -> None:
        self._gauges = (
            ("watches", "Connections on which nodes wait for signals", float(watches)),
            ("store_watches", "Watches held on the signal store", float(keys)),
            ("reports_waiting", "Nodes' reports that are to be passed on", float(waiting)),
            ("signal_store_up", "Whether the signal store answers", float(not trouble)),
        )
        self._counters = (("passed", passed), ("failed", failed))

    def collect(self) -> list[Metric]:
        """Every family."""
        info = GaugeMetricFamily("headway_hub_info", "Headway's version", labels=("version",))
        info.add_metric((__version__,), 1)
        reports = CounterMetricFamily(
            "headway_hub_reports", "Reports to the control plane", labels=("result",)
        )
        for result, count in self._counters:
            reports.add_metric((result,), count)
        gauges = [GaugeMetricFamily(f"headway_hub_{n}", told, v) for n, told, v in self._gauges]
        return [info, *gauges, reports]


@asynccontextmanager
async def showing(
    listener: socket.socket, moment: Callable[[], Awaitable[HubMoment]]
) -> AsyncIterator[None]:
    """Meanwhile answer ``GET /metrics`` at ``listener``."""
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    GCCollector(registry=process)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                if head.split(b" ")[:2] == [b"GET", b"/metrics"]:
                    hub = CollectorRegistry()
                    hub.register(await moment())
                    page = generate_latest(process) + generate_latest(hub)
                    writer.write(_response(b"200 OK", page))
                else:
                    writer.write(_response(b"404 Not Found", b"only GET /metrics is here\n"))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, sock=listener, limit=MAX_HEAD_BYTES)
    try:
        yield
    finally:
        server.close()


def _response(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
        % (status, CONTENT_TYPE_PLAIN_0_0_4.encode(), len(body), body)
    )
