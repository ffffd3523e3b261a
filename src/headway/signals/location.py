"""Where a signal store is, and how to be let in: everything that its URL says.

    memory:
    embedded:/var/lib/headway/signals.db
    consul://127.0.0.1:8500/headway
    consul+tls://consul.example.com:8501/headway?ca=/etc/headway/consul-ca.pem
    etcd+tls://a:2379,b:2379,c:2379?ca=FILE&cert=FILE&key=FILE&token_file=FILE
    zk://a,b,c/headway

A URL names files and never holds a secret, so it may stand in a command line and in a log.
"""

import os
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from headway.errors import InvalidInput

TOKEN_VARIABLE = "HEADWAY_STORE_TOKEN"  # noqa: S105 — the name of a variable
PREFIX = "headway"
PORTS = {"consul": (8500, 8501), "etcd": (2379, 2379), "zk": (2181, 2281)}
"""The usual port of each kind, without and with TLS."""

_FILES = ("ca", "cert", "key", "token_file")


class Location(Struct, frozen=True):
    """A store on the network. ``hosts`` are ``host:port``, ``prefix`` is what keys lie below."""

    kind: str
    hosts: tuple[str, ...]
    prefix: str
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    token_file: Path | None = None

    def secret(self) -> str:
        """The ACL token, or ``user:password``; empty without. Raises InvalidInput."""
        if self.token_file is None:
            return os.environ.get(TOKEN_VARIABLE, "").strip()
        try:
            secret = self.token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"the token file {self.token_file} cannot be read: {error}"
            ) from None
        if not secret or not secret.isprintable():
            raise InvalidInput(f"the token file {self.token_file} holds no token")
        return secret

    def context(self) -> ssl.SSLContext | None:
        """How to speak TLS, if it is spoken. Raises InvalidInput for files that do not serve."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.ca, self.cert, self.key) if file)
            raise InvalidInput(f"TLS cannot be set up with {files}: {error}") from None
        return context


def parse(url: str) -> Location:
    """Read the URL of a store on the network. Raises InvalidInput with how to write it."""
    try:
        parts = urlsplit(url)
        hosts = [urlsplit(f"//{host}") for host in parts.netloc.split(",")]
        given = [(host.hostname, host.port) for host in hosts]
    except ValueError:
        raise _wrong(url) from None
    kind, _, secured = parts.scheme.partition("+")
    if kind not in PORTS or secured not in {"", "tls"} or not all(name for name, _ in given):
        raise _wrong(url)
    if "@" in parts.netloc:
        raise InvalidInput(
            f"a store's URL holds no password; put it into a file and add ?token_file=FILE,"
            f" or into {TOKEN_VARIABLE}"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := set(options) - set(_FILES):
        known = ", ".join(_FILES)
        raise InvalidInput(f'a store\'s URL has no "{min(unknown)[:40]}"; it may have {known}')
    tls = secured == "tls"
    if not tls and (named := set(options) - {"token_file"}):
        raise InvalidInput(f"{min(named)} is for TLS; write {kind}+tls:// if the store speaks it")
    port = PORTS[kind][tls]
    return Location(
        kind=kind,
        hosts=tuple(_host(str(name), number or port) for name, number in given),
        prefix=_prefix(parts.path),
        tls=tls,
        **{name: Path(value) for name, value in options.items()},
    )


def _host(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _prefix(path: str) -> str:
    prefix = path.strip("/") or PREFIX
    if any(part in {"", ".", ".."} for part in prefix.split("/")) or not prefix.isprintable():
        raise InvalidInput(
            f'"{path}" is no path below which keys can lie; write one like /{PREFIX}'
        )
    return prefix


def _wrong(url: str) -> InvalidInput:
    scheme = url.partition("//")[0][:40]
    return InvalidInput(
        f'"{scheme}…" is no signal store; write one like consul://HOST:8500/headway,'
        " etcd://A,B,C, zk://A,B,C/headway, or consul+tls://… where it speaks TLS"
    )
