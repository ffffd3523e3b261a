from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from litestar import Litestar

from headway.model.access import Role
from headway.model.views import DeployRequest
from headway.server.app import create_app
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.cockpit.routes import cockpit
from headway.server.cockpit.site import Site
from headway.server.database import tokens
from headway.server.database.tokens import Token
from headway.server.plane import ControlPlane
from tests.unit.cockpit.reading import Reader, read
from tests.unit.server.conftest import clock, plane, signals  # noqa: F401 - fixtures
from tests.unit.server.herd import Herd, build, set_up

TIERS = {"s1": "staging", "p1": "production", "p2": "production", "p3": "production"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Visitor:
    """Somebody with a browser: cookies, and the forms of the page looked at last."""

    def __init__(self, client: AsyncClient, plane: ControlPlane, app: Litestar) -> None:  # noqa: F811
        self.client = client
        self.app = app
        self.plane = plane
        self.page = Reader("")

    @property
    def site(self) -> Site:
        """The cockpit, as its routes have it."""
        return Site(self.plane)

    async def token(self, role: Role, name: str = "alice") -> str:
        secret = new_secret()
        token = Token(name, role, fingerprint(secret), 1.0)
        await self.plane.database.write(lambda c: tokens.add(c, token))
        self.plane.callers.admit(token)
        return secret

    async def get(self, path: str) -> Response:
        return self._arrived(await self.client.get(path, follow_redirects=False))

    async def post(self, path: str, **fields: str) -> Response:
        sent = await self.client.post(path, data=fields, follow_redirects=False)
        return self._arrived(sent)

    async def submit(self, path: str, **fields: str) -> Response:
        """Send a form of the present page, with its seal."""
        return await self.post(path, csrf=self.page.field("csrf"), **fields)

    async def press(self, action: str, **fields: str) -> Response:
        """Press a button of the present page."""
        button = self.page.buttons()[action]
        return await self.submit(button["formaction"], seen=button["value"], **fields)

    async def sign_in(self, role: Role, name: str = "alice", then: str = "/") -> Response:
        secret = await self.token(role, name)
        await self.get("/sign-in")
        return await self.submit("/sign-in", token=secret, next=then)

    def _arrived(self, response: Response) -> Response:
        if response.headers.get("content-type", "").startswith("text/html"):
            self.page = read(response.text)
        return response


@asynccontextmanager
async def visiting(plane: ControlPlane) -> AsyncIterator[Visitor]:  # noqa: F811
    """Somebody who comes to a control plane that runs meanwhile."""
    app = create_app(plane, (cockpit(plane),))
    # The framework's own client would run the control plane in a second event loop.
    transport = ASGITransport(app, raise_app_exceptions=False)
    await plane.start()
    async with AsyncClient(transport=transport, base_url="http://headway.test") as client:
        yield Visitor(client, plane, app)
    await plane.close()


@pytest.fixture
async def visitor(plane: ControlPlane) -> AsyncIterator[Visitor]:  # noqa: F811
    async with visiting(plane) as visitor:
        yield visitor


@pytest.fixture
async def herd(visitor: Visitor) -> Herd:
    """Four nodes of the app web, which nothing was deployed to."""
    await set_up(visitor.plane)
    herd = Herd(visitor.plane, TIERS)
    await herd.enrol()
    await herd.beat()
    return herd


async def deploy(herd: Herd, number: str) -> str:
    """Start a rollout and let it come to its first closed gate."""
    request = DeployRequest(number, reason="the first page")
    rollout = await herd.plane.engine.deploy("web", build(number), request, "alice")
    await herd.settle()
    return rollout
