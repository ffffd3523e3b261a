"""Builds, and the artifacts that they are made of."""

from collections.abc import Iterable

from headway.builds.collect import Collected
from headway.builds.repack import Repacked
from headway.client.wire import Wire, segment
from headway.errors import NotFound
from headway.model.build import Build
from headway.model.views import CollectRequest, RepackRequest

UPKEEP_SECONDS = 3600.0
"""How long merging packs, all of which are read and written, may take."""


class Builds(Wire):
    """What there is to ask of builds; artifacts go by their paths in the store."""

    def register_build(self, app: str, attestation: bytes) -> Build:
        """Hand in a published build's attestation. [POST /v1/apps/{app}/builds, deployer]"""
        return self.call("POST", f"/v1/apps/{segment(app)}/builds", Build, attestation)

    def builds(self, app: str, limit: int | None = 50) -> list[Build]:
        """An app's builds, newest first. [GET /v1/apps/{app}/builds, viewer]"""
        path = f"/v1/apps/{segment(app)}/builds"
        return list(self.each(path, Build, most=limit))

    def build(self, app: str, prefix: str) -> Build:
        """A build by the first digits of its id. [GET /v1/apps/{app}/builds/{prefix}, viewer]"""
        return self.call("GET", f"/v1/apps/{segment(app)}/builds/{segment(prefix)}", Build)

    def repack(self, app: str, request: RepackRequest) -> Repacked:
        """Merge the packs of an app's builds. [POST /v1/apps/{app}/builds/repack, admin]"""
        path = f"/v1/apps/{segment(app)}/builds/repack"
        return self.call("POST", path, Repacked, request, patience=UPKEEP_SECONDS)

    def collect(self, app: str, request: CollectRequest) -> Collected:
        """Remove builds that nothing needs. [POST /v1/apps/{app}/builds/gc, admin]"""
        path = f"/v1/apps/{segment(app)}/builds/gc"
        return self.call("POST", path, Collected, request, patience=UPKEEP_SECONDS)

    def read_artifact(self, path: str, first: int = 0, last: int | None = None) -> bytes:
        """An artifact's bytes, ``first`` to ``last`` inclusive. [GET /v1/store/{path}, any role]"""
        end = "" if last is None else last
        headers = {} if (first, last) == (0, None) else {"Range": f"bytes={first}-{end}"}
        return self.send("GET", _artifact(path), headers=headers).content

    def artifact_size(self, path: str) -> int | None:
        """An artifact's length in bytes, or None. [HEAD /v1/store/{path}, any role]"""
        try:
            return int(self.send("HEAD", _artifact(path)).headers["content-length"])
        except NotFound:
            return None

    def write_artifact(self, path: str, content: bytes | Iterable[bytes]) -> None:
        """Store an artifact; none is ever replaced. [PUT /v1/store/{path}, deployer]"""
        self.send("PUT", _artifact(path), body=content)


def _artifact(path: str) -> str:
    return "/v1/store/" + "/".join(segment(part) for part in path.split("/"))
