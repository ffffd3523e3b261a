"""Requests to a forge's API: pages, patience, limits, and its errors in one sentence each."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec

from headway import __version__
from headway.errors import Busy, Denied, HeadwayError, InvalidInput, NotFound, Unreachable

T = TypeVar("T")

MAX_PAGES = 50
MAX_ANSWER_BYTES = 16 * 1024 * 1024
TRIES = 3
AT_ONCE = 6
"""So many questions are asked at a time; forges count those, too."""
PAUSE_SECONDS = 0.5
ANSWER_SECONDS = 20.0


class Wire:
    """A forge's API at ``url``. ``secrets`` are headers that only ever go there."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput(f"{url!a} is not a forge's address; write it like https://HOST/api")
        self._origin = (parts.scheme, parts.netloc)
        self.host = parts.hostname
        self._sleep = sleep
        self._clock = clock
        self._http = httpx2.Client(
            base_url=url.rstrip("/") + "/",
            headers={"User-Agent": f"headway/{__version__}", **headers},
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=5.0),
            follow_redirects=False,
            trust_env=False,
            verify=parts.scheme == "https",
        )

    def get(self, path: str, into: type[T], **params: str | int) -> T:
        """One answer. Raises Unreachable, Busy, Denied or NotFound."""
        return self._decode(self._asked("GET", path, params), into, path)

    def pages(self, path: str, into: type[list[T]], **params: str | int) -> Iterator[T]:
        """Everything in a list that comes page by page, as its Link headers say."""
        answer = self._asked("GET", path, {"per_page": 100, **params})
        for _ in range(MAX_PAGES):
            yield from self._decode(answer, into, path)
            following = answer.links.get("next", {}).get("url")
            if not following:
                return
            parts = urlsplit(following)
            if (parts.scheme, parts.netloc) != self._origin:
                raise HeadwayError(f"{self.host} sends us elsewhere for the next page of {path}")
            answer = self._asked("GET", following, {})
        raise HeadwayError(f"{self.host} answers {path} with more than {MAX_PAGES} pages")

    def each(self, names: Sequence[str], ask: Callable[[str], T | None]) -> dict[str, T]:
        """What ``ask`` finds for each name, several at a time; None is left out."""
        with ThreadPoolExecutor(AT_ONCE) as several:
            answers = several.map(ask, names)
            return {name: found for name, found in zip(names, answers, strict=True) if found}

    def post(self, path: str, body: Mapping[str, Any], into: type[T]) -> T:
        """Ask for something new. It is not tried twice: look first whether it is there."""
        return self._decode(self._asked("POST", path, {}, body), into, path)

    def close(self) -> None:
        """End every connection."""
        self._http.close()

    def _asked(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int],
        body: Mapping[str, Any] | None = None,
    ) -> httpx2.Response:
        trouble = ""
        for attempt in range(TRIES if method == "GET" else 1):
            if attempt:
                self._sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                answer = self._http.request(method, path, params=dict(params) or None, json=body)
            except httpx2.HTTPError as error:
                trouble = str(error) or type(error).__name__
                continue
            if answer.status_code < 500:
                self._refuse(answer, path)
                return answer
            trouble = f"it answered {answer.status_code}"
        raise Unreachable(f"the forge {self.host} cannot be asked: {trouble}")

    def _refuse(self, answer: httpx2.Response, path: str) -> None:
        status = answer.status_code
        if status < 300:
            return
        what = urlsplit(path).path.split("?")[0]
        if status == 429 or (status == 403 and self._is_exhausted(answer)):
            raise Busy(
                f"the forge {self.host} asks for patience: its limit for this token is reached"
                f"{self._until(answer)}"
            )
        if status in (401, 403):
            raise Denied(f"the forge {self.host} does not let us see {what}; is the token right?")
        if status == 404:
            raise NotFound(f"the forge {self.host} knows no {what}; may the token see the project?")
        if status < 400:
            raise HeadwayError(f"the forge {self.host} has moved {what}; name the new project")
        told = _message(answer)
        raise InvalidInput(f"the forge {self.host} refuses {what} ({status}){told}")

    def _is_exhausted(self, answer: httpx2.Response) -> bool:
        headers = answer.headers
        return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers

    def _until(self, answer: httpx2.Response) -> str:
        headers = answer.headers
        after = headers.get("retry-after", "")
        reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset") or ""
        if after.isdigit():
            seconds = int(after)
        elif reset.isdigit():
            seconds = max(0, int(reset) - int(self._clock()))
        else:
            return ""
        return f"; try again in {seconds} s"

    def _decode(self, answer: httpx2.Response, into: type[T], path: str) -> T:
        if len(answer.content) > MAX_ANSWER_BYTES:
            raise HeadwayError(f"{self.host} answers {path} with too much")
        try:
            return msgspec.json.decode(answer.content, type=into)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise HeadwayError(
                f"the forge {self.host} answered {urlsplit(path).path} with something else than "
                f"expected ({error})"
            ) from None


class _Told(msgspec.Struct):
    message: Any = ""


def _message(answer: httpx2.Response) -> str:
    try:
        text = str(msgspec.json.decode(answer.content, type=_Told).message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return f": {text[:200]}" if text else ""
