"""Which control plane, and with which token: options first, then the environment, then a file.

A token is never an option of the command line, where every user of the machine could read it,
and a file that others can read is refused. The token of ``client.toml`` is for the server that
the file names, and is not sent to another.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from headway import settings
from headway.errors import InvalidInput, Unauthenticated

MAX_TOKEN_BYTES = 4096


class ClientConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of ``~/.config/headway/client.toml``."""

    server: str | None = None
    """The control plane's address, such as `https://headway.example.com`."""
    token_file: Path | None = None
    """A file that holds the token and that only you can read."""
    token: str | None = None
    """The token itself; then only you may be able to read `client.toml`."""


class Credentials(Struct, frozen=True):
    """Where to go, and what to show there."""

    server: str
    token: str

    def __repr__(self) -> str:
        return f"Credentials(server={self.server!r}, token=…)"


def find(server: str | None, token_file: Path | None, environ: Mapping[str, str]) -> Credentials:
    """The server and the token to use. Raises InvalidInput or Unauthenticated without them."""
    place = config_path(environ)
    config = settings.read(place, ClientConfig) if place.exists() else ClientConfig()
    chosen = server or environ.get("HEADWAY_SERVER") or config.server
    if not chosen:
        raise InvalidInput(
            "no control plane is named: give --server URL, set HEADWAY_SERVER, or write "
            f'server = "URL" into {place}'
        )
    theirs = config.server is not None and chosen.rstrip("/") != config.server.rstrip("/")
    token = _given(token_file, environ) or ("" if theirs else _configured(config, place))
    if not token:
        raise Unauthenticated(
            f"there is no token for {chosen}: give --token-file FILE, or set HEADWAY_TOKEN or "
            "HEADWAY_TOKEN_FILE; an admin makes one with `headway token new`"
        )
    return Credentials(chosen, token)


def config_path(environ: Mapping[str, str]) -> Path:
    """Where the client's own configuration is, whether it exists or not."""
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")) / ".config")
    return Path(home).expanduser() / "headway" / "client.toml"


def read_token(path: Path) -> str:
    """The token in a file. Raises InvalidInput when others can read it or it holds none."""
    try:
        with path.open("rb") as file:
            _refuse_shared(os.fstat(file.fileno()).st_mode, path)
            token = file.read(MAX_TOKEN_BYTES + 1).decode("ascii").strip()
    except OSError as error:
        raise InvalidInput(f"the token file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} does not hold a token") from None
    return _token(token, str(path))


def _given(token_file: Path | None, environ: Mapping[str, str]) -> str:
    if token_file is not None:
        return read_token(token_file)
    if value := environ.get("HEADWAY_TOKEN"):
        return _token(value.strip(), "HEADWAY_TOKEN")
    if named := environ.get("HEADWAY_TOKEN_FILE"):
        return read_token(Path(named))
    return ""


def _configured(config: ClientConfig, place: Path) -> str:
    if config.token_file is not None:
        return read_token(place.parent / config.token_file.expanduser())
    if config.token is not None:
        _refuse_shared(place.stat().st_mode, place)
        return _token(config.token, str(place))
    return ""


def _token(token: str, where: str) -> str:
    """``token``, if it can stand in a header; the sentence never shows it."""
    if not token or len(token) > MAX_TOKEN_BYTES or not token.isascii() or not token.isprintable():
        raise InvalidInput(f"{where} does not hold a token")
    if " " in token:
        raise InvalidInput(f"{where} holds more than a token: there is a space in it")
    return token


def _refuse_shared(mode: int, path: Path) -> None:
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidInput(f"others can read the token in {path}: run `chmod 600 {path}`")
