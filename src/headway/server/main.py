"""Runs the control plane as a process."""

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
import uvloop
from sqlalchemy import Connection
from uvicorn.protocols.http.h11_impl import H11Protocol

from headway.guard.watch import Guard
from headway.model.access import Role
from headway.server import premises
from headway.server.app import create_app
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.cockpit.routes import cockpit
from headway.server.config import ServerConfig
from headway.server.database import tokens
from headway.server.database.connection import Database
from headway.server.database.tokens import Token
from headway.server.plane import ControlPlane
from headway.server.rounds import rounds
from headway.signals import process
from headway.signals.hub_server import BACKLOG, NodeConnection
from headway.signals.stores import open_store

GRACE_SECONDS = 2
"""How long requests that are under way may take once the server was asked to stop."""


def serve(config: ServerConfig) -> None:
    """Run until SIGTERM or SIGINT; print one line when it is ready.

    Raises a HeadwayError, with the sentence to show and the exit code, when it cannot start.
    """
    process.log_to_stderr(config.log)
    process.make_room()
    with premises.occupied(config.data), process.bound(config.listen) as listener:
        uvloop.run(_run(config, listener))


async def _run(config: ServerConfig, listener: socket.socket) -> None:
    keys = premises.keys(config)
    database = Database(f"sqlite:///{config.data / 'headway.db'}")
    signals = open_store(config.store or f"embedded:{config.data / 'signals.db'}")
    await _first_admin(config, database)
    plane = ControlPlane(
        database=database,
        signals=signals,
        artifacts=config.artifacts or config.data / "artifacts",
        release_key=keys.release,
        build_trust=keys.build_trust,
        signal_trust=keys.signal_trust,
        judge=Guard(),
        direct=config.direct,
    )
    try:
        await plane.start()
        # What is here now stays; without this, each full collection looks at all of it again.
        gc.freeze()
        async with rounds(plane, config.upkeep):
            await Listening(plane, config).serve(sockets=[listener])
    finally:
        await plane.close()


def _connection(plane: ControlPlane, **facts: Any) -> asyncio.Protocol:
    """Nodes' connections are served without the framework, all others by it."""
    return NodeConnection(plane.nodes, partial(H11Protocol, **facts))


class Listening(uvicorn.Server):
    """uvicorn, but it says when it is ready, and open streams do not delay its stop."""

    def __init__(self, plane: ControlPlane, config: ServerConfig) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(plane, (cockpit(plane),)),
                ssl_certfile=config.tls_certificate,
                ssl_keyfile=config.tls_key,
                http=partial(_connection, plane),  # type: ignore[arg-type]
                loop="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._plane = plane

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then say so."""
        await super().startup(sockets)
        for listener in sockets or ():
            process.say_ready("server", listener, secure=self.config.is_ssl)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first."""
        await self._plane.end_streams()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT, and count both as a regular end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def _first_admin(config: ServerConfig, database: Database) -> None:
    """Where nobody could call, make an admin's token and leave it in a file."""
    if any(token.role is Role.ADMIN for token in await database.read(tokens.every)):
        return
    secret = new_secret()
    premises.write_secret(config.data / "admin.token", secret)
    admin = Token("admin", Role.ADMIN, fingerprint(secret), time.time())

    def write(connection: Connection) -> None:
        tokens.revoke(connection, admin.name)
        tokens.add(connection, admin)

    await database.write(write)
