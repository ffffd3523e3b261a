from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headway.server.database.connection import Database


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'headway.db'}")
    yield opened
    await opened.close()
