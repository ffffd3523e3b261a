"""The cockpit's responses, each with the headers that keep a page to itself."""

import math
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie

from headway.errors import Busy, HeadwayError

PROTECTION = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def page(html: str, status: int = 200, cookies: tuple[Cookie, ...] = ()) -> Response[str]:
    """A page that nobody stores."""
    headers = {**PROTECTION, "Cache-Control": "no-store"}
    return Response(
        html, status_code=status, headers=headers, media_type="text/html", cookies=[*cookies]
    )


def patient(answer: Response[str], problem: HeadwayError | None) -> Response[str]:
    """``answer``, which says when to try again, where that is what is wrong."""
    if isinstance(problem, Busy):
        answer.headers["Retry-After"] = str(max(1, math.ceil(problem.after)))
    return answer


def elsewhere(path: str, cookies: tuple[Cookie, ...] = ()) -> Response[str]:
    """Send the reader to a page of this site, whatever the method was."""
    headers = {**PROTECTION, "Cache-Control": "no-store", "Location": path}
    return Response(
        "", status_code=303, headers=headers, media_type="text/html", cookies=[*cookies]
    )


def data(content: Any) -> Response[Any]:
    """JSON for a script of ours; bytes are JSON already."""
    headers = {**PROTECTION, "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="application/json")
