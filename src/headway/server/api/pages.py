"""Long lists, a page at a time.

The body of a page is the plain list. Where there is more, the header ``Link`` has the address of
the next page; its ``cursor`` names the last thing that this page has shown, so that what comes or
goes meanwhile neither repeats anything nor skips it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter

from headway.errors import InvalidInput

T = TypeVar("T")
K = TypeVar("K")

MOST = 1000
"""The longest page."""

Limit = Annotated[int, QueryParameter(ge=1, le=MOST, description="At most this many on a page")]
Cursor = Annotated[
    str | None,
    QueryParameter(
        max_length=600, description="Where to go on, from the `Link` header of the page before"
    ),
]


def place(cursor: str | None, kind: type[K]) -> K | None:
    """The key that a cursor names; None for the beginning. Raises InvalidInput."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor.encode()), type=kind)
    except (NotBase64, ValueError):
        raise InvalidInput(
            "this list gives no such cursor; begin without one, then follow the Link header"
        ) from None


def page(
    request: Request[Any, Any, Any], found: Sequence[tuple[Any, T]], limit: int
) -> Response[list[T]]:
    """The first ``limit`` of what was found, each with its key, and where it goes on after them."""
    shown = [one for _, one in found[:limit]]
    if len(found) <= limit:
        return Response(shown)
    cursor = urlsafe_b64encode(msgspec.json.encode(found[limit - 1][0])).decode()
    return Response(shown, headers={"Link": link(request, "next", cursor=cursor)})


def link(request: Request[Any, Any, Any], rel: str, **to: str | int) -> str:
    """A Link header (RFC 8288) to this list, at another place of it."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in to]
    return f'<{request.url.path}?{urlencode([*kept, *to.items()])}>; rel="{rel}"'
