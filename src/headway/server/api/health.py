"""Whether it serves, and who the caller is."""

from litestar import get

import headway
from headway.model.access import Identity
from headway.model.views import Health
from headway.server.api.given import Caller, Plane
from headway.server.auth.rules import Rule


@get("/v1/health", opt={"role": Rule.PUBLIC}, summary="Whether it serves")
async def health(plane: Plane) -> Health:
    """Answer ``ok``, or what is wrong with the signal store."""
    return Health(await plane.signals.health() or "ok", headway.__version__)


@get("/v1/whoami", opt={"role": Rule.ANY}, summary="Whose token this is")
async def whoami(caller: Caller) -> Identity:
    """Answer with the caller's name and role."""
    return caller
