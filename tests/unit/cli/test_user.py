"""``headway user``: passwords come in by every way but the command line."""

import io
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from headway.model.views import PasswordRequest, TokenView, UserRequest, UserView
from tests.unit.cli import examples
from tests.unit.cli.fake_api import FakeApi

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def answers(api: FakeApi) -> None:
    api.on("POST", "/v1/users", UserView("alice", "deployer", "password", examples.THEN))
    api.on("PUT", "/v1/users/alice/password", None)


class Input:
    """Standard input with bytes in it, at a terminal or not."""

    def __init__(self, content: bytes = b"", tty: bool = False) -> None:
        self.buffer = io.BytesIO(content)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


def sent(api: FakeApi) -> str:
    kind = UserRequest if api.asked[-1].method == "POST" else PasswordRequest
    return msgspec.json.decode(api.asked[-1].body, type=kind).password


def test_a_password_comes_from_a_file(headway: Any, api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nmore\n")
    ended = headway("user", "add", "alice", "--role", "deployer", "--password-file", str(file))
    assert (ended.code, ended.out) == (0, "alice may sign in, as deployer.\n")
    assert sent(api) == PASSWORD
    ended = headway("user", "passwd", "alice", "--password-file", str(file))
    assert ended.out == "alice has another password, and is signed out everywhere.\n"
    assert sent(api) == PASSWORD


def test_a_password_comes_from_standard_input(
    headway: Any, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Input("pässwörter 12\r\n".encode()))
    assert headway("user", "passwd", "alice", "--password-stdin").code == 0
    assert sent(api) == "pässwörter 12"


def test_a_password_is_typed_twice_and_not_shown(
    headway: Any, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed, hidden = [PASSWORD, PASSWORD, PASSWORD, "mistyped"], []

    def prompt(text: str, **how: Any) -> str:
        hidden.append(how["hide_input"])
        return typed.pop(0)

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin", Input(tty=True))
    assert headway("user", "add", "alice", "--role", "viewer").code == 0
    assert sent(api) == PASSWORD
    asked = len(api.asked)
    ended = headway("user", "passwd", "alice")
    assert (ended.code, len(api.asked)) == (2, asked)
    assert "not the same; nothing was changed" in ended.err
    assert hidden == [True] * 4


@pytest.mark.parametrize(
    ("content", "match"),
    [(b"", "does not hold a password"), (b"\nx", "not hold"), (b"\xff\xfe", "UTF-8")],
)
def test_what_is_no_password_is_not_sent(
    headway: Any, api: FakeApi, tmp_path: Path, content: bytes, match: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    ended = headway("user", "passwd", "alice", "--password-file", str(file))
    assert (ended.code, api.asked) == (2, [])
    assert match in ended.err


def test_without_a_terminal_the_way_is_told(
    headway: Any, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", Input())
    ended = headway("user", "passwd", "alice")
    assert (ended.code, "--password-stdin or --password-file" in ended.err) == (2, True)
    both = headway("user", "passwd", "alice", "--password-stdin", "--password-file", "x")
    assert (both.code, "exclude each other" in both.err) == (2, True)
    gone = headway("user", "passwd", "alice", "--password-file", str(tmp_path / "none"))
    assert (gone.code, "cannot be read" in gone.err) == (2, True)
    assert api.asked == []


def test_no_option_takes_a_password(headway: Any) -> None:
    ended = headway("user", "add", "alice", "--role", "viewer", "--password", PASSWORD)
    assert ended.code == 2


def test_a_token_that_stays_is_named(headway: Any, api: FakeApi) -> None:
    api.on("DELETE", "/v1/users/alice", None)
    api.on("GET", "/v1/tokens", [TokenView("alice", "deployer", examples.THEN)])
    ended = headway("user", "remove", "alice")
    assert ended.out == "alice is removed.\n"
    assert "`headway token revoke alice` ends it" in ended.err


def test_a_password_shows_in_no_representation() -> None:
    for value in (UserRequest("alice", "viewer", PASSWORD), PasswordRequest(PASSWORD)):
        assert PASSWORD not in repr(value)
