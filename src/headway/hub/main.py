"""Runs a hub as a process."""

import asyncio
import gc
import signal
import socket
import ssl
from contextlib import ExitStack, nullcontext

import msgspec
import structlog
import uvloop

from headway import __version__
from headway.hub.config import HubConfig
from headway.hub.door import HubDoor
from headway.hub.metrics import HubMoment, showing
from headway.hub.upstream import Upstream
from headway.model.views import Health
from headway.signals import process
from headway.signals.frames import update_frame
from headway.signals.hub import Hub
from headway.signals.hub_server import BACKLOG, NodeConnection, NodeServer
from headway.signals.port import SignalStore
from headway.signals.stores import open_store
from headway.signing import Trust

log = structlog.get_logger()


def serve(config: HubConfig) -> None:
    """Run until SIGTERM or SIGINT; print one line when it is ready.

    Raises a HeadwayError, with the sentence to show and the exit code, when it cannot start.
    """
    process.log_to_stderr(config.log)
    process.make_room()
    secure = process.tls(config.tls_certificate, config.tls_key)
    with ExitStack() as sockets:
        listener = sockets.enter_context(process.bound(config.listen))
        shown = sockets.enter_context(process.bound(config.metrics)) if config.metrics else None
        uvloop.run(_run(config, listener, secure, shown))


async def _run(
    config: HubConfig,
    listener: socket.socket,
    secure: ssl.SSLContext | None,
    shown: socket.socket | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = open_store(config.store)
    running = RunningHub(store, Trust.load(config.release), config.server)
    try:
        await running.start(listener, secure)
        gc.freeze()
        async with showing(shown, running.moment) if shown else nullcontext():
            process.say_ready("hub", listener, secure=secure is not None)
            await stop.wait()
    finally:
        await running.close()
        await store.close()


class RunningHub:
    """A hub in front of ``store``, which stays its owner's; ``server`` is the control plane."""

    def __init__(self, store: SignalStore, trust: Trust, server: str) -> None:
        self._store = store
        self._upstream = Upstream(server)
        self.door = HubDoor(store, trust, self._upstream, self._cut)
        self._hub = Hub(store, update_frame, self.door.notice)
        self.nodes = NodeServer(self._hub, self.door, _health)
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket, secure: ssl.SSLContext | None = None) -> None:
        """Serve agents at ``listener``; the store need not answer yet."""
        # Every node that is enrolled is known before a whole fleet comes at once.
        await self._hub.start()
        self.nodes.start()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: NodeConnection(self.nodes), sock=listener, ssl=secure, backlog=BACKLOG
        )

    async def moment(self) -> HubMoment:
        """How it stands now."""
        upstream = self._upstream
        return HubMoment(
            watches=self.nodes.held,
            keys=self._hub.watched,
            waiting=upstream.waiting,
            passed=upstream.passed,
            failed=upstream.failed,
            trouble=await self._store.health(),
        )

    async def close(self) -> None:
        """End every connection; agents go on to the next hub."""
        if self._server is not None:
            self._server.close()
        await self.nodes.close()
        await self._hub.close()
        await self._upstream.close()

    def _cut(self, node: str) -> None:
        log.info("the token of a node has changed", node=node)
        self.nodes.cut(node)


def _health() -> bytes:
    body = msgspec.json.encode(Health("ok", __version__))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
