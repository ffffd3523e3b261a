"""Requests and answers: values to bytes and back, problems to errors, silence to Unreachable."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import msgspec

from headway import __version__
from headway.client.problems import error_for
from headway.errors import Busy, HeadwayError, InvalidInput, Unreachable

T = TypeVar("T")

PAGE = 1000
"""The most that is asked for at a time."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
SILENCE_SECONDS = 30.0
"""A stream has a heartbeat; one that is silent for this long is dead."""


TRIES = 4
"""How often the same is asked of a server that asks for patience."""
LONGEST_WAIT_SECONDS = 60.0
"""A server that asks for more patience is not waited for."""


class Wire:
    """A connection pool to one server, which speaks bytes, msgspec types and Headway's errors."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = base_url(url)
        self._sleep = sleep
        headers = {"User-Agent": f"headway/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
            # Reading the system's certificates takes longer than most requests.
            verify=self.url.startswith("https:"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        into: type[T],
        body: msgspec.Struct | bytes | None = None,
        params: Mapping[str, str | int | None] | None = None,
        patience: float = ANSWER_SECONDS,
    ) -> T:
        """Send a request and decode its answer, which may take ``patience`` seconds."""
        response = self.send(method, path, body=body, params=params, patience=patience)
        return self._read(path, response, into)

    def each(
        self,
        path: str,
        kind: type[T],
        params: Mapping[str, str | int | None] | None = None,
        most: int | None = None,
    ) -> Iterator[T]:
        """What a list has, page by page as it is asked for: the first ``most``, or all of it."""
        asked, left = dict(params or {}), most
        while left is None or left > 0:
            asked["limit"] = PAGE if left is None else min(left, PAGE)
            response = self.send("GET", path, params=asked)
            yield from (shown := self._read(path, response, list[kind]))  # type: ignore[valid-type]
            following = response.links.get("next", {}).get("url", "")
            onward = dict(parse_qsl(urlsplit(following).query))
            if not onward or not shown:
                return
            asked |= onward
            left = None if left is None else left - len(shown)

    def _read(self, path: str, response: httpx2.Response, into: type[T]) -> T:
        try:
            return msgspec.json.decode(response.content, type=into)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise HeadwayError(
                f"{self.url} answered {path} with something that headway {__version__} does not "
                f"understand ({error}); do client and server have the same version?"
            ) from None

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = ANSWER_SECONDS,
    ) -> httpx2.Response:
        """Send a request; whatever is no success becomes the error that it stands for.

        When the server asks for patience it is asked again a few times, after what it says.
        """
        given = {key: value for key, value in (params or {}).items() if value is not None}
        tries = TRIES if body is None or isinstance(body, msgspec.Struct | bytes | list) else 1
        for left in reversed(range(tries)):
            try:
                return self._send(method, path, body, given, headers, patience)
            except Busy as error:
                if not left or not 0 < error.after <= LONGEST_WAIT_SECONDS:
                    raise
                # Those who were sent away together do not come back together.
                self._sleep(error.after * random.uniform(1.0, 1.5))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        given: Mapping[str, str | int],
        headers: Mapping[str, str] | None,
        patience: float,
    ) -> httpx2.Response:
        try:
            response = self._http.request(
                method,
                path,
                timeout=httpx2.Timeout(patience, connect=CONNECT_SECONDS),
                content=_content(body),
                params=given,
                headers=_headers(body, headers),
            )
        except httpx2.HTTPError as error:
            raise _unreachable(self.url, error, changing=method not in {"GET", "HEAD"}) from None
        self._refuse(response.status_code, response.headers, response.content)
        return response

    @contextmanager
    def stream(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
        """One connection to a stream of events, which ends with Unreachable when it is cut."""
        timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        accept = {"Accept": "text/event-stream", "Cache-Control": "no-store", **(headers or {})}
        try:
            with self._http.stream(
                "GET", path, params=params, headers=accept, timeout=timeout
            ) as response:
                if not response.is_success:
                    self._refuse(response.status_code, response.headers, response.read())
                yield iter(httpx2.EventSource(response))
        except httpx2.SSEError as error:
            raise HeadwayError(f"{self.url}{path} is not a stream of events: {error}") from None
        except httpx2.HTTPError as error:
            raise _unreachable(self.url, error, changing=False) from None

    def _refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if 300 <= status < 400:
            raise InvalidInput(
                f"{self.url} sends us on to {headers.get('location', 'elsewhere')}; "
                "give that address as the server, the token is not sent there by itself"
            )
        if not 200 <= status < 300:
            error = error_for(status, body, self.url)
            if isinstance(error, Busy):
                error.after = _seconds(headers.get("retry-after", ""))
            raise error


def _seconds(header: str) -> float:
    """What Retry-After says in seconds, as Headway writes it; 0 for anything else."""
    return float(header) if header.isascii() and header.isdigit() and len(header) < 9 else 0.0


def base_url(url: str) -> str:
    """The server's address without a trailing slash. Raises InvalidInput when it is none."""
    try:
        parsed = urlsplit(url)
        usable = parsed.scheme in {"http", "https"} and parsed.hostname and parsed.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"{url!a} is not an address; write it like http://host:port")
    if "@" in parsed.netloc or parsed.query or parsed.fragment:
        raise InvalidInput(
            "the server's address has a user, a query or a fragment in it; "
            "write it like http://host:port and put the token into a file"
        )
    return url.rstrip("/")


def segment(name: str) -> str:
    """``name`` as one part of a path; one that would climb out of it is refused."""
    if name.strip(".") == "":
        raise InvalidInput(f"{name!r} is not a name")
    return quote(name, safe="")


def _content(body: msgspec.Struct | bytes | Iterable[bytes] | list[Any] | None) -> Any:
    if isinstance(body, msgspec.Struct | list):
        return msgspec.json.encode(body)
    return body


def _headers(body: Any, headers: Mapping[str, str] | None) -> dict[str, str]:
    if isinstance(body, msgspec.Struct | list):
        return {"Content-Type": "application/json", **(headers or {})}
    return dict(headers or {})


def _unreachable(url: str, error: httpx2.HTTPError, *, changing: bool) -> Unreachable:
    reason = str(error).partition("] ")[2] or str(error) or "no answer in time"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol):
        return Unreachable(
            f"{url} cannot be reached ({reason}); is the control plane running there, and is "
            "--server, HEADWAY_SERVER or client.toml right?"
        )
    if changing:
        return Unreachable(
            f"{url} did not answer to the end ({reason}); what was asked for may have been done: "
            "look before asking again"
        )
    return Unreachable(f"{url} did not answer to the end ({reason}); try again")
