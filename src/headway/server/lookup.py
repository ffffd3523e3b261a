"""Finding what people name by a few digits."""

import re

from sqlalchemy import Connection

from headway.errors import InvalidInput, NotFound, Refused
from headway.model.build import Build
from headway.server.database import builds, releases


def find_build(connection: Connection, app: str, prefix: str) -> Build:
    """The app's one build whose id begins with ``prefix``, or that of the release of that name.

    Raises InvalidInput, NotFound, or Refused for a release that has no build yet.
    """
    release = releases.get(connection, prefix)
    if release is not None and release.app == app:
        if release.build is None:
            raise Refused(
                f"{release.id} has no build of {release.head[:12]} yet; "
                f"`headway release build {release.id}` makes it"
            )
        prefix = release.build
    if not re.fullmatch("[0-9a-f]{6,64}", prefix):
        raise InvalidInput(
            "name a build by 6 to 64 hexadecimal digits of its id, or by its release"
        )
    found = builds.find(connection, app, prefix)
    if not found:
        raise NotFound(f"{app[:80]} has no build {prefix[:12]}; see `headway build list`")
    if len(found) > 1:
        raise InvalidInput(f"several builds begin with {prefix}; give more digits")
    return found[0]
