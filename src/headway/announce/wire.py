"""Requests to one place: one try each, bounded in time and size, its errors in one sentence.

A redirect is not followed: what proves who speaks is for one address. Nothing that an answer says
is repeated in a sentence, and no secret is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2
import msgspec

from headway import __version__
from headway.announce.port import Place
from headway.errors import Busy, Denied, Refused, Unreachable
from headway.model.announcement import Announcement

T = TypeVar("T")

MAX_ANSWER_BYTES = 4 * 1024 * 1024

_PATIENCE = frozenset({408, 425, 429})


class Wire:
    """A place at ``url``, called ``name``. ``headers`` go with every request, and only there."""

    def __init__(
        self,
        name: str,
        url: str,
        timeout: float,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._url = url
        self._timeout = timeout
        self._clock = clock
        self._client = httpx2.AsyncClient(
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
            headers={"user-agent": f"headway/{__version__}", **(headers or {})},
            auth=auth,
        )

    async def send(
        self,
        method: str,
        path: str = "",
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send ``body``, as JSON, or as it is where it is bytes; what is answered is not read.

        Raises Unreachable, Busy, Denied or Refused.
        """
        async with self._answer(method, path, body, headers, ()):
            pass

    async def ask(
        self,
        method: str,
        path: str,
        into: type[T],
        *,
        body: object = None,
        params: Sequence[tuple[str, str]] = (),
    ) -> T:
        """The answer as a value. Raises as ``send`` does; Unreachable for what is no answer."""
        answer = bytearray()
        async with self._answer(method, path, body, None, params) as response:
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise Unreachable(f"{self._name} answers with too much")
        try:
            return msgspec.json.decode(answer, type=into)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            told = f"{self._name} answers with something else than expected; is its address right?"
            raise Unreachable(told) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str] | None,
        params: Sequence[tuple[str, str]],
    ) -> AsyncIterator[httpx2.Response]:
        """A good answer, whose body is still to come; all of it within the time allowed."""
        content = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        heads = {"content-type": "application/json"} if content is not None else {}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream(
                    method,
                    self._url + path,
                    content=content,
                    headers={**heads, **(headers or {})},
                    params=list(params) or None,
                ) as response,
            ):
                self._refuse(response.status_code, response.headers)
                yield response
        except TimeoutError:
            told = f"{self._name} did not answer within {self._timeout:g} s"
            raise Unreachable(told) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            told = f"{self._name} cannot be reached: {error or type(error).__name__}"
            raise Unreachable(told) from None

    def _refuse(self, status: int, headers: Mapping[str, str]) -> None:
        if 200 <= status < 300:
            return
        exhausted = status == 403 and _is_exhausted(headers)
        if status in _PATIENCE or exhausted or (status >= 500 and "retry-after" in headers):
            raise Busy(f"{self._name} answers {status}", self._after(headers))
        if status >= 500:
            raise Unreachable(f"{self._name} answers {status}")
        if status in (401, 403):
            raise Denied(f"{self._name} does not let us in ({status}); is the secret right?")
        if 300 <= status < 400:
            raise Refused(
                f"{self._name} sends us elsewhere ({status}), which is not followed; "
                "configure the new address"
            )
        raise Refused(f"{self._name} does not want it ({status})")

    def _after(self, headers: Mapping[str, str]) -> float:
        """How many seconds to wait; 0 where it does not say."""
        told = headers.get("retry-after", "")
        reset = headers.get("x-ratelimit-reset", "")
        if told.isascii() and told.isdigit():
            return float(told)
        if told:
            try:
                return max(0.0, parsedate_to_datetime(told).timestamp() - self._clock())
            except ValueError:
                return 0.0
        if _is_exhausted(headers) and reset.isascii() and reset.isdigit():
            return max(0.0, float(reset) - self._clock())
        return 0.0


def _is_exhausted(headers: Mapping[str, str]) -> bool:
    """Whether a limit of requests is reached, in the way that GitHub says so."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


class WiredAnnouncer:
    """What all announcers that speak HTTP have in common: a place, and the wire to it."""

    def __init__(self, place: Place, wire: Wire) -> None:
        self._place = place
        self._wire = wire

    @property
    def name(self) -> str:
        """The place's name."""
        return self._place.name

    def wants(self, announcement: Announcement) -> bool:
        """Whether the place is told of it."""
        return self._place.wants(announcement)

    async def close(self) -> None:
        """Close every connection."""
        await self._wire.close()
