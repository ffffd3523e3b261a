"""Published builds."""

import asyncio
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import Parameter
from sqlalchemy import Connection

from headway.builds import attestation, layout
from headway.builds.frames import decompress
from headway.errors import InvalidInput, NotFound, Refused, Untrusted
from headway.model.access import Identity
from headway.model.build import Build
from headway.server.auth.rules import Rule
from headway.server.database import builds, journal
from headway.server.plane import ControlPlane
from headway.signing import MAX_ENVELOPE_BYTES

Limit = Annotated[int, Parameter(ge=1, le=1000, description="At most this many")]
