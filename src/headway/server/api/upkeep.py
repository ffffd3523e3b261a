"""Keeping the artifact store small, and quick to read for fresh nodes."""

from litestar import post
from litestar.params import JSONBody

from headway.builds.collect import Collected
from headway.builds.repack import Repacked
from headway.errors import Refused
from headway.model.views import CollectRequest, RepackRequest
from headway.server import upkeep
from headway.server.api.given import Caller, InPath, Plane
from headway.server.auth.rules import Rule


@post(
    "/v1/apps/{app:str}/builds/repack",
    opt={"role": Rule.ADMIN, "errors": (Refused,)},
    status_code=200,
    summary="Merge packs",
)
async def repack_builds(
    app: InPath, data: JSONBody[RepackRequest], plane: Plane, caller: Caller
) -> Repacked:
    """Bound the number of packs that a fresh node reads. Who reads meanwhile is not disturbed."""
    return await upkeep.repack_app(plane, app, data, caller.name)


@post(
    "/v1/apps/{app:str}/builds/gc",
    opt={"role": Rule.ADMIN, "errors": (Refused,)},
    status_code=200,
    summary="Remove what nothing needs",
)
async def collect_builds(
    app: InPath, data: JSONBody[CollectRequest], plane: Plane, caller: Caller
) -> Collected:
    """What a node, a signal, a pin or the revert window needs is never removed."""
    return await upkeep.collect_app(plane, app, data, caller.name)
