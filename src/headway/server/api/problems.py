"""Every error as a Problem: a code that programs compare, and one sentence for people."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from headway.errors import (
    Busy,
    HeadwayError,
    InvalidInput,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
)
from headway.model.views import Problem

log = structlog.get_logger()

_AnyRequest = Request[Any, Any, Any]


def on_refusal(request: _AnyRequest, error: HeadwayError) -> Response[Problem]:
    """What Headway refuses on purpose."""
    if error.status >= 500:
        log.warning("request failed", path=request.url.path, code=error.code, why=error.sentence)
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, Busy) and error.after > 0:
        headers["Retry-After"] = str(math.ceil(error.after))
    return _answer(Problem(error.code, error.sentence, error.status), headers)


def on_framework_error(request: _AnyRequest, error: HTTPException) -> Response[Problem]:
    """What the framework refuses before a handler sees it."""
    status = error.status_code
    if isinstance(error, ValidationException):
        return _answer(Problem(InvalidInput.code, _explain(error), 400))
    match status:
        case 404:
            sentence = f"there is nothing at {request.url.path[:200]}; see /schema/openapi.json"
            return _answer(Problem(NotFound.code, sentence, 404))
        case 405:
            sentence = f"{request.method} is not possible at {request.url.path[:200]}"
            return _answer(Problem(Refused.code, sentence, 405), error.headers)
        case 413:
            return _answer(Problem(TooLarge.code, "the body of the request is too large", 413))
        case _ if status < 500:
            return _answer(Problem(InvalidInput.code, f"{error.detail}"[:500], status))
        case _:
            return on_defect(request, error)


def on_defect(request: _AnyRequest, error: Exception) -> Response[Problem]:
    """What nobody has foreseen: the log has the traceback, the caller does not."""
    log.error("a defect", method=request.method, path=request.url.path, exc_info=error)
    sentence = "something went wrong inside the control plane; its log says what"
    return _answer(Problem(HeadwayError.code, sentence, 500))


def on_nesting(_: _AnyRequest, __: RecursionError) -> Response[Problem]:
    """A body whose brackets nest deeper than anything of ours."""
    return _answer(Problem(InvalidInput.code, "the body of the request nests too deeply", 400))


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response[Problem]:
    return Response(
        problem, status_code=problem.status, headers=headers, media_type="application/problem+json"
    )


def _explain(error: ValidationException) -> str:
    """msgspec's complaints in one sentence, each with the place where it applies."""
    found = error.extra if isinstance(error.extra, list) else []
    complaints = [
        f"{item.get('key', 'the body')}: {item.get('message', '')}"
        for item in found
        if isinstance(item, Mapping)
    ]
    return "; ".join(complaints)[:1000] or f"{error.detail}"[:1000]


HANDLERS: dict[int | type[Exception], Callable[[_AnyRequest, Any], Response[Any]]] = {
    HeadwayError: on_refusal,
    HTTPException: on_framework_error,
    RecursionError: on_nesting,
    Exception: on_defect,
}
