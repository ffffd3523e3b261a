"""HTTP to a store with one or several servers: which failure means what.

What certainly did not arrive may be asked of the next server. A write that did arrive, or may
have, is asked once: whoever wrote must read before another try.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from msgspec import Struct
from yarl import URL

from headway.errors import Indeterminate, StoreDenied, Unavailable
from headway.signals.location import Location

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
MAX_CALLS = 32
"""How many requests are under way at once, beside the watches: servers limit connections."""

IDLE_SECONDS = 10.0
"""How long a connection is kept for the next call; less than servers and proxies keep it."""

_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class Closed(Unavailable):
    """The store was closed by whoever opened it."""


class Answer(Struct, frozen=True):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Gateway:
    """The servers of the store called ``name``; ``unapplied`` are words that tell of no harm done.

    The first of several servers that answers is asked until it fails.
    """

    def __init__(
        self, name: str, location: Location, unapplied: tuple[bytes, ...], headers: dict[str, str]
    ) -> None:
        scheme = "https" if location.tls else "http"
        self._name = name
        self._servers = [f"{scheme}://{host}" for host in location.hosts]
        self._unapplied = unapplied
        tls = location.context() or True
        calls = aiohttp.TCPConnector(ssl=tls, limit=MAX_CALLS, keepalive_timeout=IDLE_SECONDS)
        watches = aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=IDLE_SECONDS)
        self._calls = _session(calls, headers)
        self._watches = _session(watches, headers)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        writes: bool = False,
        headers: Mapping[str, str] | None = None,
        waits: float = 0.0,
    ) -> Answer:
        """Ask, and return any answer below 500; ``waits`` is how long the server may keep it.

        Raises StoreDenied, Unavailable, or Indeterminate for something that ``writes``.
        """
        session = self._watches if waits else self._calls
        timeout = aiohttp.ClientTimeout(total=waits + ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        why = "it has no servers"
        for server in tuple(self._servers):
            self._check()
            url = URL(server + path, encoded=True)
            try:
                async with session.request(
                    method, url, data=body, headers=headers, timeout=timeout, allow_redirects=False
                ) as response:
                    answer = Answer(response.status, response.headers, await response.read())
            except (aiohttp.ClientError, TimeoutError) as error:
                why = f"{server}: {str(error) or type(error).__name__}"
                unapplied = isinstance(error, _NOT_CONNECTED)
            else:
                if answer.status < 500 and answer.status != 429:
                    return self._admitted(answer)
                why = f"{server} answers {answer.status}: {_words(answer.body)}"
                unapplied = answer.status == 429 or any(w in answer.body for w in self._unapplied)
            if writes and not unapplied:
                raise Indeterminate(f"{self._name} may have written it or not: {why}")
            self._pass_over(server)
        self._check()
        raise Unavailable(f"{self._name} does not answer: {why}")

    @asynccontextmanager
    async def stream(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncGenerator[aiohttp.StreamReader, None]:
        """Post, and read an answer that does not end. Raises StoreDenied or Unavailable."""
        self._check()
        server = self._servers[0]
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        url = URL(server + path, encoded=True)
        try:
            async with self._watches.post(
                url, data=body, headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    answer = Answer(response.status, response.headers, await response.read())
                    self._admitted(answer)
                    raise Unavailable(f"{server} answers {answer.status}: {_words(answer.body)}")
                yield response.content
        except (aiohttp.ClientError, TimeoutError) as error:
            self._check()
            self._pass_over(server)
            why = str(error) or type(error).__name__
            raise Unavailable(f"{self._name} does not answer: {server}: {why}") from None

    async def close(self) -> None:
        """End every request."""
        await self._calls.close()
        await self._watches.close()

    def _check(self) -> None:
        if self._calls.closed:
            raise Closed("the signal store is closed")

    def _pass_over(self, server: str) -> None:
        """Begin with another server the next time."""
        if len(self._servers) > 1 and self._servers[0] == server:
            self._servers.append(self._servers.pop(0))

    def _admitted(self, answer: Answer) -> Answer:
        if answer.status in {401, 403}:
            raise StoreDenied(
                f"{self._name} does not let us in ({_words(answer.body)}); check the token file"
            )
        return answer


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a PUT again when its answer got lost: it may have been applied."""
    try:
        return await handler(request)
    except _NOT_CONNECTED:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientError(str(error) or "the connection broke off") from None


def _session(connector: aiohttp.TCPConnector, headers: dict[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        middlewares=(_once,),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _words(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace").strip() or "nothing"
