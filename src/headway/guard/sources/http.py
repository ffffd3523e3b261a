"""Asking a metrics server over HTTP: a deadline for the whole answer, a bound on its size, and
errors in the port's words."""

import asyncio
from collections.abc import Mapping, Sequence

import httpx2
from msgspec import Struct

from headway.errors import Denied, HeadwayError, InvalidInput, Unreachable
from headway.guard.sources.port import MOST_BYTES


class Credentials(Struct, frozen=True):
    """What proves who asks; from the server's configuration, never from an app's."""

    bearer: str | None = None
    user: str | None = None
    password: str = ""

    def headers(self) -> dict[str, str]:
        """The header for a bearer token, if there is one."""
        return {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}


class Asking:
    """One server's client. ``timeout`` in seconds is for a whole answer.

    Redirects are not followed: they would carry the credentials to somebody else.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        headers: Mapping[str, str],
        credentials: Credentials,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        auth = None
        if credentials.user is not None:
            auth = httpx2.BasicAuth(credentials.user, credentials.password)
        self._client = httpx2.AsyncClient(
            headers={**headers, **credentials.headers()},
            auth=auth,
            timeout=timeout,
            trust_env=False,
            follow_redirects=False,
        )

    async def post(self, path: str, form: Mapping[str, str | Sequence[str]]) -> tuple[int, bytes]:
        """(status, body) of a form sent to ``path``. Raises Unreachable or InvalidInput."""
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", self.url + path, data=dict(form)) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise InvalidInput(
                            f"{self.url} answers with more than {MOST_BYTES >> 20} MiB; sum the "
                            "query up by node"
                        )
        except TimeoutError:
            raise Unreachable(f"{self.url} did not answer within {self._timeout:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            raise Unreachable(f"{self.url} cannot be asked: {_why(error)}") from None
        return response.status_code, bytes(body)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def problem(url: str, status: int, said: str) -> HeadwayError:
    """What an answer that is no success means."""
    said = " ".join(said.split())[:200]
    if status in (401, 403):
        return Denied(f"{url} refuses the credentials ({status}); see [[credentials]]")
    if status in (400, 404, 405, 413, 422):
        return InvalidInput(f"{url} does not accept the query ({status}): {said}")
    if 300 <= status < 400:
        return InvalidInput(f"{url} points elsewhere ({status}); configure that address")
    return Unreachable(f"{url} answers {status}: {said}")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
