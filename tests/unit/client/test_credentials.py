"""Where the server and the token come from, and which tokens are not used."""

from pathlib import Path

import pytest

from headway.client.credentials import Credentials, find
from headway.errors import InvalidInput, Unauthenticated


class Home:
    """A home directory with a client.toml and token files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {"HOME": str(path)}
        self.config = path / ".config" / "headway" / "client.toml"
        self.config.parent.mkdir(parents=True)

    def token(self, name: str, token: str, mode: int = 0o600) -> Path:
        file = self.path / name
        file.write_text(token)
        file.chmod(mode)
        return file

    def configure(self, text: str, mode: int = 0o600) -> None:
        self.config.write_text(text)
        self.config.chmod(mode)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_options_come_before_the_environment_and_that_before_the_file(home: Home) -> None:
    home.configure('server = "http://file"\ntoken = "from-file"\n')
    assert find(None, None, home.environ) == Credentials("http://file", "from-file")
    environ = {**home.environ, "HEADWAY_SERVER": "http://env", "HEADWAY_TOKEN": "from-env"}
    assert find(None, None, environ) == Credentials("http://env", "from-env")
    option = home.token("t", "from-option\n")
    assert find("http://option", option, environ) == Credentials("http://option", "from-option")


def test_a_token_file_may_be_named_by_the_environment_or_beside_the_configuration(
    home: Home,
) -> None:
    file = home.token("t", "  from-env-file\n")
    environ = {**home.environ, "HEADWAY_TOKEN_FILE": str(file)}
    assert find("http://s", None, environ).token == "from-env-file"
    (home.config.parent / "token").write_text("beside")
    (home.config.parent / "token").chmod(0o400)
    home.configure('server = "http://s"\ntoken_file = "token"\n', mode=0o644)
    assert find(None, None, home.environ).token == "beside"


def test_the_configurations_token_goes_to_its_own_server_only(home: Home) -> None:
    home.configure('server = "http://ours/"\ntoken = "secret"\n')
    assert find("http://ours", None, home.environ).token == "secret"
    with pytest.raises(Unauthenticated, match="no token for http://theirs"):
        find("http://theirs", None, home.environ)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_token_that_others_can_reach_is_refused(home: Home, mode: int) -> None:
    file = home.token("t", "secret", mode)
    with pytest.raises(InvalidInput, match=f"chmod 600 {file}") as caught:
        find("http://s", file, home.environ)
    assert "secret" not in str(caught.value)
    home.configure('server = "http://s"\ntoken = "secret"\n', mode)
    with pytest.raises(InvalidInput, match="chmod 600"):
        find(None, None, home.environ)


def test_without_a_server_or_a_token_the_sentence_says_where_to_put_one(home: Home) -> None:
    with pytest.raises(InvalidInput, match=r"set HEADWAY_SERVER, .*client\.toml"):
        find(None, None, home.environ)
    with pytest.raises(Unauthenticated, match="headway token new"):
        find("http://s", None, home.environ)


@pytest.mark.parametrize("content", ["", "\n", "two words", "bär", "a\x07b", "x" * 5000])
def test_what_is_no_token_is_refused_without_being_shown(home: Home, content: str) -> None:
    with pytest.raises(InvalidInput, match="token") as caught:
        find("http://s", home.token("t", content), home.environ)
    assert not content.strip() or content not in str(caught.value)


def test_a_missing_token_file_and_a_wrong_key_are_named(home: Home) -> None:
    with pytest.raises(InvalidInput, match="nowhere cannot be read: No such file"):
        find("http://s", home.path / "nowhere", home.environ)
    home.configure('sever = "http://s"\n')
    with pytest.raises(InvalidInput, match='unknown key "sever"; did you mean "server"'):
        find(None, None, home.environ)


def test_a_token_is_not_in_what_a_traceback_or_log_would_show() -> None:
    assert "secret" not in repr(Credentials("http://s", "secret"))


def test_xdg_config_home_moves_the_file(home: Home, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "headway" / "client.toml"
    place.parent.mkdir(parents=True)
    place.write_text('server = "http://moved"\ntoken = "t"\n')
    place.chmod(0o600)
    environ = {**home.environ, "XDG_CONFIG_HOME": str(tmp_path / "elsewhere")}
    assert find(None, None, environ).server == "http://moved"
