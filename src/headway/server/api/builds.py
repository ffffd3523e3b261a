"""Published builds."""

import asyncio
from hashlib import sha256

from litestar import Request, get, post
from litestar.datastructures import State
from sqlalchemy import Connection

from headway.builds import attestation, layout
from headway.builds.frames import decompress
from headway.errors import NotFound, Refused, Untrusted
from headway.model.access import Identity
from headway.model.build import Build
from headway.server.api.given import Caller, InPath, Limit, Plane
from headway.server.auth.rules import Rule
from headway.server.database import apps, builds, journal
from headway.server.lookup import find_build
from headway.server.plane import ControlPlane
from headway.signing import MAX_ENVELOPE_BYTES


@post(
    "/v1/apps/{app:str}/builds",
    opt={"role": Rule.DEPLOYER},
    status_code=201,
    request_max_body_size=MAX_ENVELOPE_BYTES,
    summary="Hand in a published build",
)
async def register_build(
    app: InPath, request: Request[Identity, None, State], plane: Plane, caller: Caller
) -> Build:
    """The body is the build's attestation as it was signed; the manifest must be in the store.

    The same build again changes nothing.
    """
    await plane.engine.situation(app)
    build = attestation.open(await request.body(), plane.build_trust, app=app)
    await asyncio.to_thread(_check_manifest, plane, build)

    def write(connection: Connection) -> bool:
        now = plane.clock()
        if not builds.add(connection, build, now):
            return False
        why = f"{caller.name} publishes {build.id[:12]} of {app}, commit {build.commit[:12]}"
        journal.append(connection, at=now, app=app, actor=caller.name, kind="build", why=why)
        return True

    if await plane.database.write(write):
        plane.news.journal_grew()
    return build


@get("/v1/apps/{app:str}/builds", opt={"role": Rule.VIEWER}, summary="An app's builds")
async def list_builds(app: InPath, plane: Plane, limit: Limit = 50) -> list[Build]:
    """Newest first."""

    def read(connection: Connection) -> tuple[Build, ...]:
        if apps.get(connection, app) is None:
            raise NotFound(f"there is no app {app[:80]}; see `headway app list`")
        return builds.newest(connection, app, limit)

    return list(await plane.database.read(read))


@get(
    "/v1/apps/{app:str}/builds/{prefix:str}",
    opt={"role": Rule.VIEWER},
    summary="A build by the first digits of its id",
)
async def show_build(app: InPath, prefix: InPath, plane: Plane) -> Build:
    """At least six digits, and enough of them that only one build begins so."""
    return await plane.database.read(lambda c: find_build(c, app, prefix))


def _check_manifest(plane: ControlPlane, build: Build) -> None:
    path = layout.manifest(build.app, build.id)
    if plane.storage.size(path) is None:
        raise Refused(f"the manifest of {build.id[:12]} is not in the store; publish it first")
    digest = sha256()
    for piece in decompress(plane.storage.read(path), layout.MAX_MANIFEST_BYTES):
        digest.update(piece)
    if digest.hexdigest() != build.id:
        raise Untrusted(f"the manifest in the store is not that of {build.id[:12]}")
