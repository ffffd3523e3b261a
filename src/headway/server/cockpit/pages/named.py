"""A build as people know it."""

from collections.abc import Mapping

from msgspec import Struct

from headway.model.build import Build
from headway.model.names import BuildId


class Named(Struct, frozen=True):
    """A build; ``role`` gives its colour: ``live``, ``new``, ``old`` or ``other``."""

    id: str
    role: str = "other"
    commit: str = ""
    subject: str = ""
    by: str = ""


def named(builds: Mapping[BuildId, Build], build: BuildId, role: str = "other") -> Named:
    """A build by its id; one that is not known any more has only that."""
    known = builds.get(build)
    if known is None:
        return Named(build, role)
    return Named(build, role, known.commit, known.subject, known.by)
