"""``headway server`` starts the control plane with what the file and the options say."""

from pathlib import Path
from typing import Any

import pytest

from headway.server.config import ServerConfig


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerConfig]:
    configs: list[ServerConfig] = []
    monkeypatch.setattr("headway.cli.server.serve", configs.append)
    return configs


def test_a_data_directory_is_enough(headway: Any, served: list[ServerConfig]) -> None:
    assert headway("server", "--data", "here", "--listen", "127.0.0.1:0").code == 0
    assert served == [ServerConfig(Path("here"), listen="127.0.0.1:0")]


def test_options_have_the_last_word(
    headway: Any, served: list[ServerConfig], tmp_path: Path
) -> None:
    file = tmp_path / "server.toml"
    file.write_text('data = "there"\nlisten = "127.0.0.1:1"\nlog = "debug"\n')
    headway("server", "--config", str(file), "--listen", "127.0.0.1:2")
    assert served == [ServerConfig(Path("there"), listen="127.0.0.1:2", log="debug")]


def test_without_a_place_for_its_data_it_does_not_start(
    headway: Any, served: list[ServerConfig]
) -> None:
    ended = headway("server")
    assert (ended.code, served) == (2, [])
    assert "--data DIR" in ended.err
