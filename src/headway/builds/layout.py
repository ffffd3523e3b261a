"""Where the parts of a build lie in the store.

<app>/builds/<build id>/attestation.json    who made it, from which commit; signed
<app>/builds/<build id>/manifest.zst        all listings; the root's digest is the id
<app>/builds/<build id>/index.zst           in which pack each blob of the build lies
<app>/builds/<build id>/from-<build id>     what differs from another build, see ``bundle``
<app>/packs/<sha256 of the pack>            blobs, each a zstd frame of its own
"""

from headway.model.names import BuildId, Digest

MAX_MANIFEST_BYTES = 256 * 1024 * 1024
"""Raw; a million entries with paths of 120 characters and their digests."""

MAX_INDEX_BYTES = 256 * 1024 * 1024


def builds(app: str) -> str:
    """The directory of an app's builds."""
    return f"{app}/builds"


def packs(app: str) -> str:
    """The directory of an app's packs."""
    return f"{app}/packs"


def attestation(app: str, build: BuildId) -> str:
    """The path of a build's signed attestation."""
    return f"{app}/builds/{build}/attestation.json"


def manifest(app: str, build: BuildId) -> str:
    """The path of a build's manifest."""
    return f"{app}/builds/{build}/manifest.zst"


def index(app: str, build: BuildId) -> str:
    """The path of a build's index."""
    return f"{app}/builds/{build}/index.zst"


def bundle(app: str, build: BuildId, base: BuildId) -> str:
    """The path of what turns the build ``base`` into ``build``."""
    return f"{app}/builds/{build}/from-{base}"


def pack(app: str, digest: Digest) -> str:
    """The path of a pack."""
    return f"{app}/packs/{digest}"
