"""A build: an immutable directory tree, described by the listings of its directories."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from headway.model.names import BuildId, Digest, Name, Text


class Kind(StrEnum):
    """What a manifest entry is. Anything else is refused at publish and again at the node.

    A piece is no entry of a directory but a part of its listing, where that is cut into several.
    """

    FILE = "f"
    EXECUTABLE = "x"
    DIRECTORY = "d"
    LINK = "l"
    PIECE = "p"


class Entry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One name in a directory of a build.

    For files ``size`` is in bytes and ``digest`` the sha256 of the content; for a directory
    ``digest`` is that of its listing; a link has its target in ``target``. For a piece ``name`` is
    the first that it lists, and ``digest`` that of its listing.
    """

    name: str
    kind: Kind
    size: Annotated[int, Meta(ge=0)] = 0
    digest: str = ""
    target: str = ""


Listing = tuple[Entry, ...]
"""What one directory holds, or, if that is much, the pieces in which it is listed; sorted by name.
The listing of a build's root names all the others, directly or not, by their digests; so its own
digest is the build's id."""


class Build(Struct, frozen=True, forbid_unknown_fields=True):
    """What a build's attestation says about it, signed by a build key."""

    id: BuildId
    app: Name
    commit: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z._/-]{1,128}\Z")]
    created_at: float
    by: Text
    files: int
    bytes: int
    new_bytes: int
    """Size, in bytes, of what no earlier build of the app held."""
    subject: Text = ""


class Location(Struct, frozen=True, array_like=True, gc=False):
    """Where a blob lies: in which pack, at which byte, how long compressed and raw."""

    pack: Digest
    offset: int
    length: int
    size: int


class Failure(Struct, frozen=True):
    """A build that failed on a node; it is not tried again before a later attempt is asked for."""

    build: BuildId
    attempt: int
