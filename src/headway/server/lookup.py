"""Finding what people name by a few digits."""

import re

from sqlalchemy import Connection

from headway.errors import InvalidInput, NotFound
from headway.model.build import Build
from headway.server.database import builds


def find_build(connection: Connection, app: str, prefix: str) -> Build:
    """The app's one build whose id begins with ``prefix``. Raises InvalidInput or NotFound."""
    if not re.fullmatch("[0-9a-f]{6,64}", prefix):
        raise InvalidInput("name a build by 6 to 64 hexadecimal digits of its id")
    found = builds.find(connection, app, prefix)
    if not found:
        raise NotFound(f"{app[:80]} has no build {prefix[:12]}; see `headway build list`")
    if len(found) > 1:
        raise InvalidInput(f"several builds begin with {prefix}; give more digits")
    return found[0]
