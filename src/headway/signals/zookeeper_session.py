"""One session with ZooKeeper: kazoo's threads, awaited from asyncio, and what their errors mean."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionLoss,
    KazooException,
    NoAuthError,
    OperationTimeoutError,
    RuntimeInconsistency,
    SessionExpiredError,
    SessionMovedError,
    ThrottledOpError,
)
from kazoo.protocol.states import KeeperState
from kazoo.security import CREATOR_ALL_ACL

from headway.errors import Indeterminate, StoreDenied, Unavailable
from headway.signals.location import Location

CONNECT_SECONDS = 6.0
ANSWER_SECONDS = 5.0
READS = 3
"""How often a read is tried while one server hands over to another."""

_LOOK_SECONDS = 0.02
_BROKEN = (
    ConnectionLoss,
    OperationTimeoutError,
    RuntimeInconsistency,
    SessionExpiredError,
    SessionMovedError,
    ThrottledOpError,
)

# kazoo's own logger would tell the password to whoever turns on its details.
_quiet = logging.getLogger("headway.zookeeper")
_quiet.setLevel(logging.ERROR)


class Session:
    """A session of about ``timeout`` seconds, begun at once.

    ``seconds`` is how long the servers keep it after its holder fell silent; 0 before it is there.
    Raises InvalidInput for files that do not serve.
    """

    def __init__(self, location: Location, timeout: float) -> None:
        location.context()  # complains about files better than kazoo does
        secret = location.secret()
        self._where = ",".join(location.hosts)
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Future[None] | None = None
        self.seconds = 0.0
        self.client = KazooClient(
            hosts=self._where,
            timeout=timeout,
            auth_data=[("digest", secret)] if secret else None,
            default_acl=CREATOR_ALL_ACL if secret else None,
            use_ssl=location.tls,
            check_hostname=location.tls,
            ca=_text(location.ca),
            certfile=_text(location.cert),
            keyfile=_text(location.key),
            connection_retry={"max_tries": -1, "delay": 0.1, "max_delay": 2.0},
            logger=_quiet,
        )
        self._learn_seconds()
        self.client.start_async()

    @property
    def id(self) -> int:
        """The session's number; 0 before there is one. kazoo replaces one that has expired."""
        return self.client.client_id[0] if self.client.client_id else 0

    async def connected(self) -> None:
        """Wait for the connection. Raises Unavailable or StoreDenied."""
        until = self._loop.time() + CONNECT_SECONDS
        while not (self.client.connected and self.seconds):
            if self._stopping is not None:
                raise Unavailable("the signal store is closed")
            if self.client.client_state == KeeperState.AUTH_FAILED:
                raise StoreDenied("ZooKeeper does not let us in; check the token file")
            if self._loop.time() > until:
                raise Unavailable(f"ZooKeeper at {self._where} does not answer")
            await asyncio.sleep(_LOOK_SECONDS)

    async def read(self, call: str, *arguments: Any, **options: Any) -> Any:
        """What kazoo's method ``call`` returns. Raises Unavailable, StoreDenied or NoNodeError."""
        why = ""
        for _ in range(READS):
            await self.connected()
            try:
                return await self._ask(call, arguments, options)
            except TimeoutError:
                why = "no answer in time"
                break
            except _BROKEN as error:
                why = str(error) or type(error).__name__
        raise Unavailable(f"ZooKeeper at {self._where} does not answer: {why}")

    async def write(self, call: str, *arguments: Any, **options: Any) -> Any:
        """As ``read``, but asked once: Indeterminate when the answer is not heard."""
        await self.connected()
        try:
            return await self._ask(call, arguments, options)
        except (*_BROKEN, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise Indeterminate(f"ZooKeeper may have written it or not: {why}") from None

    async def stop(self) -> None:
        """End the session, and with it what was put under it."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(asyncio.to_thread(self._stop))
        await asyncio.shield(self._stopping)

    def _stop(self) -> None:
        with contextlib.suppress(KazooException, OSError):
            self.client.stop()
        with contextlib.suppress(KazooException, OSError):
            self.client.close()

    async def _ask(self, call: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any) -> None:
            if answer.done():
                return
            if result.exception is not None:
                answer.set_exception(result.exception)
            else:
                answer.set_result(result.value)

        def tell(result: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be gone
                self._loop.call_soon_threadsafe(settle, result)

        getattr(self.client, f"{call}_async")(*arguments, **options).rawlink(tell)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except (NoAuthError, AuthFailedError):
            raise StoreDenied("ZooKeeper does not let us in; check the token file") from None

    def _learn_seconds(self) -> None:
        """Servers bound a session to 2 to 20 of their ticks, which kazoo keeps to itself."""
        connect = self.client._connection._connect

        def connecting(*where: Any) -> tuple[float, float]:
            read_timeout, connect_timeout = connect(*where)
            # kazoo gives up on a server after two thirds of the session, in milliseconds.
            self.seconds = read_timeout * 1.5 / 1000
            return read_timeout, connect_timeout

        self.client._connection._connect = connecting


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
