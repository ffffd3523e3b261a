"""What forges send of their own accord."""

from litestar import Request, post
from litestar.datastructures import State

from headway.forge import hooks
from headway.server.api.given import InPath, Plane
from headway.server.auth.rules import Rule
from headway.server.config import ForgeKind


@post(
    "/v1/hooks/{forge:str}",
    opt={"role": Rule.PUBLIC, "takes": {"application/json": bytes}},
    status_code=202,
    summary="A forge has news",
)
async def hear_forge(forge: InPath, request: Request[None, None, State], plane: Plane) -> None:
    """Signed with the forge's secret. It only makes Headway look, and each message counts once."""
    kind, secret = plane.workshop.webhook_secret(forge)
    verify = hooks.github if kind is ForgeKind.GITHUB else hooks.gitlab
    headers = {name.lower(): value for name, value in request.headers.items()}
    mark = verify(headers, await request.body(), secret, plane.clock())
    await plane.releases.hear(forge, mark)
