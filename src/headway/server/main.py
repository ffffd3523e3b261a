"""Runs the control plane as a process."""

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import structlog
import uvicorn
import uvloop
from sqlalchemy import Connection
from uvicorn.protocols.http.h11_impl import H11Protocol

from headway.errors import LeaseLost
from headway.guard.watch import Guard
from headway.model.access import Role
from headway.server import leadership, premises
from headway.server.app import create_app
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.auth.sessions import Limits
from headway.server.channels import channels
from headway.server.clock import SteadyClock
from headway.server.cockpit.routes import cockpit
from headway.server.config import ServerConfig
from headway.server.database import tokens, users
from headway.server.database.connection import Database
from headway.server.database.tokens import Token
from headway.server.leadership import Leading
from headway.server.plane import ControlPlane
from headway.server.rounds import rounds
from headway.server.standby import standing_by
from headway.server.supplies import provided, supplies
from headway.signals import process
from headway.signals.hub_server import BACKLOG, NodeConnection
from headway.signals.port import SignalStore
from headway.signals.stores import open_store

HOUR = 3600.0

GRACE_SECONDS = 2
"""How long requests that are under way may take once the server was asked to stop."""

log = structlog.get_logger()


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
    signals = open_store(config.store or f"embedded:{config.data / 'signals.db'}")
    leading: Leading | None = None
    try:
        if config.store is not None:
            leading = await _led(config, signals, listener)
            if leading is None:
                return
        await _act(config, keys, signals, listener, leading)
    finally:
        if leading is not None:
            await leading.close()
        await signals.close()


async def _led(
    config: ServerConfig, signals: SignalStore, listener: socket.socket
) -> Leading | None:
    """Stand by until this control plane leads; None when it is asked to stop before that.

    Others on the store lead by leases; on the embedded one, the lock of the directory suffices.
    """
    host, port = listener.getsockname()[:2]
    place = f"{socket.gethostname()} ({host}:{port})"
    secure = process.tls(config.tls_certificate, config.tls_key)
    stop = asyncio.Event()
    async with standing_by(listener, secure, partial(leadership.leader, signals)):
        with _asked_to_stop(stop.set):
            waiting = asyncio.create_task(stop.wait())
            leading = asyncio.create_task(leadership.lead(signals, place))
            await asyncio.wait((leading, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if leading.done():
                return leading.result()
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
            return None


async def _act(
    config: ServerConfig,
    keys: premises.Keys,
    signals: SignalStore,
    listener: socket.socket,
    leading: Leading | None,
) -> None:
    """Be the control plane. Raises LeaseLost when another one has led meanwhile."""
    clock = SteadyClock()
    given = supplies(config)
    provider = provided(config, given.public_url, clock)
    database = Database(f"sqlite:///{config.data / 'headway.db'}")
    await _first_admin(config, database)
    plane = ControlPlane(
        database=database,
        signals=signals,
        artifacts=config.artifacts or config.data / "artifacts",
        release_key=keys.release,
        build_trust=keys.build_trust,
        signal_trust=keys.signal_trust,
        guard=Guard(),
        supplies=given,
        clock=clock,
        direct=config.direct,
        may_write=leading.check if leading is not None else lambda: None,
        repositories=config.data / "repositories",
        forges=config.forges,
        smoke_programs=config.smoke_programs,
        limits=Limits(config.sign_in.idle_hours * HOUR, config.sign_in.hours * HOUR),
        provider=provider,
    )
    try:
        await plane.start()
        # What is here now stays; without this, each full collection looks at all of it again.
        gc.freeze()
        async with rounds(plane, config.upkeep), channels(plane, config.chat):
            await _until_deposed(Listening(plane, config), listener, leading)
    finally:
        await plane.close()


async def _until_deposed(
    listening: "Listening", listener: socket.socket, leading: Leading | None
) -> None:
    serving = asyncio.create_task(listening.serve(sockets=[listener]))
    if leading is not None:
        deposed = asyncio.create_task(leading.deposed())
        await asyncio.wait((serving, deposed), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            listening.should_exit = True
            await serving
            raise LeaseLost(
                "another control plane has led since this one's lease ended, so what this one knows"
                " is out of date; it ends, and stands by when it is started again"
            )
        deposed.cancel()
    await serving


@contextlib.contextmanager
def _asked_to_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _connection(plane: ControlPlane, **facts: Any) -> asyncio.Protocol:
    """Nodes' connections are served without the framework, all others by it."""
    return NodeConnection(plane.nodes, partial(H11Protocol, **facts))


class Listening(uvicorn.Server):
    """uvicorn, but it says when it is ready, and open streams do not delay its stop."""

    def __init__(self, plane: ControlPlane, config: ServerConfig) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(plane, (cockpit(plane),), config.limits),
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
        with _asked_to_stop(lambda: self.handle_exit(signal.SIGTERM, None)):
            yield


async def _first_admin(config: ServerConfig, database: Database) -> None:
    """Where no admin could call or sign in, make an admin's token and leave it in a file."""
    holders = [token.role for token in await database.read(tokens.every)]
    people = [user.role for user in await database.read(users.every) if user.password]
    if Role.ADMIN in holders + people:
        return
    secret, place = new_secret(), config.data / "admin.token"
    premises.write_secret(place, secret)
    log.info(
        "there was no admin yet: sign in with the token in this file, or make yourself a user with"
        f" `headway user add NAME --role admin --token-file {place}`",
        file=str(place),
    )
    admin = Token("admin", Role.ADMIN, fingerprint(secret), time.time())

    def write(connection: Connection) -> None:
        tokens.revoke(connection, admin.name)
        tokens.add(connection, admin)

    await database.write(write)
