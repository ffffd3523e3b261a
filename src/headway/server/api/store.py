"""The artifact store: what is published once and read by every node."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get, head, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from litestar.response import Stream

from headway.errors import NotFound, Refused, StaleView, TooLarge
from headway.server.api.given import InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.plane import ControlPlane

MAX_ARTIFACT_BYTES = 8 * 1024**3
"""The largest artifact: the pack of a first build, which holds all of it."""

_BINARY = "application/octet-stream"
_AnyRequest = Request[Any, Any, Any]

Range = Annotated[
    str, HeaderParameter(name="Range", description="Which bytes, as `bytes=FIRST-LAST`")
]
IfRange = Annotated[
    str | None,
    HeaderParameter(name="If-Range", description="The `ETag` that the range is of; else all comes"),
]
IfNoneMatch = Annotated[
    str | None, HeaderParameter(name="If-None-Match", description="The `ETag` of a copy")
]


def _bytes(description: str) -> ResponseSpec:
    return ResponseSpec(bytes, generate_examples=False, description=description, media_type=_BINARY)


@get(
    "/v1/store/{path:path}",
    opt={"role": Rule.ANY},
    media_type=_BINARY,
    responses={
        206: _bytes("The range of it that was asked for"),
        304: ResponseSpec(None, description="The copy that was named is still right"),
        416: _bytes("There are no such bytes: `Content-Range` says how many there are"),
    },
    summary="An artifact",
)
async def read_artifact(
    path: InPath,
    plane: Plane,
    asked_range: Range = "",
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
) -> Response[Any]:
    """Its bytes, or a range of them. But for an index, a copy never goes stale."""
    path, size = await _find(path, plane)
    headers = _headers(path)
    tag = headers.get("ETag")
    if tag and if_none_match == tag:
        return Response(b"", status_code=304, headers=headers, media_type=_BINARY)
    same = if_range is None or if_range == tag
    wanted = parse_range(asked_range, size) if same else None
    if wanted is None:
        whole = _pieces(plane.storage.read(path))
        return Stream(whole, headers=headers | {"Content-Length": str(size)}, media_type=_BINARY)
    if not wanted:
        outside = headers | {"Content-Range": f"bytes */{size}"}
        return Response(b"", status_code=416, headers=outside, media_type=_BINARY)
    part = headers | {
        "Content-Length": str(len(wanted)),
        "Content-Range": f"bytes {wanted.start}-{wanted.stop - 1}/{size}",
    }
    pieces = _pieces(plane.storage.read(path, wanted.start, len(wanted)))
    return Stream(pieces, status_code=206, headers=part, media_type=_BINARY)


@head("/v1/store/{path:path}", opt={"role": Rule.ANY}, summary="Whether there is an artifact")
async def probe_artifact(path: InPath, plane: Plane) -> Response[None]:
    """Its size in bytes, as Content-Length."""
    path, size = await _find(path, plane)
    headers = _headers(path) | {"Content-Length": str(size)}
    return Response(None, headers=headers, media_type=MediaType.TEXT)


@put(
    "/v1/store/{path:path}",
    opt={
        "role": Rule.DEPLOYER,
        "errors": (StaleView,),
        "takes": {"application/octet-stream": bytes},
    },
    status_code=204,
    request_max_body_size=None,
    summary="Store an artifact",
)
async def write_artifact(path: InPath, request: _AnyRequest, plane: Plane) -> None:
    """Artifacts are created whole and never replaced; the same bytes again change nothing."""
    announced = request.headers.get("content-length", "")
    if (announced.isdigit() and len(announced) > 15) or int(announced or 0) > MAX_ARTIFACT_BYTES:
        raise _too_large()
    chunks = _received(request, asyncio.get_running_loop())
    try:
        await asyncio.to_thread(plane.storage.write, path.removeprefix("/"), chunks)
    except Refused as error:
        raise StaleView(error.sentence) from None


def parse_range(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for; None for all of them, empty for none there are.

    Several ranges and what is not understood mean all, as RFC 9110 (14.2) allows.
    """
    asked = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip(), re.ASCII)
    if asked is None or asked.group(1) + asked.group(2) == "":
        return None
    first, last = asked.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1 if last else size))


async def _find(path: str, plane: ControlPlane) -> tuple[str, int]:
    path = path.removeprefix("/")
    size = await asyncio.to_thread(plane.storage.size, path)
    if size is None:
        raise NotFound(f"there is no {path} in the store; was it published?")
    return path, size


def _headers(path: str) -> dict[str, str]:
    """The path alone names the content, for nothing in the store is ever replaced, but an index."""
    if path.endswith("/index.zst"):
        return {"Accept-Ranges": "bytes", "Cache-Control": "no-store"}
    return {
        "ETag": f'"{sha256(path.encode()).hexdigest()[:32]}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=31536000, immutable",
    }


async def _pieces(blocking: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(next, blocking, b""):
        yield piece


def _received(request: _AnyRequest, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    """The body's chunks, for a thread that writes them, bounded."""
    source = aiter(request.stream())

    async def following() -> bytes | None:
        return await anext(source, None)

    size = 0
    while (chunk := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
        size += len(chunk)
        if size > MAX_ARTIFACT_BYTES:
            raise _too_large()
        yield chunk


def _too_large() -> TooLarge:
    return TooLarge(f"an artifact has at most {MAX_ARTIFACT_BYTES} bytes")
