"""Runs the control plane as a process."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop
from sqlalchemy import Connection

from headway.errors import InvalidInput, Refused
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
from headway.signals.embedded import EmbeddedSignals

GRACE_SECONDS = 2
"""How long requests that are under way may take once the server was asked to stop."""

BACKLOG = 2048


def serve(config: ServerConfig) -> None:
    """Run until SIGTERM or SIGINT; print one line when it is ready.

    Raises a HeadwayError, with the sentence to show and the exit code, when it cannot start.
    """
    _log_to_stderr(config.log)
    with premises.occupied(config.data), _bound(config) as listener:
        uvloop.run(_run(config, listener))


async def _run(config: ServerConfig, listener: socket.socket) -> None:
    keys = premises.keys(config)
    database = Database(f"sqlite:///{config.data / 'headway.db'}")
    signals = EmbeddedSignals(config.data / "signals.db")
    await _first_admin(config, database)
    plane = ControlPlane(
        database=database,
        signals=signals,
        artifacts=config.artifacts or config.data / "artifacts",
        release_key=keys.release,
        build_trust=keys.build_trust,
        signal_trust=keys.signal_trust,
        judge=Guard(),
    )
    try:
        await plane.start()
        await _Server(plane).serve(sockets=[listener])
    finally:
        await plane.close()


class _Server(uvicorn.Server):
    """uvicorn, but it says when it is ready, and open streams do not delay its stop."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(plane, (cockpit(plane),)),
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
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"headway server is ready at http://{name}:{port}\n")
            sys.stdout.flush()

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


@contextlib.contextmanager
def _bound(config: ServerConfig) -> Iterator[socket.socket]:
    host, port = config.address()
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        raise InvalidInput(f'there is no address "{host}" to listen on: {error}') from None
    except OSError as error:
        raise Refused(
            f"cannot listen on {config.listen}: {os.strerror(error.errno or 0)}; is it taken?"
        ) from None
    with listener:
        yield listener


def _log_to_stderr(level: str) -> None:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise InvalidInput(f'log must be debug, info or warning, not "{level}"')
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
