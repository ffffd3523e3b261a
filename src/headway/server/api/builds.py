"""Published builds."""

import asyncio

from litestar import Request, Response, get, post
from litestar.datastructures import State
from sqlalchemy import Connection

from headway.builds import attestation, index, layout, manifest
from headway.builds.frames import decompress_whole
from headway.builds.storage.port import read_whole
from headway.errors import NotFound, Refused, Untrusted
from headway.model.access import Identity
from headway.model.build import Build
from headway.server.api.given import AnyRequest, Caller, InPath, Plane
from headway.server.api.pages import Cursor, Limit, page, place
from headway.server.auth.rules import Rule
from headway.server.database import apps, builds, journal
from headway.server.lookup import find_build
from headway.server.plane import ControlPlane
from headway.server.release_book import note_build
from headway.signing import MAX_ENVELOPE_BYTES


@post(
    "/v1/apps/{app:str}/builds",
    opt={
        "role": Rule.DEPLOYER,
        "errors": (Refused, Untrusted),
        "takes": {"application/json": bytes},
    },
    status_code=201,
    request_max_body_size=MAX_ENVELOPE_BYTES,
    summary="Hand in a published build",
)
async def register_build(
    app: InPath, request: Request[Identity, None, State], plane: Plane, caller: Caller
) -> Build:
    """The body is the build's attestation as it was signed; all of it must be in the store.

    The same build again changes nothing.
    """
    await plane.engine.situation(app)
    build = attestation.open(await request.body(), plane.build_trust, app=app)

    def write(connection: Connection) -> bool:
        now = plane.clock()
        if not builds.add(connection, build, now):
            note_build(connection, build, caller.name, now)
            return False
        why = f"{caller.name} publishes {build.id[:12]} of {app}, commit {build.commit[:12]}"
        journal.append(connection, at=now, app=app, actor=caller.name, kind="build", why=why)
        note_build(connection, build, caller.name, now)
        return True

    async with plane.tidying:
        await asyncio.to_thread(_check_content, plane, build)
        is_new = await plane.database.write(write)
    if is_new:
        plane.news.journal_grew()
    return build


@get("/v1/apps/{app:str}/builds", opt={"role": Rule.VIEWER}, summary="An app's builds")
async def list_builds(
    app: InPath, plane: Plane, request: AnyRequest, limit: Limit = 50, cursor: Cursor = None
) -> Response[list[Build]]:
    """Newest first."""
    before = place(cursor, int)

    def read(connection: Connection) -> tuple[tuple[int, Build], ...]:
        if apps.get(connection, app) is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        return builds.numbered(connection, app, limit + 1, before)

    return page(request, await plane.database.read(read), limit)


@get(
    "/v1/apps/{app:str}/builds/{prefix:str}",
    opt={"role": Rule.VIEWER, "errors": (Refused,)},
    summary="A build by the first digits of its id",
)
async def show_build(app: InPath, prefix: InPath, plane: Plane) -> Build:
    """At least six digits, and enough of them that only one build begins so."""
    return await plane.database.read(lambda c: find_build(c, app, prefix))


def _check_content(plane: ControlPlane, build: Build) -> None:
    """Raise Refused or Untrusted unless the manifest and all that it names are in the store."""
    path = layout.manifest(build.app, build.id)
    if plane.storage.size(path) is None:
        raise Refused(f"the manifest of {build.id[:12]} is not in the store; publish it first")
    stored = read_whole(plane.storage, path, layout.MAX_MANIFEST_BYTES)
    content = decompress_whole(stored, layout.MAX_MANIFEST_BYTES)
    blobs = manifest.blobs(manifest.decode(content, build.id))
    places = index.read_if_any(plane.storage, build.app, build.id)
    if len(index.usable(plane.storage, build.app, places, blobs)) < len(blobs):
        raise Refused(f"not all content of {build.id[:12]} is in the store; publish it again")
