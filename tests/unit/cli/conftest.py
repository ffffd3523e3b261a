"""A fake control plane, and a caller of the command line that goes to it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.fake_api import FakeApi, serving

from headway.cli import main


@dataclass
class Ended:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document of the output."""
        return json.loads(self.out)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


@pytest.fixture
def headway(
    api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Calls the command line in this process, with the fake API's address and a token."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HEADWAY_SERVER", api.url)
    monkeypatch.setenv("HEADWAY_TOKEN", "t0ken")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    for name in ("XDG_CONFIG_HOME", "HEADWAY_TOKEN_FILE", "HEADWAY_BUILD_KEY", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main.run(arguments)
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return call
