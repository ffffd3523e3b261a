"""Asking the app over HTTP: is it healthy, and what has it counted."""

import http.client
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from headway.agent.config import Verify
from headway.errors import HookFailed, Unreachable

MAX_BODY = 4 * 1024 * 1024
_PATIENCE = 5.0
"""How long one request may take, in seconds."""


def get(url: str, timeout: float = _PATIENCE) -> tuple[int, bytes]:
    """Status and body of one GET, on a connection of its own. Raises Unreachable."""
    return ask("GET", url, timeout)


def ask(method: str, url: str, timeout: float = _PATIENCE) -> tuple[int, bytes]:
    """Status and body of one request without a body of its own. Raises Unreachable."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, target, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY)
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unreachable(f"{url} does not answer: {error or type(error).__name__}") from None


def verify(
    how: Verify, values: Mapping[str, str], proceed: Callable[[float], None] = time.sleep
) -> None:
    """Return once the app has been healthy for as long as it must.

    ``values`` are put in place of the ``{name}`` in ``contains``; ``proceed`` waits the given
    seconds. Raises HookFailed with the last thing that was wrong.
    """
    expected = how.contains
    for name, value in values.items():
        expected = expected.replace(f"{{{name}}}", value)
    deadline = time.monotonic() + how.timeout
    healthy_since: float | None = None
    wrong = ""
    while True:
        left = deadline - time.monotonic()
        wrong = _wrong(how, expected, max(0.1, min(_PATIENCE, left)))
        now = time.monotonic()
        if wrong:
            healthy_since = None
        elif healthy_since is None:
            # Not since it was asked: an answer that is slow in coming is no time in health.
            healthy_since = now
        if healthy_since is not None and now - healthy_since >= how.minimum_healthy:
            return
        if now + how.interval > deadline:
            raise HookFailed(
                f"the app was not healthy within {how.timeout:g} s: "
                + (wrong or f"not for {how.minimum_healthy:g} s without a break")
            )
        proceed(how.interval)


def _wrong(how: Verify, expected: str, timeout: float) -> str:
    """What is wrong with the app's answer; an empty string when nothing is."""
    try:
        status, body = get(how.url, timeout)
    except Unreachable as error:
        return error.sentence
    if status != how.status:
        return f"{how.url} answers {status}, expected {how.status}"
    text = body.decode("utf-8", "replace")
    if expected not in text:
        return f"{how.url} answers {text[:200]!r}, which does not hold {expected!r}"
    return ""
