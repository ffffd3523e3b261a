from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from argon2.profiles import CHEAPEST
from litestar.testing import AsyncTestClient

from headway.model.access import Role
from headway.server.app import create_app
from headway.server.auth.callers import fingerprint, new_secret
from headway.server.auth.oidc import Provider
from headway.server.auth.passwords import Passwords
from headway.server.database import tokens
from headway.server.database.connection import Database
from headway.server.database.tokens import Token
from headway.server.plane import ControlPlane
from headway.signals.memory import MemorySignals
from headway.signing import Signer, Trust

RELEASE_KEY = Signer.generate()
BUILD_KEY = Signer.generate()
SMOKE_PROGRAMS = ("/bin/sh", "/nonexistent")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signals() -> MemorySignals:
    return MemorySignals()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'headway.db'}")
    yield opened
    await opened.close()


def make_plane(
    tmp_path: Path,
    signals: MemorySignals,
    clock: Clock,
    name: str = "headway.db",
    provider: Provider | None = None,
) -> ControlPlane:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir(exist_ok=True)
    plane = ControlPlane(
        database=Database(f"sqlite:///{tmp_path / name}"),
        signals=signals,
        artifacts=artifacts,
        release_key=RELEASE_KEY,
        build_trust=Trust.of(BUILD_KEY.public_pem),
        clock=clock,
        repositories=tmp_path / "repositories",
        smoke_programs=SMOKE_PROGRAMS,
        provider=provider,
    )
    plane.people._passwords = Passwords(CHEAPEST)
    return plane


@pytest.fixture
def plane(tmp_path: Path, signals: MemorySignals, clock: Clock) -> Iterator[ControlPlane]:
    yield make_plane(tmp_path, signals, clock)


@pytest.fixture
async def web(plane: ControlPlane) -> AsyncIterator["Web"]:
    """The application, and a token for each role; the node's is that of n1."""
    secrets = {role: new_secret() for role in Role}
    for role, secret in secrets.items():
        name = "n1" if role is Role.NODE else f"the-{role}"
        token = Token(name, role, fingerprint(secret), 1.0)
        await plane.database.write(lambda c, t=token: tokens.add(c, t))
    async with AsyncTestClient(create_app(plane), raise_server_exceptions=False) as client:
        yield Web(client, secrets, plane)


class Web:
    def __init__(self, client: AsyncTestClient, secrets: dict[Role, str], plane: ControlPlane):
        self.client = client
        self.secrets = secrets
        self.plane = plane

    def headers(self, role: Role | None) -> dict[str, str]:
        return {} if role is None else {"Authorization": f"Bearer {self.secrets[role]}"}

    async def __call__(self, role: Role | None, method: str, path: str, **more):
        headers = self.headers(role) | more.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **more)
