"""The files that pages load, each under an address that changes with its content."""

from hashlib import sha256
from importlib.resources import files

from msgspec import Struct

_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FILES = {
    "cockpit.css": "assets",
    "cockpit.js": "assets",
    "pages.css": "assets",
    "door.css": "assets",
    "map.js": "assets",
    "graphs.js": "assets",
    "live.svg": "assets",
    "rolling.svg": "assets",
    "paused.svg": "assets",
    "reverting.svg": "assets",
    "idle.svg": "assets",
    "htmx.js": "vendor",
    "sse.js": "vendor",
    "idiomorph.js": "vendor",
    "uplot.js": "vendor",
    "uplot.css": "vendor",
}


class Asset(Struct, frozen=True):
    """A file's content and how it is to be served."""

    content: bytes
    kind: str
    digest: str


def _load(name: str, folder: str) -> Asset:
    content = files("headway.server.cockpit").joinpath(folder, name).read_bytes()
    return Asset(content, _KINDS[name.rpartition(".")[2]], sha256(content).hexdigest()[:16])


ASSETS = {name: _load(name, folder) for name, folder in _FILES.items()}


def address(name: str) -> str:
    """Where a page finds an asset; what was once there never changes."""
    return f"/assets/{ASSETS[name].digest}/{name}"
